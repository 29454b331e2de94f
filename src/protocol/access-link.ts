import { areBasicCredentials, type BasicCredentials } from './basic-credentials.js';
import { BautaError } from './bauta-error.js';
import { percentDecode, percentEncode } from './percent-encoding.js';
import { canonicalPin } from './pin.js';
import { formatHostPort, parseTarget, type Target } from './target.js';
import { defaultTemplates, parseTemplate } from './template.js';

/** Names a proxy: `https://NAME:PASSWORD@HOST:PORT/#pin=sha256-…`. */
export interface AccessLink {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly user: BasicCredentials | undefined;
  /** The public key must be one of these; none: the certificate is checked. */
  readonly pins: readonly string[];
  /** Path of another URI template than the default one. */
  readonly template: string | undefined;
}

const DEFAULT_PORT = 443;

/** No detail ever has a part of the link that could be a secret. */
function wrong(detail: string): BautaError {
  return new BautaError('ERR_LINK', { detail });
}

function decode(text: string, what: string): string {
  const decoded = percentDecode(text);
  if (decoded === undefined) throw wrong(`${what} has a broken percent sign; write %25 for one`);
  return decoded;
}

function parseUser(text: string | undefined): BasicCredentials | undefined {
  if (text === undefined) return undefined;
  const colon = text.indexOf(':');
  if (colon < 0) throw wrong('a name without a password');
  const name = decode(text.slice(0, colon), 'the name');
  const password = decode(text.slice(colon + 1), 'the password');
  if (name === '') throw wrong('an empty name');
  if (password === '') throw wrong('an empty password');
  if (!areBasicCredentials({ name, password })) {
    throw wrong('a colon in the name, or a control character in name or password');
  }
  return { name, password };
}

function parseHost(text: string): Target {
  if (text === '') throw wrong('the host is missing');
  try {
    return parseTarget(text, DEFAULT_PORT);
  } catch (error) {
    if (!(error instanceof BautaError)) throw error;
    throw wrong(
      'after the name and password come a host and a port; in a password write %40 for @, %2F for /',
    );
  }
}

function parsePath(path: string): string | undefined {
  if (path === '' || path === '/') return undefined;
  if (!path.includes('{')) throw wrong('a path that is no URI template');
  try {
    parseTemplate(path);
  } catch (error) {
    if (!(error instanceof BautaError)) throw error;
    throw wrong('the path is no URI template with {target_host} and {target_port}');
  }
  return path === defaultTemplates.udp ? undefined : path;
}

function parsePins(fragment: string | undefined): string[] {
  if (fragment === undefined || fragment === '') return [];
  const pins = new Set<string>();
  for (const item of fragment.split('&')) {
    const equals = item.indexOf('=');
    const key = equals < 0 ? item : item.slice(0, equals);
    if (key !== 'pin') throw wrong('after # only pin=… is known');
    const pin = canonicalPin(decode(item.slice(equals + 1), 'the pin'));
    // A pin that is not understood must not turn into no pin at all.
    if (equals < 0 || pin === undefined) throw wrong('a pin is sha256- and 43 characters of base64url');
    pins.add(pin);
  }
  return [...pins];
}

/** Reads an access link; throws `BautaError` ERR_LINK, whose text repeats no part of the credentials. */
export function parseAccessLink(text: string): AccessLink {
  if (!/^[\x21-\x7e]*$/.test(text)) throw wrong('a blank, or a character that must be percent-encoded');
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(?:([^@/?#]*)@)?([^/?#]*)([^#]*)(?:#(.*))?$/.exec(text);
  const [, scheme = '', user, host = '', path = '', fragment] = match ?? [];
  if (!match || scheme.toLowerCase() !== 'https') throw wrong('it does not begin with https://');
  const target = parseHost(host);
  return {
    host: target.host,
    port: target.port,
    user: parseUser(user),
    pins: parsePins(fragment),
    template: parsePath(path),
  };
}

function write(link: AccessLink, user: string): string {
  const path = link.template === undefined || link.template === defaultTemplates.udp ? '/' : link.template;
  const pins = link.pins.map((pin) => `pin=${pin}`).join('&');
  const authority = formatHostPort(link.host, link.port);
  return `https://${user}${authority}${path}${pins === '' ? '' : `#${pins}`}`;
}

/** The link as text, with its password. */
export function formatAccessLink(link: AccessLink): string {
  const { user } = link;
  return write(link, user ? `${percentEncode(user.name)}:${percentEncode(user.password)}@` : '');
}

/** The link as it may be shown and logged: the password is replaced. */
export function redactAccessLink(link: AccessLink): string {
  return write(link, link.user ? `${percentEncode(link.user.name)}:***@` : '');
}

/** Any text, such as a mistyped link: in each word what stands between `//` and the last `@` is replaced. */
export function redactLinks(text: string): string {
  return text.replace(/\S+/g, (word) => {
    const from = word.indexOf('//');
    const to = word.lastIndexOf('@');
    return from < 0 || to < from ? word : `${word.slice(0, from)}//***${word.slice(to)}`;
  });
}
