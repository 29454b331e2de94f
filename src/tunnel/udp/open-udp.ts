import type { Clock, Timer } from '../../clock/clock.js';
import type { HttpClientConnection } from '../../http/connection.js';
import { createDatagramStream, eventsOf } from '../../http/create-datagram-stream.js';
import type { DatagramStream } from '../../http/datagram-stream.js';
import type { ResponseHead } from '../../http/request.js';
import type { StreamOutcome } from '../../http/tunnel-stream.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { checkCapsuleResponse } from '../../protocol/capsule-message.js';
import { capsuleProtocolField } from '../../protocol/capsule-protocol.js';
import type { Fields } from '../../protocol/fields.js';
import type { ResetReason } from '../../protocol/reset-reason.js';
import type { DatagramOutcome } from '../../quic/connection.js';
import type { DatagramSplice } from '../../quic/datagram-splice.js';
import type { UdpSocket } from '../../quic/udp-socket.js';
import { errorOfOutcome, errorOfResponse } from '../response-error.js';
import { CONTEXT_ZERO, MAX_UDP_PAYLOAD, payloadStart, UNKNOWN_CONTEXT } from './context.js';
import {
  countOut,
  type UdpTunnelStatistics,
  withSpliced,
  zeroUdpTunnelStatistics,
} from './tunnel-statistics.js';

export interface UdpTunnelRequest {
  /** The proxy's host and port, as in its template. */
  readonly authority: string;
  /** The template, expanded for the target: path and query. */
  readonly path: string;
  /** Credentials and the like; `capsule-protocol` is added. */
  readonly fields: Fields;
  readonly clock: Clock;
  /** Milliseconds until the proxy must have answered. */
  readonly timeout: number;
}

export interface UdpTunnelHandler {
  /**
   * A UDP payload from the target; the view is valid only during the call. The first may come in the same
   * turn as the proxy's answer, before a reaction to `ready` runs.
   */
  payload(bytes: Uint8Array, start: number, end: number): void;
  maxPayloadSize?(size: number): void;
}

/** The client's side of a CONNECT-UDP tunnel; exists before the proxy has answered. */
export interface OpenUdpTunnel {
  /** The proxy's 2xx. Rejects with `BautaError`; the tunnel is over then. */
  readonly ready: Promise<ResponseHead>;
  /** Largest payload that can be sent now, bytes; `MAX_UDP_PAYLOAD` where capsules carry it. */
  readonly maxPayloadSize: number;
  /**
   * Sends one UDP payload; may be called before `ready` (HTTP/1.1 holds it back until then).
   * An empty payload is a packet too.
   */
  send(bytes: Uint8Array, start: number, end: number): DatagramOutcome;
  /**
   * Lets the transport itself move payloads of the open tunnel to a connected socket and its packets back, as
   * `TunnelStream.spliceDatagrams` or its `spliceCapsules`, once. Undefined where it cannot.
   */
  splice?(far: UdpSocket): DatagramSplice | undefined;
  statistics(): UdpTunnelStatistics;
  /** Ends the tunnel in order. Idempotent. */
  end(): void;
  reset(reason: ResetReason): void;
  /** What became of the stream. Resolves once, never rejects. */
  readonly closed: Promise<StreamOutcome>;
}

/** How long the proxy may leave its side open once this side has ended, milliseconds. */
const LINGER = 2_000;

/**
 * Asks a proxy for a UDP tunnel (RFC 9298 section 3.4; on HTTP/1.1 section 3.2). Aborting the signal before
 * the answer cancels the request; afterwards it does nothing.
 */
