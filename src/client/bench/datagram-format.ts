/*
 * The datagrams between `bauta bench` and its responder (docs/bench.md). Integers are big-endian:
 *
 *   0  "bbn1"
 *   4  kind, one byte; three bytes of zero
 *   8  cookie, 8 bytes
 *  16  run: chosen by the asking side, one for each measurement
 *  20  sequence
 *  24  time, 8 bytes, of the asking side; the responder only copies it
 *  32  what the kind adds, then padding
 */

export const HEADER = 32;
/** A hello is padded to this, so that its answer is smaller. */
export const HELLO_SIZE = 64;
export const REPORT_SIZE = 48;
export const SOURCE_SIZE = 48;
export const COOKIE_SIZE = 8;

const MAGIC = 0x62626e31;

export const kinds = {
  /** Asks for a cookie; the only kind that needs none. */
  hello: 1,
  cookie: 2,
  echo: 3,
  echoed: 4,
  /** Counted, not answered. */
  sink: 5,
  /** Asks for the counters of a run. */
  count: 6,
  /** At 32: datagrams counted, 4 bytes; datagrams sent, 4 bytes. */
  counted: 7,
  /** Asks for datagrams: at 32 how many a second, 4 bytes; at 36 their size, 2 bytes. Good for `SOURCE_GRANT`. */
  source: 8,
  sourced: 9,
} as const;

/** A responder that hears nothing more stops sending after this time, milliseconds. */
export const SOURCE_GRANT = 300;

export const smallestOf: Readonly<Record<number, number>> = {
  [kinds.hello]: HELLO_SIZE,
  [kinds.echo]: HEADER,
  [kinds.sink]: HEADER,
  [kinds.count]: REPORT_SIZE,
  [kinds.source]: SOURCE_SIZE,
};

/** The kind of a datagram of this protocol; 0 for anything else. */
export function kindOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < HEADER || readUint32(bytes, start) !== MAGIC) return 0;
  return bytes[start + 4] ?? 0;
}

export function writeHeader(bytes: Uint8Array, kind: number, cookie: Uint8Array | undefined): void {
  bytes.fill(0, 0, HEADER);
  writeUint32(bytes, 0, MAGIC);
  bytes[4] = kind;
  if (cookie) bytes.set(cookie, 8);
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  );
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
