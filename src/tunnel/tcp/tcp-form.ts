import type { ConnectTcpRevision } from '../../protocol/connect-tcp.js';

/** How a TCP tunnel is asked for, and with it how its bytes travel. */
export type TcpForm =
  /** Classic CONNECT (RFC 9110 section 9.3.6): the stream's content is the bytes. */
  | { readonly kind: 'connect' }
  /** draft-ietf-httpbis-connect-tcp: the bytes are in DATA and FINAL_DATA capsules. */
  | { readonly kind: 'connect-tcp'; readonly revision: ConnectTcpRevision };