export function openUdpTunnel(
  connection: Pick<HttpClientConnection, 'open'>,
  request: UdpTunnelRequest,
  handler: UdpTunnelHandler,
  signal: AbortSignal,
): OpenUdpTunnel {
  const { clock } = request;
  const counters = zeroUdpTunnelStatistics();
  let phase: 'asking' | 'open' | 'ending' | 'closed' = 'asking';
  let peerEnded = false;
  let linger: Timer | undefined;
  let spliced: DatagramSplice | undefined;
  let resolveReady: (head: ResponseHead) => void = () => undefined;
  let rejectReady: (error: BautaError) => void = () => undefined;
  const ready = new Promise<ResponseHead>((resolve, reject) => {
    resolveReady = resolve;
    rejectReady = reject;
  });
  ready.catch(() => undefined);
  let resolveClosed: (outcome: StreamOutcome) => void = () => undefined;
  const closed = new Promise<StreamOutcome>((resolve) => {
    resolveClosed = resolve;
  });

  const answered = (): void => {
    clock.clearTimeout(timeLimit);
    signal.removeEventListener('abort', aborted);
  };
  const fail = (error: BautaError, reason: ResetReason): void => {
    if (phase !== 'asking') return;
    phase = 'ending';
    answered();
    rejectReady(error);
    binding.datagrams.reset(reason);
  };
  const aborted = (): void => fail(new BautaError('ERR_ABORTED', { cause: signal.reason }), 'cancelled');

  const finish = (): void => {
    if (phase === 'ending' || phase === 'closed') return;
    phase = 'ending';
    binding.datagrams.end();
    if (!peerEnded) linger = clock.setTimeout(() => binding.datagrams.reset('cancelled'), LINGER);
  };

  const binding = createDatagramStream({
    datagram(bytes, start, end) {
      const from = payloadStart(bytes, start, end);
      if (from < 0) {
        // RFC 9298 section 4: a datagram with an unknown context id is dropped.
        if (from === UNKNOWN_CONTEXT) counters.droppedInUnknownContext++;
        else counters.droppedInMalformed++;
      } else if (end - from > MAX_UDP_PAYLOAD) {
        // RFC 9298 section 5: an endpoint that receives one MUST abort the stream.
        binding.datagrams.reset('datagram-error');
      } else if (phase === 'open') {
        counters.payloadsIn++;
        counters.bytesIn += end - from;
        handler.payload(bytes, from, end);
      }
    },
    end() {
      peerEnded = true;
      if (phase === 'open') finish();
      else fail(new BautaError('ERR_PROXY_PROTOCOL', { detail: 'the answer is missing' }), 'message-error');
    },
    maxDatagramSize: (size) => handler.maxPayloadSize?.(payloadLimit(size)),
    closed(outcome) {
      if (phase === 'asking') {
        answered();
        rejectReady(errorOfOutcome(outcome));
      }
      phase = 'closed';
      clock.clearTimeout(linger);
      resolveClosed(outcome);
    },
  });

  const response = (head: ResponseHead): void => {
    if (phase !== 'asking') return;
    if (head.status < 200 || head.status > 299) {
      fail(errorOfResponse(head), 'cancelled');
      return;
    }
    try {
      checkCapsuleResponse(head);
    } catch (cause) {
      fail(new BautaError('ERR_PROXY_PROTOCOL', { status: head.status, cause }), 'message-error');
      return;
    }
    answered();
    phase = 'open';
    resolveReady(head);
    binding.start();
  };

  const timeLimit = clock.setTimeout(
    () => fail(new BautaError('ERR_PROXY_TIMEOUT'), 'cancelled'),
    request.timeout,
  );
  signal.addEventListener('abort', aborted, { once: true });

  const stream = connection.open(
    {
      kind: 'extended',
      protocol: 'connect-udp',
      scheme: 'https',
      authority: request.authority,
      path: request.path,
      fields: [capsuleProtocolField, ...request.fields],
    },
    { ...eventsOf(binding), response },
  );
  binding.attach(stream);
  if (signal.aborted) aborted();

  return new AskedUdpTunnel(binding.datagrams, {
    ready,
    send(bytes, start, end) {
      if (end - start > MAX_UDP_PAYLOAD) return countOut(counters, 'too-large', end - start);
      if (phase !== 'open' && phase !== 'asking') return countOut(counters, 'dropped', end - start);
      const outcome = binding.datagrams.sendDatagram(CONTEXT_ZERO, bytes, start, end);
      return countOut(counters, outcome, end - start);
    },
    splice(far) {
      if (phase !== 'open' || spliced) return undefined;
      spliced = binding.datagrams.splice(far);
      return spliced;
    },
    statistics() {
      const own = { ...counters, droppedInEarly: binding.datagrams.statistics().droppedEarly };
      return spliced ? withSpliced(own, spliced.statistics()) : own;
    },
    end: () => (phase === 'asking' ? fail(new BautaError('ERR_CLOSED'), 'cancelled') : finish()),
    reset(reason) {
      if (phase === 'asking') fail(new BautaError('ERR_CLOSED'), reason);
      else binding.datagrams.reset(reason);
    },
    closed,
  });
}

function payloadLimit(size: number): number {
  return Math.max(0, Math.min(MAX_UDP_PAYLOAD, size - CONTEXT_ZERO.length));
}

/** A class because there are thousands. */
class AskedUdpTunnel implements OpenUdpTunnel {
  readonly ready: OpenUdpTunnel['ready'];
  readonly closed: OpenUdpTunnel['closed'];
  readonly send: OpenUdpTunnel['send'];
  readonly splice: NonNullable<OpenUdpTunnel['splice']>;
  readonly statistics: OpenUdpTunnel['statistics'];
  readonly end: OpenUdpTunnel['end'];
  readonly reset: OpenUdpTunnel['reset'];

  constructor(
    private readonly datagrams: Pick<DatagramStream, 'maxDatagramSize'>,
    rest: Required<Omit<OpenUdpTunnel, 'maxPayloadSize'>>,
  ) {
    this.ready = rest.ready;
    this.closed = rest.closed;
    this.send = rest.send;
    this.splice = rest.splice;
    this.statistics = rest.statistics;
    this.end = rest.end;
    this.reset = rest.reset;
  }

  get maxPayloadSize(): number {
    return payloadLimit(this.datagrams.maxDatagramSize);
  }
}
