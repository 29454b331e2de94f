import { H3Error } from './h3-error.js';
import { INCOMPLETE, readVarint, varintLength, varintSize, writeVarint } from './varint.js';

/** Setting identifiers of HTTP/3. */
export const h3SettingIds = {
  /** RFC 9204 section 5. */
  QPACK_MAX_TABLE_CAPACITY: 0x01,
  /** RFC 9114 section 7.2.4.1; bytes as section 4.2.2 counts them. */
  MAX_FIELD_SECTION_SIZE: 0x06,
  /** RFC 9204 section 5. */
  QPACK_BLOCKED_STREAMS: 0x07,
  /** RFC 9220 section 3. */
  ENABLE_CONNECT_PROTOCOL: 0x08,
  /** RFC 9297 section 2.1.1. */
  H3_DATAGRAM: 0x33,
} as const;

/** One side's SETTINGS, with the defaults of what it left out. */
export interface H3Settings {
  readonly qpackMaxTableCapacity: number;
  readonly qpackBlockedStreams: number;
  /** Bytes; `Infinity` when it sets no limit. */
  readonly maxFieldSectionSize: number;
  readonly enableConnectProtocol: boolean;
  readonly h3Datagram: boolean;
}

export const defaultH3Settings: H3Settings = {
  qpackMaxTableCapacity: 0,
  qpackBlockedStreams: 0,
  maxFieldSectionSize: Number.POSITIVE_INFINITY,
  enableConnectProtocol: false,
  h3Datagram: false,
};

/** Settings of HTTP/2 that HTTP/3 must not see (RFC 9114 section 7.2.4.1). */
const reserved: ReadonlySet<number> = new Set([0x00, 0x02, 0x03, 0x04, 0x05]);

function flag(id: number, value: number): boolean {
  // RFC 9297 section 2.1.1, and RFC 8441 section 3 by way of RFC 9220 section 3.
  if (value > 1) throw new H3Error('H3_SETTINGS_ERROR', `setting 0x${id.toString(16)} is neither 0 nor 1`);
  return value === 1;
}

/**
 * Reads the payload of a SETTINGS frame. Unknown settings are ignored (RFC 9114 section 7.2.4); throws
 * `H3Error` H3_SETTINGS_ERROR or H3_FRAME_ERROR.
 */
export function decodeH3Settings(bytes: Uint8Array, start: number, end: number): H3Settings {
  const seen = new Set<number>();
  const settings = { ...defaultH3Settings };
  let at = start;
  while (at < end) {
    const id = readVarint(bytes, at, end);
    const valueAt = at + varintLength(bytes[at] ?? 0);
    const value = id === INCOMPLETE ? INCOMPLETE : readVarint(bytes, valueAt, end);
    if (value === INCOMPLETE) throw new H3Error('H3_FRAME_ERROR', 'SETTINGS cut short');
    at = valueAt + varintLength(bytes[valueAt] ?? 0);
    // Identifiers above 2^53 - 1 read as one number and are never known: they cannot be told from another.
    if (id !== Number.POSITIVE_INFINITY) {
      if (seen.has(id)) throw new H3Error('H3_SETTINGS_ERROR', `setting 0x${id.toString(16)} sent twice`);
      seen.add(id);
    }
    if (reserved.has(id)) throw new H3Error('H3_SETTINGS_ERROR', `setting 0x${id.toString(16)} is reserved`);
    switch (id) {
      case h3SettingIds.QPACK_MAX_TABLE_CAPACITY:
        settings.qpackMaxTableCapacity = value;
        break;
      case h3SettingIds.QPACK_BLOCKED_STREAMS:
        settings.qpackBlockedStreams = value;
        break;
      case h3SettingIds.MAX_FIELD_SECTION_SIZE:
        settings.maxFieldSectionSize = value;
        break;
      case h3SettingIds.ENABLE_CONNECT_PROTOCOL:
        settings.enableConnectProtocol = flag(id, value);
        break;
      case h3SettingIds.H3_DATAGRAM:
        settings.h3Datagram = flag(id, value);
        break;
    }
  }
  return settings;
}

/** The payload of a SETTINGS frame; what is at its default is left out. */
export function encodeH3Settings(settings: Partial<H3Settings>): Uint8Array {
  const pairs: [id: number, value: number][] = [];
  const add = (id: number, value: number | boolean | undefined, initial: number | boolean): void => {
    if (value !== undefined && value !== initial) pairs.push([id, Number(value)]);
  };
  add(h3SettingIds.QPACK_MAX_TABLE_CAPACITY, settings.qpackMaxTableCapacity, 0);
  add(h3SettingIds.MAX_FIELD_SECTION_SIZE, settings.maxFieldSectionSize, Number.POSITIVE_INFINITY);
  add(h3SettingIds.QPACK_BLOCKED_STREAMS, settings.qpackBlockedStreams, 0);
  add(h3SettingIds.ENABLE_CONNECT_PROTOCOL, settings.enableConnectProtocol, false);
  add(h3SettingIds.H3_DATAGRAM, settings.h3Datagram, false);
  const bytes = new Uint8Array(
    pairs.reduce((size, [id, value]) => size + varintSize(id) + varintSize(value), 0),
  );
  let at = 0;
  for (const [id, value] of pairs) at = writeVarint(bytes, writeVarint(bytes, at, id), value);
  return bytes;
}

/**
 * True when later settings take extended CONNECT back, which a sender must not do (RFC 8441 section 3);
 * a connection error (HTTP/2: PROTOCOL_ERROR).
 */
export function takesConnectProtocolBack(before: boolean, after: boolean): boolean {
  return before && !after;
}
