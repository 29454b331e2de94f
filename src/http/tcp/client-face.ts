import type { ConnectionClose, HttpClientConnection, PeerSettings } from '../connection.js';

/** What a client's connection over TCP does. */
export interface ClientActs extends Pick<HttpClientConnection, 'open' | 'ping' | 'drain' | 'close'> {
  usable(): boolean;
  streams(): number;
  readonly holdProcess?: ((hold: boolean) => void) | undefined;
}

/** A connection over TCP as its client sees it. A class because there are thousands. */
export class ClientFace implements HttpClientConnection {
  readonly open: HttpClientConnection['open'];
  readonly ping: HttpClientConnection['ping'];
  readonly drain: HttpClientConnection['drain'];
  readonly close: HttpClientConnection['close'];
  readonly holdProcess?: (hold: boolean) => void;

  constructor(
    readonly version: 'h1' | 'h2',
    readonly remoteAddress: HttpClientConnection['remoteAddress'],
    public settings: PeerSettings,
    readonly closed: Promise<ConnectionClose>,
    private readonly acts: ClientActs,
  ) {
    this.open = acts.open;
    this.ping = acts.ping;
    this.drain = acts.drain;
    this.close = acts.close;
    if (acts.holdProcess) this.holdProcess = acts.holdProcess;
  }

  get usable(): boolean {
    return this.acts.usable();
  }

  get streams(): number {
    return this.acts.streams();
  }

  statistics(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}
