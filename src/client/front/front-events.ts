import type { BautaError } from '../../protocol/bauta-error.js';
import type { SocketAddress } from '../../quic/address.js';

/** What an app asked a front-end for. */
export interface FrontSubject {
  /** The app's address. */
  readonly app: SocketAddress;
  readonly network: 'tcp' | 'udp';
  /** `HOST:PORT`, as the app wrote it. */
  readonly target: string;
}

/** What a front-end tells. */
export type FrontEvent =
  | ({ readonly type: 'tunnel-opened' } & FrontSubject)
  | ({
      readonly type: 'tunnel-closed';
      readonly how: 'ended' | 'reset' | 'lost' | 'idle';
      /** What moved what it carried. */
      readonly dataPath: 'js' | 'splice';
    } & FrontSubject)
  | ({ readonly type: 'tunnel-failed'; readonly error: BautaError } & FrontSubject)
  /** Something that is no request, or a request of somebody who may not ask. */
  | { readonly type: 'app-refused'; readonly app: SocketAddress; readonly detail: string };
