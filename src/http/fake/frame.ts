import type { QuicStream } from '../../quic/stream.js';

const prefixSize = 4;
const maxFrame = 1 << 20;

/** One value as the fake puts it on a stream: a length of four bytes, then JSON. */
export function encodeFrame(value: unknown): Uint8Array {
  const text = Buffer.from(JSON.stringify(value));
  const frame = Buffer.alloc(prefixSize + text.length);
  frame.writeUInt32BE(text.length, 0);
  text.copy(frame, prefixSize);
  return frame;
}

export function sendFrame(stream: QuicStream, value: unknown): void {
  const frame = encodeFrame(value);
  stream.write(frame, 0, frame.length);
}

/** Reads frames, taking credit for exactly the bytes that are missing. */
export interface FrameReader {
  /** Takes bytes of one frame at most; returns the offset after what it took. */
  push(bytes: Uint8Array, start: number, end: number): number;
  /** Asks for the first bytes of the next frame. */
  next(): void;
}

export function createFrameReader(stream: QuicStream, receive: (value: unknown) => void): FrameReader {
  let held = Buffer.alloc(0);
  let need = prefixSize;
  return {
    push(bytes, start, end) {
      const taken = Math.min(end - start, need - held.length);
      held = Buffer.concat([held, bytes.subarray(start, start + taken)]);
      if (held.length < need) return start + taken;
      if (need === prefixSize) {
        const length = held.readUInt32BE(0);
        if (length > maxFrame) throw new RangeError('a frame of the fake is too large');
        need += length;
        stream.grant(length);
        return start + taken;
      }
      const value: unknown = JSON.parse(held.subarray(prefixSize).toString());
      held = Buffer.alloc(0);
      need = prefixSize;
      receive(value);
      return start + taken;
    },
    next() {
      stream.grant(prefixSize);
    },
  };
}
