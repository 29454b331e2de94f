/** Frame types (RFC 9113 section 6). */
export const h2FrameTypes = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

export const h2Flags = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

/** Settings (RFC 9113 section 6.5.2, RFC 8441 section 3). */
export const h2SettingIds = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
  ENABLE_CONNECT_PROTOCOL: 0x8,
} as const;

/** What a client says first (RFC 9113 section 3.4). */
export const h2Preface: Uint8Array = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Bytes before each frame's payload (RFC 9113 section 4.1). */
export const H2_FRAME_HEADER = 9;
/** What a flow-control window starts with, and the most that it may be (RFC 9113 section 6.9). */
export const H2_WINDOW = 65_535;
export const H2_LARGEST_WINDOW = 0x7fff_ffff;
/** The least SETTINGS_MAX_FRAME_SIZE, which is also its value where nothing was said, and the greatest. */
export const H2_FRAME_SIZE = 16_384;
export const H2_LARGEST_FRAME_SIZE = 0xff_ffff;
/** Above every stream. */
export const H2_LARGEST_STREAM = 0x7fff_ffff;

export function readUint32(bytes: Uint8Array, at: number): number {
  const high = (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) * 0x1_0000;
  return high + (((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0));
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function writeH2FrameHeader(
  bytes: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  writeUint32(bytes, at + 5, stream);
}

/** The payload of a SETTINGS frame (RFC 9113 section 6.5.1). */
export function encodeH2Settings(values: { readonly [id: number]: number }): Uint8Array {
  const entries = Object.entries(values);
  const bytes = new Uint8Array(6 * entries.length);
  for (const [index, [id, value]] of entries.entries()) {
    const at = 6 * index;
    bytes[at] = Number(id) >>> 8;
    bytes[at + 1] = Number(id);
    writeUint32(bytes, at + 2, value);
  }
  return bytes;
}
