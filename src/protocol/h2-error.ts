/** Error codes of HTTP/2 (RFC 9113 section 7). */
export const h2ErrorCodes = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

export type H2ErrorName = keyof typeof h2ErrorCodes;

/** The name of a code, or its number in hexadecimal when it has none here. */
export function h2ErrorName(code: number): string {
  for (const [name, known] of Object.entries(h2ErrorCodes)) if (known === code) return name;
  return `0x${code.toString(16)}`;
}

/** A peer broke HTTP/2: the connection is to be ended with this code (RFC 9113 section 5.4.1). */
export class H2Error extends Error {
  override readonly name = 'H2Error';
  /** The code on the wire. */
  readonly code: number;

  constructor(codeName: H2ErrorName, detail: string) {
    super(`${codeName}: ${detail}`);
    this.code = h2ErrorCodes[codeName];
  }
}
