import type { Clock, Timer } from '../../clock/clock.js';
import { createDatagramStream } from '../../http/create-datagram-stream.js';
import type { DatagramStreamBinding } from '../../http/datagram-stream.js';
import type { ResponseHead } from '../../http/request.js';
import type { ServerStream, StreamOutcome, TunnelStreamHandler } from '../../http/tunnel-stream.js';
import { capsuleProtocolField } from '../../protocol/capsule-protocol.js';
import type { Fields } from '../../protocol/fields.js';
import type { ResetReason } from '../../protocol/reset-reason.js';
import type { DatagramSplice } from '../../quic/datagram-splice.js';
import type { UdpProblem } from '../../quic/udp-socket.js';
import { Asker } from '../asker.js';
import { watchIdle } from '../idle-watch.js';
import { reasonBehind, type SideEnd, sideEndOf } from '../side-end.js';
import { CONTEXT_ZERO, MAX_UDP_PAYLOAD, payloadStart, UNKNOWN_CONTEXT } from './context.js';
import { createEarlyPayloads, type EarlyPayloads, type EarlyRoom } from './early-payloads.js';
import { MOST_FORWARDED_CAPSULE, type UdpFarHandler, type UdpFarSide } from './far-side.js';
import { isFatal } from './fatal-problem.js';
import { FarEvents, NearEvents } from './serving-events.js';
import {
  countOut,
  type UdpTunnelStatistics,
  withSpliced,
  zeroUdpTunnelStatistics,
} from './tunnel-statistics.js';

/** What came of the attempt to reach the target. */
export type UdpDialOutcome =
  /** The far side is ready; `fields` go with the 2xx. */
  | { readonly kind: 'open'; readonly far: UdpFarSide; readonly fields: Fields }
  /** The request is answered with this head and no content. */
  | { readonly kind: 'refused'; readonly head: ResponseHead };

/** Reaches the target. The asker leaves when the client does; who takes too long may send it away. */
export type DialUdpFarSide = (handler: UdpFarHandler, asker: Asker) => Promise<UdpDialOutcome>;

/** Why a served tunnel ended, before what became of its stream. */
export type UdpServingCause =
  | { readonly kind: 'refused'; readonly status: number }
  /** The client ended, reset or lost it. */
  | { readonly kind: 'client' }
  | { readonly kind: 'idle' }
  /** The socket to the target is dead (RFC 9298 section 5). */
  | { readonly kind: 'target'; readonly problem: UdpProblem; readonly errno: string }
  /** The next hop ended, reset or lost it. */
  | { readonly kind: 'hop'; readonly how: SideEnd }
  /** The client broke the protocol. */
  | { readonly kind: 'protocol' }
  /** `end` or `reset` was called here. */
  | { readonly kind: 'local' };

export interface UdpServingEnd {
  readonly cause: UdpServingCause;
  readonly outcome: StreamOutcome;
}

export interface UdpServing {
  /** Attach this to the stream. */
  readonly streamHandler: TunnelStreamHandler;
  statistics(): UdpTunnelStatistics;
  /** What moves the payloads. */
  readonly dataPath: 'js' | 'splice';
  /** Ends the tunnel in order: nothing more is carried, the client is told. Idempotent. */
  end(): void;
  reset(reason: ResetReason): void;
  /** Resolves once, never rejects. */
  readonly closed: Promise<UdpServingEnd>;
}

export interface UdpServingOptions {
  readonly clock: Clock;
  /** Milliseconds without a payload, or a capsule carried on, in either direction after which the tunnel ends. */
  readonly idleTimeout: number;
  /**
   * Payloads, of both directions, that this side carries before it has the transport and the engine do it, where
   * they can (`data-path.ts`); never by default.
   */
  readonly spliceAfter?: number;
  /** Where payloads are kept until the far side is ready; shared by the tunnels of a connection. */
  readonly earlyRoom: EarlyRoom;
}

/** How long a client may leave its side open once this side has ended, milliseconds. */
const LINGER = 5_000;

/** Payloads after which it is tried again where no splice could be: the client's SETTINGS may have come since. */
const SPLICE_AGAIN = 64;

const ENDED: SideEnd = { kind: 'ended' };

