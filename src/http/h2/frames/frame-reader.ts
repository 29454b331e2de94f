import { H2Error } from '../../../protocol/h2-error.js';
import { H2_FRAME_HEADER, h2Flags, h2FrameTypes, h2Preface, readUint32 } from '../../../protocol/h2-frame.js';
import { createHeaderBlocks } from './header-blocks.js';

export interface FrameReaderHandler {
  /**
   * A piece of DATA, which may be empty; `padding` bytes of the frame that are no content belong to it. The last
   * piece of a frame tells whether the stream ends.
   */
  data(
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    padding: number,
    endStream: boolean,
  ): void;
  /** A whole header block. */
  headers(stream: number, block: Uint8Array, endStream: boolean): void;
  resetStream(stream: number, code: number): void;
  settings(entries: readonly (readonly [id: number, value: number])[]): void;
  settingsAcknowledged(): void;
  ping(payload: Uint8Array, acknowledges: boolean): void;
  goaway(lastStream: number, code: number, debug: string): void;
  windowUpdate(stream: number, increment: number): void;
}

export interface FrameReaderRules {
  readonly role: 'client' | 'server';
  /** This side's SETTINGS_MAX_FRAME_SIZE. */
  maxFrameSize: number;
  readonly headerBlockSize: number;
}

/** Takes an HTTP/2 connection's bytes apart, cut anywhere; throws `H2Error` for what ends the connection. */
export interface FrameReader {
  push(bytes: Uint8Array, start: number, end: number): void;
  /** Nothing more is read. */
  stop(): void;
}

const {
  DATA,
  HEADERS,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  PUSH_PROMISE,
  PING,
  GOAWAY,
  WINDOW_UPDATE,
  CONTINUATION,
} = h2FrameTypes;
const EMPTY = new Uint8Array(0);

/** Payload lengths that are no others (RFC 9113 section 6). */
const fixedLengths: Readonly<Record<number, number>> = {
  [PRIORITY]: 5,
  [RST_STREAM]: 4,
  [PING]: 8,
  [WINDOW_UPDATE]: 4,
};

