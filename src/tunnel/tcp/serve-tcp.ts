import type { Clock, Timer } from '../../clock/clock.js';
import type { ResponseHead } from '../../http/request.js';
import type { ServerStream, StreamOutcome, TunnelStreamHandler } from '../../http/tunnel-stream.js';
import { capsuleProtocolField } from '../../protocol/capsule-protocol.js';
import { type Fields, singleField } from '../../protocol/fields.js';
import type { ResetReason } from '../../protocol/reset-reason.js';
import type { ByteSplice } from '../../quic/byte-splice.js';
import { Asker } from '../asker.js';
import { watchIdle } from '../idle-watch.js';
import type { SideEnd } from '../side-end.js';
import { askForSplice } from './ask-for-splice.js';
import type { ByteSide, ByteSideHandler } from './byte-side.js';
import { bindByteStream } from './byte-stream.js';
import { JoinedSides, type JoinedSidesEnd } from './join-sides.js';
import type { TcpForm } from './tcp-form.js';
import type { TcpTunnelStatistics } from './tunnel-statistics.js';

/** What came of the attempt to reach the target. */
export type TcpDialOutcome =
  | {
      readonly kind: 'open';
      /** Tells the handler that `dial` was given, and nothing but `end` and `closed` before it is granted bytes. */
      readonly far: ByteSide;
      /** Go with the 2xx. */
      readonly fields: Fields;
      /** The client has its answer. */
      start?(): void;
    }
  /** The request is answered with this head and no content. */
  | { readonly kind: 'refused'; readonly head: ResponseHead };

/** Reaches the target. The asker leaves when the client does; who takes too long may send it away. */
export type DialTcpFarSide = (handler: ByteSideHandler, asker: Asker) => Promise<TcpDialOutcome>;

/** Why a served tunnel ended, before what became of its stream. */
export type TcpServingCause =
  | { readonly kind: 'refused'; readonly status: number }
  /** Both directions ended cleanly. */
  | { readonly kind: 'ended' }
  /** The client reset or lost it, or ended it in the middle. */
  | { readonly kind: 'client' }
  /** Nothing was carried for the idle time; `halfClosed` when one direction had ended before. */
  | { readonly kind: 'idle'; readonly halfClosed: boolean }
  /** The far side was reset or lost: the target, or the next hop. */
  | { readonly kind: 'far'; readonly how: SideEnd }
  /** The client broke the protocol. */
  | { readonly kind: 'protocol' }
  /** `end` or `reset` was called here. */
  | { readonly kind: 'local' };

export interface TcpServingEnd {
  readonly cause: TcpServingCause;
  readonly outcome: StreamOutcome;
}

export interface TcpServing {
  /** Attach this to the stream. */
  readonly streamHandler: TunnelStreamHandler;
  /**
   * The request is permitted, and the dial goes on: a client that asked with `Expect: 100-continue` is told
   * (draft-ietf-httpbis-connect-tcp section 4.2).
   */
  proceed(): void;
  statistics(): TcpTunnelStatistics;
  /** What moves the bytes. */
  dataPath(): 'js' | 'splice';
  /**
   * Ends the tunnel because the operator wants it: both sides are reset, because a clean end in the middle of
   * a byte stream would be taken for its true end. Idempotent.
   */
  end(): void;
  reset(reason: ResetReason): void;
  /** Resolves once, when stream and far side are over; never rejects. */
  readonly closed: Promise<TcpServingEnd>;
}

export interface TcpServingOptions {
  readonly clock: Clock;
  /** Milliseconds without a byte in either direction after which the tunnel ends; default `TCP_IDLE_TIMEOUT`. */
  readonly idleTimeout?: number;
  /** The same once one direction has ended; default `TCP_HALF_CLOSED_TIMEOUT`. */
  readonly halfClosedTimeout?: number;
  /** Lets the engine move the bytes by itself where it can; default false. */
  readonly splice?: boolean;
}

/** 2 hours and 4 minutes, the least that RFC 5382 section 5 lets a middlebox forget a connection after. */
export const TCP_IDLE_TIMEOUT = 7_440_000;

/** 10 minutes: more than the 4 minutes of RFC 5382 section 5, for answers that take their time. */
export const TCP_HALF_CLOSED_TIMEOUT = 600_000;

/** How long a client may leave its side open once its request was refused, milliseconds. */
const LINGER = 5_000;

/** What a refused client may have on its way at a time; it is thrown away. */
const DISCARDED_AT_ONCE = 64 * 1024;

const nothing: TcpTunnelStatistics = { bytesIn: 0, bytesOut: 0 };

/**
 * The proxy's side of one request for a TCP tunnel: calls `dial` at once, answers with what comes of it, then
 * carries bytes between the stream and the far side. Bytes that come before that is ready wait in the stream,
 * whose window bounds them; they are thrown away if the dial fails.
 */