/** A class because there are thousands. */
export class ServedUdp implements UdpServing {
  readonly closed: Promise<UdpServingEnd>;
  /** Until the dial has come to its end. */
  private dialling: Asker | undefined = new Asker();
  private readonly counters = zeroUdpTunnelStatistics();
  private early: EarlyPayloads | undefined;
  private phase: 'dialling' | 'open' | 'ending' | 'closed' = 'dialling';
  private peerEnded = false;
  private far: UdpFarSide | undefined;
  private spliced: DatagramSplice | undefined;
  /** Payloads until the splice. */
  private before: number;
  /** Those of unknown types, carried on in either direction. */
  private capsules = 0;
  private cause: UdpServingCause | undefined;
  private linger: Timer | undefined;
  private stopIdleWatch: (() => void) | undefined;
  private settle: (end: UdpServingEnd) => void = () => undefined;
  private readonly binding: DatagramStreamBinding;

  constructor(
    private readonly stream: ServerStream,
    private readonly options: UdpServingOptions,
  ) {
    this.before = options.spliceAfter ?? Number.POSITIVE_INFINITY;
    this.closed = new Promise<UdpServingEnd>((resolve) => {
      this.settle = resolve;
    });
    this.binding = createDatagramStream(new NearEvents(this));
  }

  get streamHandler(): TunnelStreamHandler {
    return this.binding.streamHandler;
  }

  get dataPath(): 'js' | 'splice' {
    return this.spliced && !this.spliced.calledOff() ? 'splice' : 'js';
  }

  statistics(): UdpTunnelStatistics {
    return this.spliced ? withSpliced(this.counters, this.spliced.statistics()) : this.counters;
  }

  end(): void {
    if (this.phase === 'dialling') this.abort({ kind: 'local' }, 'refused');
    else this.finish({ kind: 'local' });
  }

  reset(reason: ResetReason): void {
    this.abort({ kind: 'local' }, reason);
  }

  start(dial: DialUdpFarSide): void {
    const { binding, dialling } = this;
    binding.attach(this.stream);
    binding.start();
    if (!dialling) return;
    dial(new FarEvents(this), dialling).then(
      (outcome) => this.dialled(outcome),
      () => {
        if (this.phase === 'dialling') this.refuse({ status: 500, fields: [] });
      },
    );
  }

  // what the client's side tells

  datagramCame(bytes: Uint8Array, start: number, end: number): void {
    const { counters } = this;
    const from = payloadStart(bytes, start, end);
    if (from < 0) {
      // RFC 9298 section 4: a datagram with an unknown context id is dropped.
      if (from === UNKNOWN_CONTEXT) counters.droppedInUnknownContext++;
      else counters.droppedInMalformed++;
    } else if (end - from > MAX_UDP_PAYLOAD) {
      // RFC 9298 section 5: an endpoint that receives one MUST abort the stream.
      this.abort({ kind: 'protocol' }, 'datagram-error');
    } else if (this.far) {
      this.toTarget(bytes, from, end);
    } else if (this.phase === 'dialling') {
      this.early ??= createEarlyPayloads(this.options.earlyRoom);
      if (!this.early.keep(bytes, from, end)) counters.droppedInEarly++;
    }
  }

  mostOfCapsule(): number {
    return this.far?.capsule ? MOST_FORWARDED_CAPSULE : -1;
  }

  capsuleCame(type: number, value: Uint8Array): void {
    this.capsules++;
    if (this.far?.capsule?.(type, value) === false) this.binding.datagrams.holdBack(true);
  }

  drained(): void {
    this.far?.drain?.();
  }

  clientEnded(): void {
    this.peerEnded = true;
    if (this.phase === 'open') this.finish({ kind: 'client' });
  }

  streamClosed(outcome: StreamOutcome): void {
    if (this.phase === 'closed') return;
    // A reset by this side that nobody here asked for is what a malformed capsule gets.
    const brokeProtocol = outcome.kind === 'reset' && outcome.by === 'local';
    const why: UdpServingCause = this.cause ?? { kind: brokeProtocol ? 'protocol' : 'client' };
    this.phase = 'closed';
    this.release(sideEndOf(outcome));
    this.options.clock.clearTimeout(this.linger);
    this.settle({ cause: why, outcome });
  }

  // what the far side tells

  packetCame(bytes: Uint8Array, start: number, end: number): void {
    if (this.phase !== 'open') return;
    const outcome = this.binding.datagrams.sendDatagram(CONTEXT_ZERO, bytes, start, end);
    countOut(this.counters, outcome, end - start);
    if (--this.before === 0) this.trySplice();
  }

  problem(problem: UdpProblem, errno: string): void {
    if (problem === 'too-large') this.counters.droppedInTooLarge++;
    else if (!isFatal[problem]) this.counters.droppedInSocket++;
    // RFC 9298 section 5: a socket that is no longer usable closes the request stream.
    else if (this.phase === 'open') this.abort({ kind: 'target', problem, errno }, 'connect-error');
  }

