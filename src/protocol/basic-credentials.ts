/** A name and a password (RFC 7617). */
export interface BasicCredentials {
  readonly name: string;
  readonly password: string;
}

/** token68 of RFC 9110 section 11.2, as far as it is base64. */
const VALUE = /^Basic +([A-Za-z0-9+/]+={0,2})$/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\x00-\x1f\x7f]/;

/** True for what can be sent: no control characters, no colon in the name (RFC 7617 section 2). */
export function areBasicCredentials({ name, password }: BasicCredentials): boolean {
  return !name.includes(':') && !CONTROL.test(name) && !CONTROL.test(password);
}

/** The value of Authorization or Proxy-Authorization, in UTF-8; throws `RangeError` for what cannot be sent. */
export function formatBasicCredentials(credentials: BasicCredentials): string {
  if (!areBasicCredentials(credentials))
    throw new RangeError('credentials with a character that cannot be sent');
  const { name, password } = credentials;
  return `Basic ${Buffer.from(`${name}:${password}`, 'utf8').toString('base64')}`;
}

/** Reads such a value; undefined for another scheme, broken base64, broken UTF-8 or control characters. */
export function parseBasicCredentials(value: string): BasicCredentials | undefined {
  const encoded = VALUE.exec(value)?.[1];
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  const text = bytes.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(bytes)) return undefined;
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  const credentials = { name: text.slice(0, colon), password: text.slice(colon + 1) };
  return areBasicCredentials(credentials) ? credentials : undefined;
}
