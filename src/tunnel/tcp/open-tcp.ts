import type { Clock, Timer } from '../../clock/clock.js';
import type { HttpClientConnection } from '../../http/connection.js';
import type { RequestHead, ResponseHead } from '../../http/request.js';
import type { StreamOutcome } from '../../http/tunnel-stream.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { checkCapsuleResponse } from '../../protocol/capsule-message.js';
import { capsuleProtocolField } from '../../protocol/capsule-protocol.js';
import type { ConnectTcpRevision } from '../../protocol/connect-tcp.js';
import type { Fields } from '../../protocol/fields.js';
import type { ResetReason } from '../../protocol/reset-reason.js';
import type { ByteSplice } from '../../quic/byte-splice.js';
import { errorOfOutcome, errorOfResponse } from '../response-error.js';
import { ActingSide, type ByteSide, type ByteSideHandler, type SideActs } from './byte-side.js';
import { bindByteStream } from './byte-stream.js';
import type { MutableTcpTunnelStatistics, TcpTunnelStatistics } from './tunnel-statistics.js';

interface TcpTunnelQuestion {
  /** Credentials and the like; `capsule-protocol` is added where it belongs. */
  readonly fields: Fields;
  readonly clock: Clock;
  /** Milliseconds until the proxy must have answered. */
  readonly timeout: number;
}

export type TcpTunnelRequest = TcpTunnelQuestion &
  (
    | {
        readonly form: { readonly kind: 'connect' };
        /** The target's host and port (RFC 9110 section 9.3.6), IPv6 in brackets. */
        readonly authority: string;
      }
    | {
        readonly form: { readonly kind: 'connect-tcp'; readonly revision: ConnectTcpRevision };
        /** The proxy's host and port, as in its template. */
        readonly authority: string;
        /** The template, expanded for the target: path and query. */
        readonly path: string;
      }
  );

/**
 * The client's side of a TCP tunnel; exists before the proxy has answered. Bytes may be written at once: they
 * go ahead of the answer on HTTP/3 and HTTP/2, and wait for it on HTTP/1.1 (RFC 9931).
 */
export interface OpenTcpTunnel extends ByteSide {
  /** Reading begins, once the proxy has answered: in the same turn, where this was called before. Idempotent. */
  start(): void;
  readonly splice: NonNullable<ByteSide['splice']>;
  /** The proxy's 2xx. Rejects with `BautaError`; the tunnel is over then. */
  readonly ready: Promise<ResponseHead>;
  statistics(): TcpTunnelStatistics;
  /** What became of the stream. Resolves once, never rejects; `ByteSideHandler.closed` was called just before. */
  readonly closed: Promise<StreamOutcome>;
}

/** How long a proxy that refused may take to end its answer, milliseconds. */
const LINGER = 2_000;

/** What of the content of a refusal is read, to get to its end. */
const MOST_REFUSAL_CONTENT = 64 * 1024;

/**
 * Asks a proxy for a TCP tunnel. Aborting the signal before the answer cancels the request; afterwards it does
 * nothing.
 */
