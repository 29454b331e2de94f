import type { ByteCarrier, ByteCarrierHandler } from '../../../src/http/h2/frames/byte-carrier.js';
import { H2_FRAME_HEADER, h2Preface, readUint32 } from '../../../src/protocol/h2-frame.js';

export interface SentFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A carrier without a network: what is written is kept, and what the test says has come. */
export interface FakeCarrier extends ByteCarrier {
  handler: ByteCarrierHandler | undefined;
  /** False lets writes wait for `drain`. */
  open: boolean;
  readonly granted: number;
  readonly ended: boolean;
  readonly wasReset: boolean;
  written(): Buffer;
  /** The frames that were written; the client's preface is left out. */
  frames(): SentFrame[];
  receive(bytes: Uint8Array): void;
  drain(): void;
  close(): void;
}

export function createFakeCarrier(): FakeCarrier {
  const pieces: Buffer[] = [];
  let granted = 0;
  let ended = false;
  let wasReset = false;
  let waiting = 0;
  let closed = false;
  const carrier: FakeCarrier = {
    handler: undefined,
    open: true,
    get buffered() {
      return waiting;
    },
    get granted() {
      return granted;
    },
    get ended() {
      return ended;
    },
    get wasReset() {
      return wasReset;
    },
    grant(bytes) {
      granted += bytes;
    },
    write(bytes, start, end) {
      pieces.push(Buffer.from(bytes.subarray(start, end)));
      if (!carrier.open) waiting += end - start;
      return carrier.open;
    },
    end() {
      ended = true;
    },
    reset() {
      wasReset = true;
    },
    written: () => Buffer.concat(pieces),
    frames() {
      const all = Buffer.concat(pieces);
      const frames: SentFrame[] = [];
      const client = all.subarray(0, h2Preface.length).equals(Buffer.from(h2Preface));
      for (let at = client ? h2Preface.length : 0; at < all.length; ) {
        const length = all.readUIntBE(at, 3);
        const from = at + H2_FRAME_HEADER;
        frames.push({
          type: all[at + 3] ?? 0,
          flags: all[at + 4] ?? 0,
          stream: readUint32(all, at + 5),
          payload: all.subarray(from, from + length),
        });
        at = from + length;
      }
      return frames;
    },
    receive(bytes) {
      granted -= bytes.length;
      carrier.handler?.data(bytes, 0, bytes.length);
    },
    drain() {
      carrier.open = true;
      waiting = 0;
      carrier.handler?.drain();
    },
    close() {
      if (closed) return;
      closed = true;
      if (wasReset) carrier.handler?.closed({ kind: 'reset', by: 'local', errno: 'ECONNABORTED' });
      else carrier.handler?.closed({ kind: 'ended' });
    },
  };
  return carrier;
}

/** One frame. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(H2_FRAME_HEADER);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
