import { formatAddress, parseAddress, unmapAddress } from '../../protocol/address.js';
import type { SocketAddress } from '../../quic/address.js';

/** A socket address as its family writes it: IPv4 on a dual-stack socket without `::ffff:`. */
export function unmapped({ address, port }: SocketAddress): SocketAddress {
  const parsed = parseAddress(address);
  return { address: parsed ? formatAddress(unmapAddress(parsed)) : address, port };
}
