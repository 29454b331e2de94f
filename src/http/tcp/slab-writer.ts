import type { Writable } from 'node:stream';
import { createSharedRoom, type SharedRoom, WriteGauge } from '../../quic/write-gauge.js';
import { joinedCopy } from './joined-copy.js';
import { createSlabs, type Slabs } from './slabs.js';
import { withBuffered } from './with-buffered.js';

/** What writers share: of a listener, or of one connection of a client. */
export interface WriteMemory {
  readonly slabs: Slabs;
  readonly room: SharedRoom;
}

/** Slabs that a listener keeps at hand, for all its connections. */
export const SLABS_KEPT = 64;

/** `keep` slabs stay at hand while nothing is written. */
export function createWriteMemory(keep: number): WriteMemory {
  return { slabs: createSlabs(keep), room: createSharedRoom() };
}

/** Copies bytes into slabs and hands these to a Node stream, one at a time. */
export interface SlabWriter {
  /** Bytes taken that the stream has not yet written. */
  readonly buffered: number;
  /** Copies; false when no more should follow until `drained` is called. */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /** The same for `head[0, headEnd)` and `body[start, end)` in one. */
  writeFramed(head: Uint8Array, headEnd: number, body: Uint8Array, start: number, end: number): boolean;
  /** Ends the stream after what waits. */
  end(): void;
  /** Forgets what waits. */
  stop(): void;
}

/** `buffered` up to which a fast reader's writer goes. */
const RAISED = 512 * 1024;

/** A piece up to this size that nothing waits before needs no slab. */
const SMALL = 4 * 1024;

/**
 * Node's streams would keep each piece by itself, allocate for each, and join them once more for TLS; here they
 * are joined as they come, in memory that is used again once Node says that it is done with it.
 */
export function createSlabWriter(stream: Writable, memory: WriteMemory, drained: () => void): SlabWriter {
  const { slabs } = memory;
  const gauge = new WriteGauge(memory.room, RAISED);
  /** Full but for the last, each with how much is in it. */
  const waiting: { readonly slab: Buffer; length: number }[] = [];
  let writing = false;
  let ending = false;
  let stopped = false;

  const wrote = (length: number, slab: Buffer | undefined, error: Error | null | undefined): void => {
    writing = false;
    // What an error left half done may still be read from.
    if (slab && !error) slabs.give(slab);
    if (stopped) return;
    const drain = gauge.went(length);
    next();
    if (drain) drained();
  };
  const send = (bytes: Buffer, slab: Buffer | undefined): void => {
    writing = true;
    stream.write(bytes, (error) => wrote(bytes.length, slab, error));
  };
  const next = (): void => {
    const first = waiting.shift();
    if (first) send(first.slab.subarray(0, first.length), first.slab);
    else if (ending) stream.end();
  };
  const queue = (bytes: Uint8Array, start: number, end: number): void => {
    for (let at = start; at < end; ) {
      let last = waiting.at(-1);
      if (!last || last.length === slabs.size) {
        last = { slab: slabs.take(), length: 0 };
        waiting.push(last);
      }
      const count = Math.min(end - at, slabs.size - last.length);
      last.slab.set(bytes.subarray(at, at + count), last.length);
      last.length += count;
      at += count;
    }
  };

  return withBuffered<SlabWriter>(() => gauge.buffered, {
    write(bytes, start, end) {
      if (stopped || ending || end <= start) return true;
      const room = gauge.written(end - start);
      if (!writing && end - start <= SMALL) send(Buffer.from(bytes.subarray(start, end)), undefined);
      else {
        queue(bytes, start, end);
        if (!writing) next();
      }
      return room;
    },
    writeFramed(head, headEnd, body, start, end) {
      const length = headEnd + end - start;
      if (stopped || ending || length <= 0) return true;
      const room = gauge.written(length);
      if (!writing && length <= SMALL) send(joinedCopy(head, headEnd, body, start, end), undefined);
      else {
        queue(head, 0, headEnd);
        queue(body, start, end);
        if (!writing) next();
      }
      return room;
    },
    end() {
      if (ending || stopped) return;
      ending = true;
      if (!writing) stream.end();
    },
    stop() {
      stopped = true;
      waiting.length = 0;
      gauge.clear();
    },
  });
}
