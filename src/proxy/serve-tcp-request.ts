import type { RequestHead } from '../http/request.js';
import type { ServerStream, TunnelStreamHandler } from '../http/tunnel-stream.js';
import { checkCapsuleRequest } from '../protocol/capsule-message.js';
import type { ConnectTcpRevision } from '../protocol/connect-tcp.js';
import type { ResetReason } from '../protocol/reset-reason.js';
import type { ByteSide, ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import { serveTcp, type TcpServing, type TcpServingEnd } from '../tunnel/tcp/serve-tcp.js';
import type { TcpForm } from '../tunnel/tcp/tcp-form.js';
import type { TargetAsk } from './admission.js';
import type { TunnelCounters, TunnelDescription } from './events.js';
import { refusal } from './refusal.js';
import type { Guest, ProxyParts } from './serve-request.js';
import { ServedTunnel, sideEndText, type TunnelEnd } from './serve-tunnel.js';
import { authorityTarget } from './target-route.js';
import { tcpWays } from './tcp-ways.js';
import type { RunningTunnel } from './tunnel-registry.js';

/** Serves one classic CONNECT (RFC 9110 section 9.3.6). */
export function serveConnectRequest(
  parts: ProxyParts,
  guest: Guest,
  stream: ServerStream,
  request: Extract<RequestHead, { kind: 'connect' }>,
): TunnelStreamHandler {
  return serveTcpRequest(
    parts,
    guest,
    stream,
    { kind: 'connect' },
    {
      kind: 'tcp',
      version: stream.version,
      fields: request.fields,
      routed: authorityTarget(request.authority),
      challenge: 'proxy',
    },
  );
}

/** Serves one request of draft-ietf-httpbis-connect-tcp, of whatever revision. */
export function serveConnectTcpRequest(
  parts: ProxyParts,
  guest: Guest,
  stream: ServerStream,
  request: Extract<RequestHead, { kind: 'extended' }>,
  revision: ConnectTcpRevision,
): TunnelStreamHandler {
  const { fields } = request;
  return serveTcpRequest(
    parts,
    guest,
    stream,
    { kind: 'connect-tcp', revision },
    {
      kind: 'tcp',
      version: stream.version,
      fields,
      routed: parts.routes.tcp(request.path),
      challenge: 'origin',
      check() {
        // RFC 9297 section 3.2.
        try {
          checkCapsuleRequest(fields);
          return undefined;
        } catch (error) {
          return refusal('ERR_REQUEST_MALFORMED', String(error));
        }
      },
    },
  );
}

/** A class because there are thousands. */
class RunningTcp implements RunningTunnel {
  constructor(
    readonly description: TunnelDescription,
    private readonly serving: TcpServing,
  ) {}

  counters(): TunnelCounters {
    const { serving } = this;
    return { kind: 'tcp', dataPath: serving.dataPath(), statistics: { ...serving.statistics() } };
  }

  end(): void {
    this.serving.end();
  }

  reset(reason: ResetReason): void {
    this.serving.reset(reason);
  }
}

function serveTcpRequest(
  parts: ProxyParts,
  guest: Guest,
  stream: ServerStream,
  form: TcpForm,
  ask: TargetAsk,
): TunnelStreamHandler {
  const proceeding: TargetAsk = { ...ask, admitted: () => serving.proceed() };
  const tunnel = new ServedTunnel<ByteSideHandler, ByteSide>(parts, guest, proceeding);
  const running = (description: TunnelDescription): RunningTunnel => new RunningTcp(description, serving);
  const { tcpIdleTimeout, tcpHalfClosedTimeout } = parts.limits();
  const serving: TcpServing = serveTcp(
    stream,
    form,
    (handler, asker) => tunnel.dial(tcpWays(parts, form), running, handler, asker),
    {
      clock: parts.clock,
      idleTimeout: tcpIdleTimeout,
      halfClosedTimeout: tcpHalfClosedTimeout,
      splice: parts.dataPath !== 'js',
    },
  );
  serving.closed.then((end) => tunnel.over(whyEnded(end)));
  return serving.streamHandler;
}

function whyEnded({ cause, outcome }: TcpServingEnd): TunnelEnd {
  switch (cause.kind) {
    case 'ended':
      return { reason: 'ended', detail: '' };
    case 'far':
      return { reason: 'target', detail: sideEndText(cause.how) };
    case 'idle':
      return { reason: 'idle', detail: cause.halfClosed ? 'half closed' : '' };
    case 'protocol':
      return { reason: 'protocol', detail: outcome.kind === 'reset' ? outcome.reason : '' };
    case 'local':
      return { reason: 'drained', detail: '' };
    case 'client':
    case 'refused':
      if (outcome.kind === 'lost') return { reason: 'lost', detail: outcome.detail };
      return { reason: 'client', detail: outcome.kind === 'reset' ? outcome.reason : '' };
  }
}
