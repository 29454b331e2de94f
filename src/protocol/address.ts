/** An IP address; 4 or 16 bytes. */
export interface IpAddress {
  readonly version: 4 | 6;
  readonly bytes: Uint8Array;
}

/** A range of addresses; bits behind the prefix are zero. */
export interface Cidr {
  readonly version: 4 | 6;
  readonly bytes: Uint8Array;
  readonly prefix: number;
}

const DOT = 0x2e;
const ZERO = 0x30;
const OCTET = /^(?:0|[1-9]\d{0,2})$/;

/** A canonical dotted quad: four decimal numbers from 0 to 255 without leading zeros. Undefined for all else. */
export function parseIpv4(text: string): Uint8Array | undefined {
  // The longest has 15 characters.
  if (text.length > 15) return undefined;
  const bytes = new Uint8Array(4);
  let count = 0;
  let value = -1;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (value < 0 || count === 4) return undefined;
      bytes[count++] = value;
      value = -1;
    } else {
      const digit = code - ZERO;
      // Nothing goes behind a zero: 010 is ten to some and eight to others.
      if (!(digit >= 0 && digit <= 9) || value === 0) return undefined;
      value = value < 0 ? digit : value * 10 + digit;
      if (value > 255) return undefined;
    }
  }
  return count === 4 ? bytes : undefined;
}

/** IPv6 text (RFC 4291 section 2.2) without brackets or zone; undefined for all else. */
export function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length < 2 || text.length > 45) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [left, right] = halves.map((half, i) => groups(half, i === halves.length - 1));
  if (!left || (halves.length === 2 && !right)) return undefined;
  const tail = right ?? [];
  const missing = 16 - left.length - tail.length;
  // "::" stands for at least one group.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(left);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** The bytes of colon-separated groups, the last of which may be a dotted quad. */
function groups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':', 9);
  for (const [i, part] of parts.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) {
      const value = Number.parseInt(part, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const quad = last && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (!quad) return undefined;
    bytes.push(...quad);
  }
  return bytes.length > 16 ? undefined : bytes;
}

/** An address of either version, without brackets, port or zone; undefined for all else. */
export function parseAddress(text: string): IpAddress | undefined {
  const version = text.includes(':') ? 6 : 4;
  const bytes = version === 6 ? parseIpv6(text) : parseIpv4(text);
  return bytes && { version, bytes };
}

/** The one canonical spelling: a dotted quad, or RFC 5952. */
export function formatAddress(address: IpAddress): string {
  const { bytes } = address;
  if (address.version === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  // RFC 5952 section 5: a mapped address is written with its dotted quad.
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(12).join('.')}`;
  const values = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && values[i + run] === 0) run++;
    // RFC 5952 section 4.2: the longest run of at least two, the first of equals.
    if (run > length) {
      start = i;
      length = run;
    }
    i += run;
  }
  const text = values.map((value) => value.toString(16));
  if (start < 0) return text.join(':');
  return `${text.slice(0, start).join(':')}::${text.slice(start + length).join(':')}`;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** An IPv4-mapped IPv6 address as the IPv4 address that is dialled for it; any other as it is. */
export function unmapAddress(address: IpAddress): IpAddress {
  if (address.version === 4 || !isMapped(address.bytes)) return address;
  return { version: 4, bytes: address.bytes.slice(12) };
}

/** `ADDRESS/PREFIX`, or an address alone for just itself; bits behind the prefix are dropped. Undefined for all else. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return undefined;
  const bits = address.version === 4 ? 32 : 128;
  const length = slash < 0 ? String(bits) : text.slice(slash + 1);
  const prefix = OCTET.test(length) ? Number(length) : bits + 1;
  if (prefix > bits) return undefined;
  const bytes = address.bytes.map((byte, i) => {
    const kept = Math.min(8, Math.max(0, prefix - 8 * i));
    return byte & (0xff00 >> kept);
  });
  return { version: address.version, bytes, prefix };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr)}/${cidr.prefix}`;
}

/** True when the range holds the address. No conversion between versions: see `unmapAddress`. */
export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (cidr.version !== address.version) return false;
  const whole = cidr.prefix >> 3;
  for (let i = 0; i < whole; i++) if (cidr.bytes[i] !== address.bytes[i]) return false;
  const rest = cidr.prefix & 7;
  if (rest === 0) return true;
  return (((cidr.bytes[whole] ?? 0) ^ (address.bytes[whole] ?? 0)) & (0xff00 >> rest) & 0xff) === 0;
}
