import type { EngineThread } from '../../quic/engine-thread.js';
import type { ConnectionClose, HttpServerConnection } from '../connection.js';
import type { SocketIdentity } from './socket-identity.js';

/** A client's connection over TCP as its server sees it. A class because there are thousands. */
export class ServerFace implements HttpServerConnection {
  readonly id: number;
  readonly remoteAddress: HttpServerConnection['remoteAddress'];
  readonly localAddress: HttpServerConnection['localAddress'];
  readonly serverName: string | undefined;
  readonly peerCertificates: readonly Uint8Array[];
  readonly thread?: EngineThread;

  constructor(
    readonly version: 'h1' | 'h2',
    identity: SocketIdentity & { readonly thread?: EngineThread | undefined },
    private readonly open: { readonly size: number },
    readonly closed: Promise<ConnectionClose>,
    readonly drain: HttpServerConnection['drain'],
    readonly close: HttpServerConnection['close'],
  ) {
    this.id = identity.id;
    this.remoteAddress = identity.remoteAddress;
    this.localAddress = identity.localAddress;
    this.serverName = identity.serverName;
    this.peerCertificates = identity.peerCertificates;
    if (identity.thread) this.thread = identity.thread;
  }

  get streams(): number {
    return this.open.size;
  }

  statistics(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}
