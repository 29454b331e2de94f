import { formatAddress, parseAddress } from './address.js';
import { BautaError } from './bauta-error.js';

/** A host and a port to reach, in canonical spelling. */
export interface Target {
  readonly kind: 'ipv4' | 'ipv6' | 'name';
  /** An address without brackets in its canonical form, or a name in lower case without a final dot. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
  /**
   * A name that some resolvers take for an IPv4 address (`127.1`, `0x7f.1`, `0177.0.0.1`, other digits). It is
   * resolved as any name, and a rule must judge the address that comes out of it.
   */
  readonly disguisedAddress: boolean;
}

function wrong(detail: string): BautaError {
  return new BautaError('ERR_TARGET_SYNTAX', { detail });
}

const PORT = /^[1-9]\d{0,4}$/;
/** Letters, digits, hyphen and, as names of services have it, the underscore (RFC 1123 section 2.1, RFC 8552). */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** The last label of what resolvers in the C tradition read as a number (WHATWG URL, "ends in a number"). */
const NUMERIC_LABEL = /^(?:\d+|0x[0-9a-f]*)$/;

/** A port from 1 to 65535 in decimal (RFC 9298 section 3); throws `BautaError` ERR_TARGET_SYNTAX. */
export function parsePort(text: string): number {
  const port = PORT.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw wrong('the port is not a number from 1 to 65535');
  return port;
}

function endsInNumber(name: string): boolean {
  return NUMERIC_LABEL.test(name.slice(name.lastIndexOf('.') + 1));
}

/** A name of other letters as its A-labels; undefined for what is none, or only dresses up a number. */
function toAscii(name: string): string | undefined {
  const plain = name.normalize('NFKC').toLowerCase().replaceAll('\u3002', '.').replace(/\.$/, '');
  if (endsInNumber(plain)) return undefined;
  if (!URL.canParse(`http://${name}/`)) return undefined;
  const ascii = new URL(`http://${name}/`).hostname.replace(/\.$/, '');
  return endsInNumber(ascii) ? undefined : ascii;
}

function nameTarget(text: string, port: number): Target {
  let name = text.toLowerCase();
  if (name.endsWith('.')) name = name.slice(0, -1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
  if (!/^[\x00-\x7f]*$/.test(name)) {
    const ascii = /[\s/?#@:%[\]\\]/.test(name) ? undefined : toAscii(name);
    if (ascii === undefined) throw wrong('the name has characters that no host name has');
    name = ascii;
  }
  if (name.length > 253 || !name.split('.').every((label) => LABEL.test(label))) {
    throw wrong('the host is neither a name nor an address');
  }
  return { kind: 'name', host: name, port, disguisedAddress: endsInNumber(name) };
}

/**
 * A host without brackets and a port, as decoded from a template's variables (RFC 9298 section 3): the host is
 * not empty, an IPv6 address has no zone. Throws `BautaError` ERR_TARGET_SYNTAX.
 */
export function makeTarget(host: string, port: number | string): Target {
  const number = parsePort(String(port));
  if (host === '') throw wrong('the host is empty');
  if (host.includes('%')) throw wrong('an address with a zone');
  const address = parseAddress(host);
  if (address) {
    const kind = address.version === 4 ? 'ipv4' : 'ipv6';
    return { kind, host: formatAddress(address), port: number, disguisedAddress: false };
  }
  if (host.includes(':')) throw wrong('not an IPv6 address');
  return nameTarget(host, number);
}

/**
 * `HOST:PORT` or `[IPV6]:PORT`, as people type it and classic CONNECT has it. `defaultPort` stands in for a
 * missing port. Throws `BautaError` ERR_TARGET_SYNTAX.
 */
export function parseTarget(text: string, defaultPort?: number): Target {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text);
  if (!match) {
    throw wrong(parseAddress(text) ? 'an IPv6 address needs brackets' : 'not HOST:PORT or [IPV6]:PORT');
  }
  const [, bracketed, bare = '', port] = match;
  if (bracketed !== undefined && !bracketed.includes(':')) throw wrong('brackets are for IPv6 addresses');
  if (port === undefined && defaultPort === undefined) throw wrong('the port is missing');
  return makeTarget(bracketed ?? bare, port ?? defaultPort ?? 0);
}

/** `HOST:PORT` with brackets around an IPv6 address. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function formatTarget(target: Target): string {
  return formatHostPort(target.host, target.port);
}
