import type { Clock } from '../../clock/clock.js';
import { areBasicCredentials } from '../../protocol/basic-credentials.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { SOCKS_VERSION } from '../../protocol/socks5.js';
import type { SocketAddress } from '../../quic/address.js';
import type { DataPath } from '../../tunnel/data-path.js';
import { isLoopback } from '../forward-spec.js';
import type { AppConnection } from './app-connection.js';
import type { FrontContext } from './carry-tcp.js';
import type { FrontEvent } from './front-events.js';
import type { FrontGround } from './front-ground.js';
import { defaultFrontLimits, type FrontLimits } from './front-limits.js';
import { createHttpFront } from './http-front.js';
import { type FrontEnd, listenForApps } from './listen-for-apps.js';
import type { LocalUser } from './local-user.js';
import { createAssociationOffice } from './socks-associate.js';
import { SOCKS4, serveSocks } from './socks-front.js';

/** What apps speak: SOCKS5, HTTP, or either of them by the first byte. */
export type FrontEndKind = 'mixed' | 'socks' | 'http-proxy';

export interface FrontEndOptions {
  readonly kind: FrontEndKind;
  readonly local: SocketAddress;
  readonly ground: FrontGround;
  readonly clock: Clock;
  readonly event: (event: FrontEvent) => void;
  /** Who may use it. Without one, only a loopback address can be listened on. */
  readonly user?: LocalUser;
  /** The address that SOCKS5 apps are told to send datagrams to; default the one they reached the front-end by. */
  readonly associateAddress?: string;
  readonly limits?: Partial<FrontLimits>;
  /** What moves the bytes of TCP tunnels; default `auto`, the engine where it can. */
  readonly dataPath?: DataPath;
}

/** The longest first look at a connection, bytes. */
const FIRST = 1;

type Serve = (app: AppConnection) => void;

/** Serves an app once its first byte is there to look at. */
async function serveByFirstByte(
  app: AppConnection,
  choose: (first: number | undefined) => Serve,
): Promise<void> {
  try {
    await app.more(FIRST);
  } catch {
    if (!app.over.aborted) app.hangUp();
    return;
  }
  choose(app.unread[0])(app);
}

/**
 * Opens a local port for apps that know SOCKS5 or HTTP proxies. What they ask for goes through the proxy, never
 * around it. Rejects with `ERR_OPEN_PROXY`, `ERR_USAGE`, `ERR_PORT_IN_USE`, `ERR_PORT_PRIVILEGE` or
 * `ERR_ADDRESS_UNAVAILABLE`.
 */
export async function openFrontEnd(options: FrontEndOptions): Promise<FrontEnd> {
  const { kind, local, ground, clock, event, user } = options;
  if (!user && !isLoopback(local.address)) {
    throw new BautaError('ERR_OPEN_PROXY', { detail: local.address });
  }
  if (user && !areBasicCredentials(user)) {
    throw new BautaError('ERR_USAGE', { detail: 'the local user has a character that cannot be sent' });
  }
  const limits = { ...defaultFrontLimits, ...options.limits };
  const context: FrontContext = { ground, clock, limits, dataPath: options.dataPath, event };
  const associations = createAssociationOffice(options.associateAddress);
  const http = createHttpFront({ ...context, user });
  const bySocks: Serve = (app) => void serveSocks(app, { ...context, user, associations });
  const byHttp: Serve = (app) => http.serve(app);
  const choose = (first: number | undefined): Serve => {
    if (kind === 'socks') return bySocks;
    return kind === 'mixed' && (first === SOCKS_VERSION || first === SOCKS4) ? bySocks : byHttp;
  };
  return listenForApps({
    tcp: ground.tcp(),
    local,
    clock,
    limits,
    event,
    serve: (app) => void serveByFirstByte(app, choose),
  });
}
