import type { SocketAddress } from '../address.js';
import type { Arena } from './arena.js';
import { high } from './records.js';

/** Reads the fields of a record that is not in a hurry. */
export interface RecordReader {
  /** Starts at this word of the arena. */
  seek(word: number): void;
  word(): number;
  /** A number of up to 53 bits. */
  long(): number;
  text(): string;
  /** A copy. */
  bytes(): Uint8Array;
  address(): SocketAddress;
}

export function createRecordReader(arena: Arena): RecordReader {
  const { words } = arena;
  const buffer = Buffer.from(arena.bytes.buffer);
  let at = 0;
  const word = (): number => words[at++] as number;
  /** Skips bytes and their length; returns where they begin. */
  const skip = (): [number, number] => {
    const length = word();
    const start = at * 4;
    at += (length + 3) >>> 2;
    return [start, start + length];
  };
  const text = (): string => buffer.toString('utf8', ...skip());
  return {
    seek: (position) => {
      at = position;
    },
    word,
    long: () => {
      const low = word();
      return low + word() * high;
    },
    text,
    bytes: () => arena.bytes.slice(...skip()),
    address: () => ({ address: text(), port: word() }),
  };
}