export function createFrameReader(rules: FrameReaderRules, handler: FrameReaderHandler): FrameReader {
  const head = new Uint8Array(H2_FRAME_HEADER);
  let headLength = 0;
  /** Bytes of the preface that are still to come. */
  let preface = rules.role === 'server' ? h2Preface.length : 0;
  let settled = false;
  let stopped = false;
  // The frame that is read.
  let type = -1;
  let flags = 0;
  let stream = 0;
  /** Of its payload, what is still to come. */
  let left = 0;
  /** What came of a payload that is taken whole. */
  let payload: Uint8Array | undefined;
  let payloadLength = 0;
  /** Of a DATA frame: padding at its end; -1 before its length is known. */
  let padding = 0;
  const blocks = createHeaderBlocks(rules.headerBlockSize, (id, block, endStream) =>
    handler.headers(id, block, endStream),
  );

  const begin = (): void => {
    left = ((head[0] ?? 0) << 16) | ((head[1] ?? 0) << 8) | (head[2] ?? 0);
    type = head[3] ?? 0;
    flags = head[4] ?? 0;
    stream = readUint32(head, 5) % 0x8000_0000;
    payload = undefined;
    payloadLength = 0;
    // RFC 9113 section 3.4: the first frame is SETTINGS.
    if (!settled && (type !== SETTINGS || flags & h2Flags.ACK)) {
      throw new H2Error('PROTOCOL_ERROR', 'the first frame is not SETTINGS');
    }
    settled = true;
    // RFC 9113 section 4.2.
    if (left > rules.maxFrameSize) throw new H2Error('FRAME_SIZE_ERROR', `a frame of ${left} bytes`);
    // RFC 9113 section 6.10: nothing comes between the frames of one header block.
    if (blocks.open !== 0 && (type !== CONTINUATION || stream !== blocks.open)) {
      throw new H2Error('PROTOCOL_ERROR', 'a header block that is interrupted');
    }
    const fixed = fixedLengths[type];
    if (fixed !== undefined && left !== fixed) {
      throw new H2Error('FRAME_SIZE_ERROR', `${left} bytes in a frame of type ${type}`);
    }
    checkStream();
    if (type !== DATA) return;
    const padded = (flags & h2Flags.PADDED) !== 0;
    if (padded && left === 0) throw new H2Error('FRAME_SIZE_ERROR', 'a padded frame without padding');
    padding = padded ? -1 : 0;
  };
  const checkStream = (): void => {
    const ofConnection = type === SETTINGS || type === PING || type === GOAWAY;
    const known = type <= CONTINUATION && type !== WINDOW_UPDATE;
    if (known && (stream === 0) !== ofConnection) {
      throw new H2Error('PROTOCOL_ERROR', `a frame of type ${type} on stream ${stream}`);
    }
    // RFC 9113 section 8.4: a client that has said that it takes none, and a server always.
    if (type === PUSH_PROMISE) throw new H2Error('PROTOCOL_ERROR', 'PUSH_PROMISE');
    if (type === CONTINUATION && blocks.open === 0) {
      throw new H2Error('PROTOCOL_ERROR', 'CONTINUATION without HEADERS');
    }
  };

  /** The parts of DATA are told as they come. */
  const readData = (bytes: Uint8Array, start: number, end: number): number => {
    let at = start;
    if (padding < 0 && at < end) {
      padding = bytes[at++] ?? 0;
      left -= 1;
      // RFC 9113 section 6.1.
      if (padding > left) throw new H2Error('PROTOCOL_ERROR', 'more padding than payload');
      handler.data(stream, EMPTY, 0, 0, padding + 1, false);
      if (stopped) return end;
    }
    if (padding < 0) return at;
    const content = Math.max(0, left - padding);
    const from = at;
    const to = Math.min(end, from + content);
    const skipped = Math.min(end - to, left - (to - from));
    at = to + skipped;
    left -= at - from;
    const endStream = left === 0 && (flags & h2Flags.END_STREAM) !== 0;
    if (to > from || endStream) handler.data(stream, bytes, from, to, 0, endStream);
    return at;
  };
  const readWhole = (bytes: Uint8Array, start: number, end: number): number => {
    const to = Math.min(end, start + left);
    const last = to - start === left;
    if (!payload && last) {
      left = 0;
      take(bytes.subarray(start, to));
      return to;
    }
    payload ??= new Uint8Array(left);
    payload.set(bytes.subarray(start, to), payloadLength);
    payloadLength += to - start;
    left -= to - start;
    if (left === 0) take(payload);
    return to;
  };
  const skip = (start: number, end: number): number => {
    const to = Math.min(end, start + left);
    left -= to - start;
    return to;
  };
  const take = (bytes: Uint8Array): void => {
    switch (type) {
      case HEADERS:
        blocks.begin(stream, flags, bytes);
        return;
      case CONTINUATION:
        blocks.go(flags, bytes);
        return;
      case RST_STREAM:
        handler.resetStream(stream, readUint32(bytes, 0));
        return;
      case SETTINGS:
        takeSettings(bytes);
        return;
      case PING:
        handler.ping(bytes, (flags & h2Flags.ACK) !== 0);
        return;
      case GOAWAY: {
        if (bytes.length < 8) throw new H2Error('FRAME_SIZE_ERROR', 'GOAWAY cut short');
        const debug = Buffer.from(bytes.buffer, bytes.byteOffset + 8, Math.min(bytes.length - 8, 200));
        handler.goaway(readUint32(bytes, 0) % 0x8000_0000, readUint32(bytes, 4), debug.toString('latin1'));
        return;
      }
      case WINDOW_UPDATE:
        handler.windowUpdate(stream, readUint32(bytes, 0) % 0x8000_0000);
    }
  };
  const takeSettings = (bytes: Uint8Array): void => {
    if ((flags & h2Flags.ACK) !== 0) {
      if (bytes.length > 0) throw new H2Error('FRAME_SIZE_ERROR', 'an acknowledgment with settings');
      handler.settingsAcknowledged();
      return;
    }
    if (bytes.length % 6 !== 0) throw new H2Error('FRAME_SIZE_ERROR', 'SETTINGS cut short');
    const entries: [number, number][] = [];
    for (let at = 0; at < bytes.length; at += 6) {
      entries.push([((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0), readUint32(bytes, at + 2)]);
    }
    handler.settings(entries);
  };

  return {
    push(bytes, start, end) {
      let at = start;
      for (; preface > 0 && at < end; at++, preface--) {
        if (bytes[at] !== h2Preface[h2Preface.length - preface]) {
          throw new H2Error('PROTOCOL_ERROR', 'the preface of another protocol');
        }
      }
      while (!stopped) {
        if (type < 0) {
          const count = Math.min(end - at, H2_FRAME_HEADER - headLength);
          for (let index = 0; index < count; index++) head[headLength++] = bytes[at++] ?? 0;
          if (headLength < H2_FRAME_HEADER) return;
          headLength = 0;
          begin();
          // DATA of no length is told too, as it may end the stream.
        } else if (at === end) return;
        if (type === DATA) at = readData(bytes, at, end);
        else if (type > CONTINUATION || type === PRIORITY) at = skip(at, end);
        else if (at < end || left === 0) at = readWhole(bytes, at, end);
        if (left === 0) type = -1;
      }
    },
    stop() {
      stopped = true;
    },
  };
}
