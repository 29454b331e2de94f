/**
 * Why a tunnel's stream is aborted, said without a protocol version.
 * `codesOf` gives the codes on the wire; `reasonOf` reads them back.
 */
export type ResetReason =
  /** Nothing is wrong; the sender needs no more (only ever a STOP_SENDING). */
  | 'no-error'
  /** The one who asked no longer wants it. */
  | 'cancelled'
  /** The request was not processed and may be sent again. */
  | 'refused'
  /** The request or its content is malformed. */
  | 'message-error'
  /** HTTP datagrams were misused (RFC 9297 section 2). */
  | 'datagram-error'
  /** The target's connection failed or was reset. */
  | 'connect-error'
  /** Too much load, or a limit. */
  | 'excessive-load'
  /** A proxy failed, or a connection between two proxies was lost. */
  | 'internal-error'
  /** The peer's code has no meaning here. */
  | 'unknown';

export type HttpVersion = 'h3' | 'h2' | 'h1';

interface Codes {
  /** RFC 9114 section 8.1, RFC 9297 section 5.2. */
  readonly h3: number;
  /** RFC 9113 section 7. */
  readonly h2: number;
}

/** HTTP/1.1 has one way to abort, a TCP reset, so it needs no column. */
const table: Record<Exclude<ResetReason, 'unknown'>, Codes> = {
  'no-error': { h3: 0x100, h2: 0x0 },
  cancelled: { h3: 0x10c, h2: 0x8 },
  refused: { h3: 0x10b, h2: 0x7 },
  'message-error': { h3: 0x10e, h2: 0x1 },
  'datagram-error': { h3: 0x33, h2: 0x1 },
  'connect-error': { h3: 0x10f, h2: 0xa },
  'excessive-load': { h3: 0x107, h2: 0xb },
  'internal-error': { h3: 0x102, h2: 0x2 },
};

/** The error code of a reason in HTTP/3 or HTTP/2. */
export function codeOf(reason: ResetReason, version: 'h3' | 'h2'): number {
  return table[reason === 'unknown' ? 'internal-error' : reason][version];
}

function reasons(version: 'h3' | 'h2'): ReadonlyMap<number, ResetReason> {
  const found = new Map<number, ResetReason>();
  for (const [reason, codes] of Object.entries(table)) {
    // In HTTP/2 the code of a message error says nothing of datagrams.
    if (reason !== 'datagram-error' || version === 'h3') found.set(codes[version], reason as ResetReason);
  }
  return found;
}

const reasonsOf = { h3: reasons('h3'), h2: reasons('h2') };

/** The reason that a peer's error code stands for; `unknown` for one without a meaning here. */
export function reasonOf(code: number, version: 'h3' | 'h2'): ResetReason {
  return reasonsOf[version].get(code) ?? 'unknown';
}
