import { type Cidr, parseCidr } from './address.js';

/** A block of addresses that a proxy does not connect to unless an operator allows it. */
export interface SpecialBlock {
  readonly cidr: Cidr;
  /** The block in the usual notation. */
  readonly block: string;
  readonly name: string;
  /** Where it is set aside. */
  readonly source: string;
}

/**
 * The IANA IPv4 and IPv6 Special-Purpose Address Registries, with multicast, what IANA keeps reserved, and one
 * cloud address. Blocks whose addresses carry an IPv4 address that is judged itself are in `address-verdict.ts`.
 */
const blocks: readonly (readonly [block: string, name: string, source: string])[] = [
  ['0.0.0.0/8', 'this network', 'RFC 791 section 3.2'],
  ['10.0.0.0/8', 'private', 'RFC 1918'],
  ['100.64.0.0/10', 'shared', 'RFC 6598'],
  ['127.0.0.0/8', 'loopback', 'RFC 1122 section 3.2.1.3'],
  ['168.63.129.16/32', 'Azure platform', 'Azure documentation'],
  ['169.254.0.0/16', 'link-local and metadata', 'RFC 3927'],
  ['172.16.0.0/12', 'private', 'RFC 1918'],
  ['192.0.0.0/24', 'protocol assignments', 'RFC 6890 section 2.1'],
  ['192.0.2.0/24', 'documentation', 'RFC 5737'],
  ['192.31.196.0/24', 'AS112', 'RFC 7535'],
  ['192.52.193.0/24', 'AMT', 'RFC 7450'],
  ['192.88.99.0/24', '6to4 relay', 'RFC 7526'],
  ['192.168.0.0/16', 'private', 'RFC 1918'],
  ['192.175.48.0/24', 'AS112', 'RFC 7534'],
  ['198.18.0.0/15', 'benchmarking', 'RFC 2544'],
  ['198.51.100.0/24', 'documentation', 'RFC 5737'],
  ['203.0.113.0/24', 'documentation', 'RFC 5737'],
  ['224.0.0.0/4', 'multicast', 'RFC 5771'],
  ['240.0.0.0/4', 'reserved', 'RFC 1112 section 4'],
  ['255.255.255.255/32', 'broadcast', 'RFC 919 section 7'],
  ['::/128', 'unspecified', 'RFC 4291 section 2.5.2'],
  ['::1/128', 'loopback', 'RFC 4291 section 2.5.3'],
  ['64:ff9b:1::/48', 'local translation', 'RFC 8215'],
  ['100::/64', 'discard only', 'RFC 6666'],
  ['100:0:0:1::/64', 'dummy prefix', 'RFC 9780'],
  ['2001::/23', 'protocol assignments', 'RFC 2928'],
  ['2001::/32', 'Teredo', 'RFC 4380'],
  ['2001:2::/48', 'benchmarking', 'RFC 5180'],
  ['2001:3::/32', 'AMT', 'RFC 7450'],
  ['2001:4:112::/48', 'AS112', 'RFC 7535'],
  ['2001:10::/28', 'ORCHID', 'RFC 4843'],
  ['2001:20::/28', 'ORCHIDv2', 'RFC 7343'],
  ['2001:30::/28', 'drone remote identification', 'RFC 9374'],
  ['2001:db8::/32', 'documentation', 'RFC 3849'],
  ['2620:4f:8000::/48', 'AS112', 'RFC 7534'],
  ['3fff::/20', 'documentation', 'RFC 9637'],
  ['5f00::/16', 'segment routing', 'RFC 9602'],
  ['fc00::/7', 'unique local', 'RFC 4193'],
  ['fe80::/10', 'link-local', 'RFC 4291 section 2.5.6'],
  ['fec0::/10', 'site-local', 'RFC 3879'],
  ['ff00::/8', 'multicast', 'RFC 4291 section 2.7'],
  // Whatever is not in 2000::/3, the only global unicast space that IANA gives out.
  ['::/3', 'reserved', 'RFC 4291 section 2.4'],
  ['4000::/2', 'reserved', 'RFC 4291 section 2.4'],
  ['8000::/1', 'reserved', 'RFC 4291 section 2.4'],
];

function read(block: string): Cidr {
  const cidr = parseCidr(block);
  if (!cidr) throw new Error(`not a block: ${block}`);
  return cidr;
}

/** Narrowest first, so that the first that holds an address names it best. */
export const specialBlocks: readonly SpecialBlock[] = blocks
  .map(([block, name, source]) => ({ cidr: read(block), block, name, source }))
  .sort((a, b) => b.cidr.prefix - a.cidr.prefix);
