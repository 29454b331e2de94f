import type { Fields } from './fields.js';
import { MalformedMessageError } from './malformed-message.js';

/** Of tokens (RFC 9110 section 5.6.2) but for capitals; of tokens; visible or obs-text (section 5.5); blank. */
const [LOWER, TOKEN, VISIBLE, BLANK] = [1, 2, 4, 8] as const;
/** What each character is, of which there are hundreds in a request: a table is faster than expressions. */
const kinds = new Uint8Array(256);
kinds.fill(VISIBLE, 0x21);
kinds[0x7f] = 0;
kinds[0x09] = kinds[0x20] = BLANK;
for (const character of "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") {
  kinds[character.charCodeAt(0)] = LOWER | TOKEN | VISIBLE;
}
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') kinds[character.charCodeAt(0)] = TOKEN | VISIBLE;

function isOf(text: string, at: number, kind: number): boolean {
  return ((kinds[text.charCodeAt(at)] ?? 0) & kind) !== 0;
}

function consistsOf(text: string, kind: number): boolean {
  for (let i = 0; i < text.length; i++) if (!isOf(text, i, kind)) return false;
  return true;
}

/** Fields that speak of one HTTP/1.1 connection (RFC 9114 section 4.2, RFC 9113 section 8.2.2). */
const connectionSpecific: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** True for a field that must not appear in HTTP/2 and HTTP/3, and is never copied into them. */
export function isConnectionSpecific(name: string): boolean {
  return connectionSpecific.has(name);
}

/** True for a token (RFC 9110 section 5.6.2), such as a method. */
export function isToken(text: string): boolean {
  return text !== '' && consistsOf(text, TOKEN);
}

/** True for what a field value may be (RFC 9110 section 5.5): blanks and tabs stand only in between. */
export function isFieldValue(text: string): boolean {
  const bounded = isOf(text, 0, VISIBLE) && isOf(text, text.length - 1, VISIBLE);
  return text === '' || (bounded && consistsOf(text, VISIBLE | BLANK));
}

/** Throws `MalformedMessageError` for a name or value with characters that it must not have. */
export function checkFieldSyntax(name: string, value: string): void {
  // RFC 9114 section 4.2: names in lower case; section 10.3: no character outside the grammar.
  if (name === '' || !consistsOf(name, LOWER))
    throw new MalformedMessageError('a field name with a forbidden character');
  if (!isFieldValue(value)) {
    throw new MalformedMessageError(`a forbidden character in the value of ${name}`);
  }
}

/** Throws `MalformedMessageError` for a field that HTTP/2 and HTTP/3 messages must not have. */
export function checkField(name: string, value: string): void {
  checkFieldSyntax(name, value);
  // RFC 9114 section 4.2, RFC 9113 section 8.2.2.
  if (connectionSpecific.has(name)) throw new MalformedMessageError(`the connection-specific field ${name}`);
  if (name === 'te' && value.toLowerCase() !== 'trailers') {
    throw new MalformedMessageError('a TE field other than "trailers"');
  }
}

/** A trailer section: no pseudo-headers (RFC 9114 section 4.3). Throws `MalformedMessageError`. */
export function checkTrailers(fields: Fields): void {
  for (const [name, value] of fields) checkField(name, value);
}

/**
 * The value of Content-Length; undefined when absent. The same value repeated counts once (RFC 9110
 * section 8.6); throws `MalformedMessageError` for another, or for anything but digits.
 */
export function contentLength(fields: Fields): number | undefined {
  let length: number | undefined;
  for (const [name, value] of fields) {
    if (name !== 'content-length') continue;
    for (const part of value.split(',')) {
      const text = part.trim();
      const given = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      if (!Number.isSafeInteger(given) || (length !== undefined && length !== given)) {
        throw new MalformedMessageError('an unusable Content-Length');
      }
      length = given;
    }
  }
  return length;
}