export function serveTcp(
  stream: ServerStream,
  form: TcpForm,
  dial: DialTcpFarSide,
  options: TcpServingOptions,
): TcpServing {
  const { clock, idleTimeout = TCP_IDLE_TIMEOUT } = options;
  const halfClosedTimeout = Math.min(idleTimeout, options.halfClosedTimeout ?? TCP_HALF_CLOSED_TIMEOUT);
  /** Until the dial has come to its end. */
  const asker = new Asker();
  let dialling: Asker | undefined = asker;
  let phase: 'dialling' | 'open' | 'refused' | 'closed' = 'dialling';
  let cause: TcpServingCause | undefined;
  let outcome: StreamOutcome | undefined;
  let linger: Timer | undefined;
  let stopIdleWatch: (() => void) | undefined;
  let settle: (end: TcpServingEnd) => void = () => undefined;
  const closed = new Promise<TcpServingEnd>((resolve) => {
    settle = resolve;
  });

  let halfClosed = false;
  /** The far side while the engine is asked to move the bytes: neither side is joined to the other yet. */
  let handingOver: ByteSide | undefined;
  let splice: ByteSplice | undefined;
  const joined = new JoinedSides({
    halfClosed() {
      halfClosed = true;
      watch();
    },
  });
  const near = bindByteStream(form, joined.a);

  const watch = (): void => {
    if (phase !== 'open') return;
    stopIdleWatch?.();
    stopIdleWatch = watchIdle(
      clock,
      halfClosed ? halfClosedTimeout : idleTimeout,
      () => {
        const { bytesIn, bytesOut } = statistics();
        return bytesIn + bytesOut;
      },
      () => abort({ kind: 'idle', halfClosed }, 'connect-error'),
    );
  };
  const abort = (why: TcpServingCause, reason: ResetReason): void => {
    if (phase === 'closed') return;
    cause ??= why;
    if (phase === 'open' && !handingOver) {
      joined.reset(reason);
      return;
    }
    handingOver?.reset(reason);
    stream.reset(reason);
  };
  const statistics = (): TcpTunnelStatistics => {
    const { bytesIn, bytesOut } = splice?.statistics() ?? nothing;
    return { bytesIn: joined.bytesFromA + bytesIn, bytesOut: joined.bytesFromB + bytesOut };
  };
  /** The engine moves what it can, and the joined sides do the rest: ends, and what is more than bytes. */
  const join = (far: ByteSide): void => {
    handingOver = undefined;
    near.start();
    far.start?.();
    joined.start(near.side, far);
  };
  /** True when the engine was asked, and `join` follows its answer. */
  const handOver = (far: ByteSide): boolean => {
    if (!options.splice) return false;
    handingOver = far;
    const end = () => far.socket ?? far.byteEnd?.();
    const asked = askForSplice(near.side, end, (begun) => {
      splice = begun;
      join(far);
    });
    if (!asked) handingOver = undefined;
    return asked;
  };
  const causeOf = ({ by, b }: JoinedSidesEnd, how: StreamOutcome): TcpServingCause => {
    if (by === 'b') return { kind: 'far', how: b };
    if (by !== 'a') return { kind: 'ended' };
    const malformed = how.kind === 'reset' && how.by === 'local' && how.reason !== 'connect-error';
    return { kind: malformed ? 'protocol' : 'client' };
  };

  const refuse = (head: ResponseHead): void => {
    phase = 'refused';
    cause ??= { kind: 'refused', status: head.status };
    linger = clock.setTimeout(() => stream.reset('cancelled'), LINGER);
    stream.respond(head);
    stream.end();
    stream.grant(DISCARDED_AT_ONCE);
  };
  const dialled = (result: TcpDialOutcome): void => {
    dialling = undefined;
    if (phase !== 'dialling') {
      if (result.kind === 'open') result.far.reset('cancelled');
      return;
    }
    if (result.kind === 'refused') {
      refuse(result.head);
      return;
    }
    phase = 'open';
    const own: Fields = form.kind === 'connect' ? [] : [capsuleProtocolField];
    stream.respond({ status: 200, fields: [...own, ...result.fields] });
    watch();
    if (!handOver(result.far)) join(result.far);
    result.start?.();
    joined.closed.then((end) => {
      stopIdleWatch?.();
      phase = 'closed';
      // Both sides are over, and the stream is one of them.
      const how: StreamOutcome = outcome ?? { kind: 'lost', reason: 'internal-error', detail: '' };
      settle({ cause: cause ?? causeOf(end, how), outcome: how });
    });
  };

  near.attach(stream);
  dial(joined.b, asker).then(dialled, () => {
    if (phase === 'dialling') refuse({ status: 500, fields: [] });
  });

  return {
    streamHandler: {
      ...near.streamHandler,
      data(bytes, start, end) {
        if (phase === 'refused') stream.grant(end - start);
        else near.streamHandler.data(bytes, start, end);
      },
      end() {
        if (phase !== 'refused') near.streamHandler.end();
      },
      closed(how) {
        outcome = how;
        clock.clearTimeout(linger);
        near.streamHandler.closed(how);
        if (phase === 'open') return;
        phase = 'closed';
        dialling?.leave();
        settle({ cause: cause ?? { kind: 'client' }, outcome: how });
      },
    },
    statistics,
    dataPath: () => (splice ? 'splice' : 'js'),
    proceed() {
      if (phase !== 'dialling' || form.kind !== 'connect-tcp') return;
      // RFC 9110 section 10.1.1; the expectation is case-insensitive.
      const expected = singleField(stream.request.fields, 'expect');
      if (expected?.toLowerCase() === '100-continue') stream.inform({ status: 100, fields: [] });
    },
    end: () => abort({ kind: 'local' }, phase === 'dialling' ? 'refused' : 'connect-error'),
    reset: (reason) => abort({ kind: 'local' }, reason),
    closed,
  };
}