  opening(far: UdpFarSide): void {
    if (this.phase !== 'dialling') return;
    this.far = far;
    this.flushEarly();
  }

  noPayload(): void {
    this.counters.droppedOutNoPayload++;
  }

  farCapsule(type: number, value: Uint8Array): boolean {
    this.capsules++;
    return this.binding.datagrams.sendCapsule(type, value);
  }

  farDrained(): void {
    this.binding.datagrams.holdBack(false);
  }

  farOver(how: SideEnd): void {
    if (this.phase !== 'open') return;
    this.far = undefined;
    if (how.kind === 'ended') this.finish({ kind: 'hop', how });
    else this.abort({ kind: 'hop', how }, reasonBehind(how));
  }

  // within

  private dialled(outcome: UdpDialOutcome): void {
    this.dialling = undefined;
    if (this.phase !== 'dialling') {
      if (outcome.kind === 'open') outcome.far.close({ kind: 'reset', reason: 'cancelled' });
      return;
    }
    if (outcome.kind === 'refused') {
      this.refuse(outcome.head);
      return;
    }
    this.far = outcome.far;
    this.stream.respond({ status: 200, fields: [capsuleProtocolField, ...outcome.fields] });
    this.flushEarly();
    this.phase = 'open';
    if (this.peerEnded) {
      this.finish({ kind: 'client' });
      return;
    }
    const { clock, idleTimeout } = this.options;
    this.stopIdleWatch = watchIdle(
      clock,
      idleTimeout,
      () => this.activity(),
      () => this.finish({ kind: 'idle' }),
    );
    this.far.start?.();
    if (this.before <= 0) this.trySplice();
  }

  private refuse(head: ResponseHead): void {
    this.stream.respond(head);
    this.finish({ kind: 'refused', status: head.status });
  }

  private toTarget(bytes: Uint8Array, start: number, end: number): void {
    const { counters } = this;
    counters.payloadsIn++;
    counters.bytesIn += end - start;
    const outcome = this.far?.send(bytes, start, end);
    if (outcome === 'too-large') counters.droppedInTooLarge++;
    else if (outcome !== 'sent') counters.droppedInSocket++;
    if (--this.before === 0) this.trySplice();
  }

  private flushEarly(): void {
    const { early } = this;
    this.early = undefined;
    early?.flush((bytes, start, end) => this.toTarget(bytes, start, end));
  }

  private trySplice(): void {
    const end = this.phase === 'open' ? this.far?.spliceEnd?.() : undefined;
    if (end) this.spliced = this.binding.datagrams.splice(end);
    if (!this.spliced) this.before = SPLICE_AGAIN;
  }

  private activity(): number {
    const { payloadsIn, payloadsOut, droppedOutQueueFull, droppedOutTooLarge } = this.statistics();
    return payloadsIn + payloadsOut + droppedOutQueueFull + droppedOutTooLarge + this.capsules;
  }

  private abort(why: UdpServingCause, reason: ResetReason): void {
    if (this.phase === 'closed') return;
    this.cause ??= why;
    this.phase = 'ending';
    this.release({ kind: 'reset', reason });
    this.binding.datagrams.reset(reason);
  }

  private finish(why: UdpServingCause): void {
    if (this.phase === 'ending' || this.phase === 'closed') return;
    const { datagrams } = this.binding;
    this.cause ??= why;
    this.phase = 'ending';
    this.release(ENDED);
    // The end may close the stream in this very call.
    if (!this.peerEnded) {
      this.linger = this.options.clock.setTimeout(() => datagrams.reset('cancelled'), LINGER);
    }
    datagrams.end();
  }

  private release(how: SideEnd): void {
    this.dialling?.leave();
    this.early?.clear();
    this.stopIdleWatch?.();
    this.stopIdleWatch = undefined;
    this.far?.close(how);
    this.far = undefined;
  }
}

/**
 * The proxy's side of one CONNECT-UDP request (RFC 9298): calls `dial` at once, answers with what comes of
 * it, then carries payloads between the stream and the far side. Payloads that come before that is ready are
 * kept, bounded, and delivered first and in order.
 */
export function serveUdp(stream: ServerStream, dial: DialUdpFarSide, options: UdpServingOptions): UdpServing {
  const serving = new ServedUdp(stream, options);
  serving.start(dial);
  return serving;
}