export function openTcpTunnel(
  connection: Pick<HttpClientConnection, 'open'>,
  request: TcpTunnelRequest,
  handler: ByteSideHandler,
  signal: AbortSignal,
): OpenTcpTunnel {
  const { clock } = request;
  const counters: MutableTcpTunnelStatistics = { bytesOut: 0, bytesIn: 0 };
  let phase: 'asking' | 'open' | 'failed' | 'closed' = 'asking';
  let opened = false;
  /** `start` was called. */
  let wanted = false;
  let splice: ByteSplice | undefined;
  let linger: Timer | undefined;
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
  const fail = (error: BautaError): boolean => {
    if (phase !== 'asking') return false;
    phase = 'failed';
    answered();
    rejectReady(error);
    return true;
  };
  const failAndReset = (error: BautaError, reason: ResetReason): void => {
    if (fail(error)) stream.reset(reason);
  };
  const aborted = (): void =>
    failAndReset(new BautaError('ERR_ABORTED', { cause: signal.reason }), 'cancelled');

  const binding = bindByteStream(request.form, {
    data(bytes, start, end) {
      counters.bytesIn += end - start;
      handler.data(bytes, start, end);
    },
    end: () => handler.end(),
    drain: () => handler.drain(),
    closed: (how) =>
      handler.closed(!opened && how.kind === 'ended' ? { kind: 'reset', reason: 'connect-error' } : how),
  });

  const response = (head: ResponseHead): void => {
    if (phase !== 'asking') return;
    if (head.status < 200 || head.status > 299) {
      fail(errorOfResponse(head));
      // In order, because an HTTP/1.1 connection may go on after it.
      linger = clock.setTimeout(() => stream.reset('cancelled'), LINGER);
      stream.end();
      stream.grant(MOST_REFUSAL_CONTENT);
      return;
    }
    try {
      if (request.form.kind === 'connect-tcp') checkCapsuleResponse(head);
    } catch (cause) {
      failAndReset(new BautaError('ERR_PROXY_PROTOCOL', { status: head.status, cause }), 'message-error');
      return;
    }
    answered();
    phase = 'open';
    opened = true;
    resolveReady(head);
    if (wanted) binding.start();
  };

  const timeLimit = clock.setTimeout(
    () => failAndReset(new BautaError('ERR_PROXY_TIMEOUT'), 'cancelled'),
    request.timeout,
  );
  signal.addEventListener('abort', aborted, { once: true });

  const { streamHandler } = binding;
  const stream = connection.open(requestHead(request), {
    ...streamHandler,
    response,
    data(bytes, start, end) {
      if (opened) streamHandler.data(bytes, start, end);
    },
    end() {
      if (opened) streamHandler.end();
      else {
        failAndReset(
          new BautaError('ERR_PROXY_PROTOCOL', { detail: 'the answer is missing' }),
          'message-error',
        );
      }
    },
    closed(outcome) {
      clock.clearTimeout(linger);
      fail(errorOfOutcome(outcome));
      phase = 'closed';
      streamHandler.closed(outcome);
      resolveClosed(outcome);
    },
  });
  binding.attach(stream);
  if (signal.aborted) aborted();

  const { side } = binding;
  return new AskedTcpTunnel(side, {
    ready,
    grant: (bytes) => side.grant(bytes),
    write(bytes, start, end) {
      if (phase !== 'asking' && phase !== 'open') return true;
      counters.bytesOut += end - start;
      return side.write(bytes, start, end);
    },
    end() {
      if (phase === 'asking' || phase === 'open') side.end();
    },
    reset(reason) {
      if (phase === 'asking') failAndReset(new BautaError('ERR_CLOSED'), reason);
      else side.reset(reason);
    },
    start() {
      wanted = true;
      if (opened) binding.start();
    },
    splice(far, begun) {
      if (phase !== 'open') return false;
      const told = (made: ByteSplice | undefined): void => {
        splice = made;
        begun(made);
      };
      return side.splice?.(far, told) ?? false;
    },
    statistics() {
      const moved = splice?.statistics();
      return {
        // The far side of the splice is here: what went there came in.
        bytesIn: counters.bytesIn + (moved?.bytesIn ?? 0),
        bytesOut: counters.bytesOut + (moved?.bytesOut ?? 0),
      };
    },
    closed,
  });
}

class AskedTcpTunnel extends ActingSide implements OpenTcpTunnel {
  readonly ready: OpenTcpTunnel['ready'];
  readonly closed: OpenTcpTunnel['closed'];
  readonly statistics: OpenTcpTunnel['statistics'];
  readonly start: OpenTcpTunnel['start'];
  readonly splice: OpenTcpTunnel['splice'];

  constructor(
    private readonly side: Pick<ByteSide, 'buffered'>,
    rest: SideActs & Pick<OpenTcpTunnel, 'ready' | 'closed' | 'statistics' | 'start' | 'splice'>,
  ) {
    super(rest);
    this.ready = rest.ready;
    this.closed = rest.closed;
    this.statistics = rest.statistics;
    this.start = rest.start;
    this.splice = rest.splice;
  }

  override get buffered(): number {
    return this.side.buffered;
  }
}

function requestHead(request: TcpTunnelRequest): RequestHead {
  const { authority, fields } = request;
  if (!('path' in request)) return { kind: 'connect', authority, fields };
  const { form, path } = request;
  return {
    kind: 'extended',
    protocol: form.revision.token,
    scheme: 'https',
    authority,
    path,
    fields: [capsuleProtocolField, ...fields],
  };
}
