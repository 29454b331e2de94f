/** Error codes of HTTP/3: RFC 9114 section 8.1, RFC 9204 section 6, RFC 9297 section 5.2. */
export const h3ErrorCodes = {
  H3_DATAGRAM_ERROR: 0x33,
  H3_NO_ERROR: 0x100,
  H3_GENERAL_PROTOCOL_ERROR: 0x101,
  H3_INTERNAL_ERROR: 0x102,
  H3_STREAM_CREATION_ERROR: 0x103,
  H3_CLOSED_CRITICAL_STREAM: 0x104,
  H3_FRAME_UNEXPECTED: 0x105,
  H3_FRAME_ERROR: 0x106,
  H3_EXCESSIVE_LOAD: 0x107,
  H3_ID_ERROR: 0x108,
  H3_SETTINGS_ERROR: 0x109,
  H3_MISSING_SETTINGS: 0x10a,
  H3_REQUEST_REJECTED: 0x10b,
  H3_REQUEST_CANCELLED: 0x10c,
  H3_REQUEST_INCOMPLETE: 0x10d,
  H3_MESSAGE_ERROR: 0x10e,
  H3_CONNECT_ERROR: 0x10f,
  H3_VERSION_FALLBACK: 0x110,
  QPACK_DECOMPRESSION_FAILED: 0x200,
  QPACK_ENCODER_STREAM_ERROR: 0x201,
  QPACK_DECODER_STREAM_ERROR: 0x202,
} as const;

export type H3ErrorName = keyof typeof h3ErrorCodes;

/** The name of a code, or its number in hexadecimal when it has none here. */
export function h3ErrorName(code: number): string {
  for (const [name, known] of Object.entries(h3ErrorCodes)) if (known === code) return name;
  return `0x${code.toString(16)}`;
}

/** A peer broke HTTP/3; says what has to be ended and with which code (RFC 9114 section 8). */
export class H3Error extends Error {
  override readonly name = 'H3Error';
  /** The code on the wire. */
  readonly code: number;

  constructor(
    readonly codeName: H3ErrorName,
    detail: string,
    /** `stream`: only the request's stream is aborted, the connection is unharmed. */
    readonly scope: 'connection' | 'stream' = 'connection',
  ) {
    super(`${codeName}: ${detail}`);
    this.code = h3ErrorCodes[codeName];
  }
}
