import type { Clock } from '../clock/clock.js';
import type { HttpServerConnection } from '../http/connection.js';
import type { ServerStream, TunnelStreamHandler } from '../http/tunnel-stream.js';
import { connectTcpRevisionOf } from '../protocol/connect-tcp.js';
import type { TcpSockets } from '../quic/tcp-socket.js';
import type { UdpSockets } from '../quic/udp-socket.js';
import type { Relay } from '../relay/relay.js';
import type { LoopGuard } from '../relay/via.js';
import type { DataPath } from '../tunnel/data-path.js';
import type { EarlyRoom } from '../tunnel/udp/early-payloads.js';
import type { Hop } from '../upstream/hop.js';
import { answerRequest } from './answer-request.js';
import type { ConnectionLogin } from './connection-login.js';
import type { Decide } from './decision.js';
import type { ProxyEvents } from './events.js';
import { forwardRequest } from './forward-request.js';
import type { ProxyLimits } from './limits.js';
import type { NameResolution } from './name-resolution.js';
import type { OriginAgents } from './origin-agents.js';
import { refusal, refusalHead } from './refusal.js';
import { serveConnectRequest, serveConnectTcpRequest } from './serve-tcp-request.js';
import { serveUdpRequest } from './serve-udp-request.js';
import { answerPlain } from './status-page.js';
import type { TargetRoute } from './target-route.js';
import type { TargetRules } from './target-rules.js';
import type { TunnelRegistry } from './tunnel-registry.js';

/** Paths of templates, for each kind of tunnel that has one. */
export interface Routes {
  readonly udp: TargetRoute;
  readonly tcp: TargetRoute;
}

/** What every request of a proxy is served with. */
export interface ProxyParts {
  readonly clock: Clock;
  readonly sockets: UdpSockets;
  readonly tcpSockets: TcpSockets;
  readonly dataPath: DataPath;
  readonly names: NameResolution;
  readonly routes: Routes;
  readonly rules: () => TargetRules;
  readonly decide: Decide | undefined;
  /** Where tunnels go for which `decide` has no say. */
  readonly via: Hop | undefined;
  /** Undefined where no tunnel ever goes to a next hop. */
  readonly relay: Relay | undefined;
  readonly loops: LoopGuard;
  readonly limits: () => ProxyLimits;
  readonly tunnels: TunnelRegistry;
  readonly events: ProxyEvents;
  readonly draining: () => boolean;
}

/** One connection of a client, and who is on it. */
export interface Guest {
  /** Unique in this proxy. */
  readonly id: number;
  readonly connection: HttpServerConnection;
  /** For payloads that come before their tunnel is ready. */
  readonly earlyRoom: EarlyRoom;
  /** Requests so far. */
  requests: number;
  readonly login: ConnectionLogin;
  /** Where its plain requests go. */
  readonly origins: OriginAgents;
}

/** RFC 9298 section 3. */
const UDP = 'connect-udp';

/** The upgrade tokens, in lower case, of tunnels that are served. */
export function isTunnelToken(token: string): boolean {
  return token === UDP || connectTcpRevisionOf(token) !== undefined;
}

/** Hands a request to what serves it. */
export function serveRequest(parts: ProxyParts, guest: Guest, stream: ServerStream): TunnelStreamHandler {
  const { request } = stream;
  const { clock } = parts;
  if (request.kind === 'plain') {
    // A listener has TLS: only the absolute form, and :scheme, can say http.
    if (request.scheme === 'http') return forwardRequest(parts, guest, stream, request);
    const { head, body } = answerPlain(request);
    return answerRequest(stream, head, body, clock);
  }
  if (request.kind === 'connect') return serveConnectRequest(parts, guest, stream, request);
  if (request.protocol.toLowerCase() === UDP) return serveUdpRequest(parts, guest, stream, request);
  const revision = connectTcpRevisionOf(request.protocol);
  if (revision) return serveConnectTcpRequest(parts, guest, stream, request, revision);
  // RFC 9220 section 3: an unknown :protocol is answered with 501.
  const refused = refusal('ERR_PROTOCOL_UNSUPPORTED', `no ${request.protocol} here`);
  parts.events.emit({
    event: 'request-refused',
    connection: guest.id,
    version: stream.version,
    client: guest.connection.remoteAddress,
    user: undefined,
    target: undefined,
    status: 501,
    code: refused.code,
    detail: refused.detail,
  });
  return answerRequest(stream, refusalHead(refused, guest.login.known), new Uint8Array(), clock);
}
