import { type Cidr, cidrContains, type IpAddress, parseCidr, unmapAddress } from '../protocol/address.js';
import { BautaError } from '../protocol/bauta-error.js';

/** One entry of an allow, only or deny list. */
export interface TargetRule {
  /** As it was written. */
  readonly text: string;
  /** True where the rule speaks of addresses: alone, or of a name's. */
  readonly hasAddresses: boolean;
  /** True where the rule speaks of names. */
  readonly hasName: boolean;
  /** The name is one that the rule speaks of; a rule of addresses only fits every name. */
  fitsName(name: string | undefined): boolean;
  /** The address is one that the rule speaks of; a rule of names only fits every address. */
  fitsAddress(address: IpAddress): boolean;
}

const label = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

function nameMatcher(pattern: string): ((name: string) => boolean) | undefined {
  const lower = pattern.toLowerCase().replace(/\.$/, '');
  const wildcard = lower.startsWith('*.');
  const base = wildcard ? lower.slice(2) : lower;
  const labels = base.split('.');
  if (base.length > 253 || !labels.every((part) => label.test(part))) return undefined;
  // A cut address, say 10.0.0, is a mistake and not a name.
  if (/^\d+$/.test(labels.at(-1) ?? '')) return undefined;
  return wildcard ? (name) => name.endsWith(`.${base}`) : (name) => name === base;
}

/** A block of IPv4-mapped addresses as the IPv4 block that it is: what is judged is never a mapped address. */
function unmapCidr(cidr: Cidr): Cidr {
  const { version, bytes } = unmapAddress(cidr);
  return version === cidr.version || cidr.prefix < 96 ? cidr : { version, bytes, prefix: cidr.prefix - 96 };
}

/**
 * Reads `CIDR`, an address, `NAME`, `*.NAME` (the names below it), or `NAME@CIDR` (a name's addresses within
 * the block). Throws `BautaError` ERR_USAGE.
 */
export function parseTargetRule(text: string): TargetRule {
  const at = text.indexOf('@');
  const written = parseCidr(at < 0 ? text : text.slice(at + 1));
  const cidr = written && unmapCidr(written);
  const name = at < 0 && cidr ? undefined : nameMatcher(at < 0 ? text : text.slice(0, at));
  if ((at >= 0 && !(cidr && name)) || !(cidr || name)) {
    throw new BautaError('ERR_USAGE', { detail: `${text} is not CIDR, NAME or NAME@CIDR` });
  }
  return {
    text,
    hasAddresses: cidr !== undefined,
    hasName: name !== undefined,
    fitsName: (candidate) => name === undefined || (candidate !== undefined && name(candidate)),
    fitsAddress: (candidate) => cidr === undefined || cidrContains(cidr, candidate),
  };
}
