import type { Fields } from './fields.js';
import { MalformedMessageError } from './malformed-message.js';

/** RFC 9110 section 5.6.2, in lower case as HTTP/2 and HTTP/3 demand of names. */
const LOWER_CASE_TOKEN = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
/** RFC 9110 section 5.5: visible characters and obs-text, blanks and tabs only in between. */
const FIELD_VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

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
  return TOKEN.test(text);
}

/** True for what a field value may be (RFC 9110 section 5.5). */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/** Throws `MalformedMessageError` for a name or value with characters that it must not have. */
export function checkFieldSyntax(name: string, value: string): void {
  // RFC 9114 section 4.2: names in lower case; section 10.3: no character outside the grammar.
  if (!LOWER_CASE_TOKEN.test(name))
    throw new MalformedMessageError('a field name with a forbidden character');
  if (!FIELD_VALUE.test(value)) {
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
