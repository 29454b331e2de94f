/** RFC 3986 section 2.3. */
const UNRESERVED = /[A-Za-z0-9._~-]/;

/** Percent-encodes all but unreserved characters, as a simple expansion does (RFC 6570 section 3.2.2). */
export function percentEncode(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const character = String.fromCharCode(byte);
    encoded += UNRESERVED.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Decodes percent-encoded UTF-8; undefined when it is none. */
export function percentDecode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
