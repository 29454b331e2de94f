import { checkField, checkFieldSyntax, isConnectionSpecific, isFieldValue, isToken } from './field-syntax.js';
import type { Fields } from './fields.js';
import { MalformedMessageError } from './malformed-message.js';
import type { RequestHead } from './request.js';

type Line = readonly [name: string, value: string];

const requestPseudoHeaders: ReadonlySet<string> = new Set([
  ':method',
  ':scheme',
  ':authority',
  ':path',
  ':protocol',
]);
/** RFC 3986 section 3.1. */
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
/** Visible ASCII without what no path, query or authority has. */
const URI_PART = /^[\x21\x24-\x7e]*$/;

/**
 * Parts a field section into pseudo-headers and fields, with the rules that requests and responses share
 * (RFC 9114 section 4.3): pseudo-headers first, known, none twice.
 */
export function splitPseudoHeaders(
  lines: Fields,
  known: ReadonlySet<string>,
): { readonly pseudo: ReadonlyMap<string, string>; readonly fields: Line[] } {
  const pseudo = new Map<string, string>();
  const fields: Line[] = [];
  for (const line of lines) {
    const [name, value] = line;
    if (!name.startsWith(':')) {
      checkField(name, value);
      fields.push(line);
      continue;
    }
    if (!known.has(name)) throw new MalformedMessageError('a pseudo-header that does not belong here');
    if (fields.length > 0) throw new MalformedMessageError(`${name} after a regular field`);
    if (pseudo.has(name)) throw new MalformedMessageError(`${name} sent twice`);
    if (!isFieldValue(value)) throw new MalformedMessageError(`a forbidden character in ${name}`);
    pseudo.set(name, value);
  }
  return { pseudo, fields };
}

function checkAuthority(authority: string): void {
  if (!URI_PART.test(authority)) throw new MalformedMessageError('a forbidden character in the authority');
  // RFC 9114 section 4.3.1: no user information.
  if (authority.includes('@')) throw new MalformedMessageError('user information in the authority');
}

/** `:authority` or Host, which must not contradict each other; Host is taken out of `fields`. */
function takeAuthority(pseudo: ReadonlyMap<string, string>, fields: Line[]): string {
  let authority = pseudo.get(':authority');
  for (let i = fields.length - 1; i >= 0; i--) {
    const [name, value] = fields[i] ?? ['', ''];
    if (name !== 'host') continue;
    // RFC 9114 section 4.3.1: if both are there, they must say the same.
    if (authority !== undefined && authority !== value) {
      throw new MalformedMessageError('a Host field that differs from the authority');
    }
    authority = value;
    fields.splice(i, 1);
  }
  // RFC 9114 section 4.3.1: an http or https request names its authority, and not as an empty one.
  if (!authority) throw new MalformedMessageError('a request without an authority');
  checkAuthority(authority);
  return authority;
}

function checkPath(path: string | undefined, method: string): string {
  if (path === undefined) throw new MalformedMessageError('a request without :path');
  if (!URI_PART.test(path)) throw new MalformedMessageError('a forbidden character in :path');
  if (!path.startsWith('/') && !(path === '*' && method === 'OPTIONS')) {
    throw new MalformedMessageError('a :path that does not begin with a slash');
  }
  return path;
}

function checkScheme(scheme: string | undefined): string {
  if (scheme === undefined) throw new MalformedMessageError('a request without :scheme');
  if (!SCHEME.test(scheme)) throw new MalformedMessageError('a :scheme that is none');
  return scheme.toLowerCase();
}

/**
 * Makes a request of an HTTP/3 or HTTP/2 field section (RFC 9114 sections 4.3.1 and 4.4, RFC 9220,
 * RFC 8441). Host becomes the authority. Throws `MalformedMessageError`.
 */
export function decodeRequest(lines: Fields): RequestHead {
  const { pseudo, fields } = splitPseudoHeaders(lines, requestPseudoHeaders);
  const method = pseudo.get(':method');
  if (method === undefined) throw new MalformedMessageError('a request without :method');
  if (!isToken(method)) throw new MalformedMessageError('a :method that is no token');
  const protocol = pseudo.get(':protocol');
  if (method === 'CONNECT' && protocol === undefined) {
    // RFC 9114 section 4.4: classic CONNECT has neither scheme nor path.
    if (pseudo.has(':scheme') || pseudo.has(':path')) {
      throw new MalformedMessageError('CONNECT with :scheme or :path, and without :protocol');
    }
    if (!pseudo.has(':authority')) throw new MalformedMessageError('CONNECT without :authority');
    return { kind: 'connect', authority: takeAuthority(pseudo, fields), fields };
  }
  // RFC 8441 section 4: the pseudo-header goes with CONNECT only.
  if (protocol !== undefined && method !== 'CONNECT') {
    throw new MalformedMessageError(':protocol with another method than CONNECT');
  }
  const scheme = checkScheme(pseudo.get(':scheme'));
  const path = checkPath(pseudo.get(':path'), method);
  const authority = takeAuthority(pseudo, fields);
  if (protocol === undefined) return { kind: 'plain', method, scheme, authority, path, fields };
  // The value is an upgrade token, with or without a version (RFC 9110 section 7.8).
  if (!protocol.split('/', 2).every(isToken)) throw new MalformedMessageError('a :protocol that is no token');
  return { kind: 'extended', protocol, scheme, authority, path, fields };
}

/**
 * Appends fields to a section that is sent, without those that belong to one HTTP/1.1 connection and Host.
 * Throws `MalformedMessageError` for a forbidden character: nothing can be smuggled in.
 */
export function appendFields(lines: Line[], fields: Fields): Fields {
  for (const line of fields) {
    const [name, value] = line;
    if (isConnectionSpecific(name) || name === 'host') continue;
    checkFieldSyntax(name, value);
    lines.push(line);
  }
  return lines;
}

/** The field section of a request in HTTP/3 or HTTP/2. Throws `MalformedMessageError`. */
export function encodeRequest(head: RequestHead): Fields {
  const lines: Line[] = [];
  checkAuthority(head.authority);
  if (head.kind === 'connect') {
    lines.push([':method', 'CONNECT'], [':authority', head.authority]);
    return appendFields(lines, head.fields);
  }
  const method = head.kind === 'plain' ? head.method : 'CONNECT';
  if (!isToken(method)) throw new MalformedMessageError('a method that is no token');
  lines.push([':method', method]);
  if (head.kind === 'extended') {
    if (!isFieldValue(head.protocol))
      throw new MalformedMessageError('a forbidden character in the protocol');
    lines.push([':protocol', head.protocol]);
  }
  lines.push(
    [':scheme', checkScheme(head.scheme)],
    [':authority', head.authority],
    [':path', checkPath(head.path, method)],
  );
  return appendFields(lines, head.fields);
}
