/** A socket address: a literal IPv4 or IPv6 address (no zone, no brackets) and a port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}
