import type { ResponseHead } from '../http/request.js';
import type { BautaError } from '../protocol/bauta-error.js';
import type { TransportConnection } from '../upstream/transport.js';

/** What came of asking a hop for a tunnel. */
export type HopAnswer<Far> =
  | {
      readonly kind: 'open';
      readonly far: Far;
      readonly head: ResponseHead;
      readonly connection: TransportConnection;
    }
  | { readonly kind: 'refused'; readonly head: ResponseHead; readonly connection: TransportConnection }
  /** The hop was not reached, or broke off before it answered. */
  | { readonly kind: 'failed'; readonly error: BautaError };
