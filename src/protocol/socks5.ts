import { formatAddress, parseAddress } from './address.js';
import { areBasicCredentials, type BasicCredentials } from './basic-credentials.js';

/** What bytes that came so far are: not all yet, a message that ends at `end`, or nothing that can become one. */
export type Socks5Read<T> =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'message'; readonly message: T; readonly end: number }
  | { readonly kind: 'malformed'; readonly detail: string };

/** A host as it stands in a message, an address in canonical spelling or a name as it came, and a port. */
export interface Socks5Address {
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

export type Socks5Command = 'connect' | 'bind' | 'udp-associate';

export interface Socks5Request {
  /** Undefined for a command that RFC 1928 does not have. */
  readonly command: Socks5Command | undefined;
  /** Undefined for an address type that RFC 1928 does not have; the message then ends with the type. */
  readonly address: Socks5Address | undefined;
}

/** Where the payload of a datagram begins, and whose it is. */
export interface Socks5DatagramHead {
  /** Not 0 in a fragment. */
  readonly fragment: number;
  /** First byte of the address: its type. The address ends where the payload starts. */
  readonly addressStart: number;
  readonly payloadStart: number;
}

/** The version of RFC 1928, and that of its sub-negotiation (RFC 1929). */
export const SOCKS_VERSION = 5;
const LOGIN_VERSION = 1;

/** Authentication methods (RFC 1928 section 3). */
export const socks5Methods = { none: 0, password: 2, noneAcceptable: 0xff } as const;

/** Replies (RFC 1928 section 6) that do not come from the error table. */
export const socks5Replies = { succeeded: 0, commandNotSupported: 7, addressNotSupported: 8 } as const;

const commands: readonly (Socks5Command | undefined)[] = [undefined, 'connect', 'bind', 'udp-associate'];
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** Longest message of a client: user and password of 255 bytes each. */
export const MAX_SOCKS5_MESSAGE = 513;
/** Longest head of a datagram: a name of 255 bytes. */
export const MAX_SOCKS5_DATAGRAM_HEAD = 262;

const incomplete = { kind: 'incomplete' } as const;

function malformed(detail: string): { readonly kind: 'malformed'; readonly detail: string } {
  return { kind: 'malformed', detail };
}

/** The client's first message: the methods that it offers (RFC 1928 section 3). */
export function readSocks5Greeting(
  bytes: Uint8Array,
  start: number,
  end: number,
): Socks5Read<readonly number[]> {
  if (end - start < 1) return incomplete;
  if (bytes[start] !== SOCKS_VERSION) return malformed(`version ${bytes[start]}`);
  const last = start + 2 + (bytes[start + 1] ?? 0);
  if (end < start + 2 || end < last) return incomplete;
  return { kind: 'message', message: [...bytes.slice(start + 2, last)], end: last };
}

/** Name and password (RFC 1929 section 2), in UTF-8. */
export function readSocks5Login(bytes: Uint8Array, start: number, end: number): Socks5Read<BasicCredentials> {
  if (end - start < 1) return incomplete;
  if (bytes[start] !== LOGIN_VERSION) return malformed(`version ${bytes[start]} of the login`);
  if (end < start + 2) return incomplete;
  const nameEnd = start + 2 + (bytes[start + 1] ?? 0);
  if (end < nameEnd + 1) return incomplete;
  const last = nameEnd + 1 + (bytes[nameEnd] ?? 0);
  if (end < last) return incomplete;
  const message = {
    name: text(bytes, start + 2, nameEnd),
    password: text(bytes, nameEnd + 1, last),
  };
  if (!areBasicCredentials(message)) return malformed('a character in the login that none can have');
  return { kind: 'message', message, end: last };
}

/** What the client wants (RFC 1928 section 4). */
export function readSocks5Request(bytes: Uint8Array, start: number, end: number): Socks5Read<Socks5Request> {
  if (end - start < 1) return incomplete;
  if (bytes[start] !== SOCKS_VERSION) return malformed(`version ${bytes[start]}`);
  if (end < start + 4) return incomplete;
  const command = commands[bytes[start + 1] ?? 0];
  const length = addressLength(bytes, start + 3, end);
  if (length === 'unknown') {
    return { kind: 'message', message: { command, address: undefined }, end: start + 4 };
  }
  if (length === 'incomplete' || end < start + 3 + length) return incomplete;
  const last = start + 3 + length;
  return {
    kind: 'message',
    message: { command, address: readSocks5Address(bytes, start + 3, last) },
    end: last,
  };
}

/**
 * The head of a datagram between client and relay (RFC 1928 section 7); undefined where it is cut short or its
 * address is of an unknown type.
 */
export function readSocks5DatagramHead(
  bytes: Uint8Array,
  start: number,
  end: number,
): Socks5DatagramHead | undefined {
  const addressStart = start + 3;
  const length = addressLength(bytes, addressStart, end);
  if (typeof length !== 'number' || addressStart + length > end) return undefined;
  return { fragment: bytes[start + 2] ?? 0, addressStart, payloadStart: addressStart + length };
}

/** Bytes from the type of an address to the end of its port. */
function addressLength(bytes: Uint8Array, start: number, end: number): number | 'incomplete' | 'unknown' {
  if (end <= start) return 'incomplete';
  switch (bytes[start]) {
    case IPV4:
      return 7;
    case IPV6:
      return 19;
    case NAME:
      return end < start + 2 ? 'incomplete' : 4 + (bytes[start + 1] ?? 0);
    default:
      return 'unknown';
  }
}

/** A whole address, from its type to the end of its port. */
export function readSocks5Address(bytes: Uint8Array, start: number, end: number): Socks5Address {
  const port = ((bytes[end - 2] ?? 0) << 8) | (bytes[end - 1] ?? 0);
  if (bytes[start] === NAME) return { host: text(bytes, start + 2, end - 2), port };
  const version = bytes[start] === IPV4 ? 4 : 6;
  return { host: formatAddress({ version, bytes: bytes.slice(start + 1, end - 2) }), port };
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.slice(start, end)).toString('utf8');
}

/** The proxy's choice of a method, or `noneAcceptable` (RFC 1928 section 3). */
export function socks5Choice(method: number): Uint8Array {
  return Uint8Array.of(SOCKS_VERSION, method);
}

/** The answer to a login; after a refusal the connection is closed (RFC 1929 section 2). */
export function socks5LoginAnswer(accepted: boolean): Uint8Array {
  return Uint8Array.of(LOGIN_VERSION, accepted ? 0 : 1);
}

/** The answer to a request, with the address it is bound to where that is known (RFC 1928 section 6). */
export function socks5Reply(reply: number, bound: Socks5Address = { host: '0.0.0.0', port: 0 }): Uint8Array {
  const address = parseAddress(bound.host);
  if (!address) throw new RangeError(`${bound.host} is not an address`);
  return Uint8Array.of(
    SOCKS_VERSION,
    reply,
    0,
    address.version === 4 ? IPV4 : IPV6,
    ...address.bytes,
    bound.port >> 8,
    bound.port & 0xff,
  );
}

/** The answer of a SOCKS4 proxy to whatever it refuses. */
export function socks4Refusal(): Uint8Array {
  return Uint8Array.of(0, 0x5b, 0, 0, 0, 0, 0, 0);
}
