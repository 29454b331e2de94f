import { cidrContains, formatAddress, type IpAddress, parseCidr } from './address.js';
import { specialBlocks } from './special-blocks.js';

/** What the built-in rules say of an address. */
export type AddressVerdict =
  | { readonly kind: 'allowed' }
  | {
      readonly kind: 'refused';
      /** The block, in the usual notation. */
      readonly block: string;
      /** What the block is for. */
      readonly name: string;
      /** The document that sets it aside. */
      readonly source: string;
      /** The IPv4 address inside, where that is what was refused. */
      readonly embedded?: string;
    };

/** Blocks of IPv6 addresses that lead to an IPv4 address, and where in the 16 bytes that stands. */
const embeddings = (
  [
    ['::ffff:0:0/96', 12], // mapped, RFC 4291 section 2.5.5.2
    ['64:ff9b::/96', 12], // well-known translation prefix, RFC 6052
    ['2002::/16', 2], // 6to4, RFC 3056
    ['::/96', 12], // compatible, RFC 4291 section 2.5.5.1
  ] as const
).map(([block, offset]) => ({ cidr: parseCidr(block), offset }));

const ALLOWED: AddressVerdict = { kind: 'allowed' };

/** Unspecified and loopback are inside the compatible block and no IPv4 addresses. */
function isZeroOrOne(bytes: Uint8Array): boolean {
  return bytes.every((byte, i) => byte === 0 || (i === 15 && byte === 1));
}

/** The IPv4 address that an IPv6 address of a transition mechanism leads to; undefined for others. */
export function embeddedIpv4(address: IpAddress): IpAddress | undefined {
  if (address.version === 4 || isZeroOrOne(address.bytes)) return undefined;
  for (const { cidr, offset } of embeddings) {
    if (cidr && cidrContains(cidr, address)) {
      return { version: 4, bytes: address.bytes.slice(offset, offset + 4) };
    }
  }
  return undefined;
}

/** True for an address that was set aside for documents (RFC 5737, RFC 3849, RFC 9637): nobody has it. */
export function isNobodys(address: IpAddress): boolean {
  const verdict = judgeAddress(address);
  return verdict.kind === 'refused' && verdict.name === 'documentation';
}

/**
 * Judges the address that will be dialled by the built-in refusals: every special-use block of IPv4 and IPv6,
 * also where an IPv6 address only wraps it. The proxy's own addresses are not known here.
 */
export function judgeAddress(address: IpAddress): AddressVerdict {
  const embedded = embeddedIpv4(address);
  if (embedded) {
    const verdict = judgeAddress(embedded);
    return verdict.kind === 'allowed' ? verdict : { ...verdict, embedded: formatAddress(embedded) };
  }
  for (const { cidr, block, name, source } of specialBlocks) {
    if (cidrContains(cidr, address)) return { kind: 'refused', block, name, source };
  }
  return ALLOWED;
}
