const PIN = /^sha256-([A-Za-z0-9+/_-]{43})=?$/;

/**
 * A pin in its one form, `sha256-` and the unpadded base64url of the SHA-256 of a public key (SPKI). Plain
 * base64 is taken too; undefined for anything else.
 */
export function canonicalPin(text: string): string | undefined {
  const digest = PIN.exec(text)?.[1];
  if (digest === undefined) return undefined;
  // Through the bytes, so that unused bits of the last character make no second spelling.
  return `sha256-${Buffer.from(digest, 'base64url').toString('base64url')}`;
}
