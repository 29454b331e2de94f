import { isIPv4 } from 'node:net';
import type { SocketAddress } from '../address.js';
import { type Arena, operationsSize } from './arena.js';
import type { NativeEngine } from './binding.js';
import { high, operation } from './records.js';

/** Payload of one write operation; a longer write becomes several. */
const pieceSize = 64 * 1024;

/** Longest reason of a close, bytes; what a packet has no room for is cut off anyway. */
const longestReason = 1024;

/** Up to this size a loop copies faster than a view of its own is made. */
const shortCopy = 48;

/** What nobody's answer hangs on: by itself it does not wake the engine in the middle of a turn. */
const patient = new Uint8Array(256);
for (const kind of ['grant', 'tcpGrant', 'http2Grant', 'closeSocket', 'forgetConnection'] as const) {
  patient[operation[kind]] = 1;
}

/** Operations of one tick, gathered and handed over in one call. */
export interface Submission {
  /** Hands over what was gathered; also before a call that goes its own way, so that order is kept. */
  flush(): void;
  /** The end of a drain: hands over what presses, and leaves what does not to what its promises bring about. */
  settle(): void;
  /** The engine was given something that it looks at with what is handed over next, which is done soon. */
  soon(): void;
  /** While a drain runs it settles at its end, and no turn of its own is needed. */
  hold(held: boolean): void;
  simple(kind: number, subject: number): void;
  stream(kind: number, connection: number, stream: number, value: number): void;
  streamCode(kind: number, connection: number, stream: number, code: number): void;
  number(kind: number, subject: number, value: number): void;
  bytes(kind: number, subject: number, bytes: Uint8Array, start: number, end: number): void;
  /** One record of bytes, to which none are added. */
  record(kind: number, subject: number, bytes: Uint8Array): void;
  write(
    kind: number,
    connection: number,
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  datagram(connection: number, head: Uint8Array, body: Uint8Array, start: number, end: number): void;
  http2Start(
    socket: number,
    client: boolean,
    greeted: boolean,
    streamWindow: number,
    connectionWindow: number,
    blockSize: number,
    settings: Uint8Array,
  ): void;
  http2Headers(socket: number, stream: number, endStream: boolean, block: Uint8Array): void;
  http2Goaway(socket: number, lastStream: number, code: number, debug: Uint8Array): void;
  spliceBytes(
    kind: number,
    socket: number,
    connection: number,
    stream: number,
    received: number,
    told: number,
    capsule: number,
    prefix: Uint8Array,
  ): void;
  packet(
    kind: number,
    subject: number,
    address: SocketAddress | undefined,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  close(kind: number, subject: number, code: number, reason: string): void;
}

/** An address as operations have it: family, port, then one word or four. */
function encodeAddress(address: SocketAddress): Uint32Array {
  const { address: text, port } = address;
  if (isIPv4(text)) {
    const words = new Uint32Array(3);
    words[0] = 4;
    words[1] = port;
    new Uint8Array(words.buffer, 8).set(text.split('.').map(Number));
    return words;
  }
  const words = new Uint32Array(6);
  words[0] = 6;
  words[1] = port;
  new Uint8Array(words.buffer, 8).set(parseIpv6(text));
  return words;
}

function parseIpv6(text: string): number[] {
  let plain = text;
  const dotted = plain.lastIndexOf(':') + 1;
  if (plain.includes('.')) {
    const [a = 0, b = 0, c = 0, d = 0] = plain.slice(dotted).split('.').map(Number);
    plain = `${plain.slice(0, dotted)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [before = '', after] = plain.split('::');
  const front = before === '' ? [] : before.split(':');
  const back = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? 0 : Math.max(0, 8 - front.length - back.length);
  return [...front, ...new Array<string>(zeros).fill('0'), ...back].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

export function createSubmission(arena: Arena, native: NativeEngine): Submission {
  const { bytes: memory, words } = arena;
  let used = 0;
  let held = false;
  let scheduled = false;
  let pressing = false;
  /** The engine is to be woken, whether or not there are operations. */
  let awaited = false;
  /** The last record, while it is of bytes that more of the same may be added to: its first word, or -1. */
  let open = -1;
  let lastAddress: SocketAddress | undefined;
  let lastWords: Uint32Array = new Uint32Array(0);

  const flush = (): void => {
    if (used === 0 && !awaited) return;
    const length = used;
    used = 0;
    awaited = false;
    pressing = false;
    open = -1;
    native.submit(memory, length);
  };
  const flushLater = (): void => {
    scheduled = false;
    flush();
  };
  const schedule = (): void => {
    if (held || scheduled) return;
    scheduled = true;
    // What the event loop has ready comes first: one crossing for all of it.
    setImmediate(flushLater);
  };
  /** Makes room for a record and returns its first word. */
  const begin = (kind: number, subject: number, size: number): number => {
    const padded = (size + 3) & ~3;
    if (used + padded > operationsSize) flush();
    const at = used >>> 2;
    open = -1;
    used += padded;
    pressing ||= patient[kind] === 0;
    words[at] = kind | ((padded >>> 2) << 8);
    words[at + 1] = subject;
    schedule();
    return at;
  };
  const copy = (source: Uint8Array, start: number, end: number, to: number): void => {
    if (source.buffer === memory.buffer) {
      memory.copyWithin(to, source.byteOffset + start, source.byteOffset + end);
    } else if (end - start <= shortCopy) {
      for (let from = start, target = to; from < end; from++, target++)
        memory[target] = source[from] as number;
    } else {
      memory.set(source.subarray(start, end), to);
    }
  };
  /** Adds to the last record, which has its bytes from this word on and its length before; how many fitted. */
  const extend = (content: number, source: Uint8Array, start: number, end: number): number => {
    const length = words[content - 1] as number;
    const at = content * 4 + length;
    const count = Math.min(end - start, pieceSize - length, operationsSize - at - 3);
    if (count <= 0) return 0;
    copy(source, start, start + count, at);
    words[content - 1] = length + count;
    used = (at + count + 3) & ~3;
    words[open] = ((words[open] as number) & 0xff) | (((used >>> 2) - open) << 8);
    return count;
  };
  const long = (at: number, value: number): void => {
    words[at] = value >>> 0;
    words[at + 1] = Math.floor(value / high);
  };

  return {
    flush,
    settle() {
      if (pressing) flush();
      else if (used > 0 || awaited) schedule();
    },
    soon() {
      awaited = true;
      schedule();
    },
    hold: (value) => {
      held = value;
    },
    simple(kind, subject) {
      begin(kind, subject, 8);
    },
    stream(kind, connection, stream, value) {
      const at = begin(kind, connection, 16);
      words[at + 2] = stream;
      words[at + 3] = value;
    },
    streamCode(kind, connection, stream, code) {
      const at = begin(kind, connection, 20);
      words[at + 2] = stream;
      long(at + 3, code);
    },
    number(kind, subject, value) {
      const at = begin(kind, subject, 16);
      long(at + 2, value);
    },
    bytes(kind, subject, source, start, end) {
      let from = start;
      if (open >= 0 && ((words[open] as number) & 0xff) === kind && words[open + 1] === subject) {
        from += extend(open + 3, source, from, end);
      }
      while (from < end) {
        const to = Math.min(end, from + pieceSize);
        const at = begin(kind, subject, 12 + to - from);
        words[at + 2] = to - from;
        copy(source, from, to, (at + 3) * 4);
        open = at;
        from = to;
      }
    },
    record(kind, subject, source) {
      const at = begin(kind, subject, 12 + source.length);
      words[at + 2] = source.length;
      copy(source, 0, source.length, (at + 3) * 4);
    },
    write(kind, connection, stream, source, start, end) {
      let from = start;
      if (
        open >= 0 &&
        ((words[open] as number) & 0xff) === kind &&
        words[open + 1] === connection &&
        words[open + 2] === stream
      ) {
        from += extend(open + 4, source, from, end);
      }
      while (from < end) {
        const to = Math.min(end, from + pieceSize);
        const at = begin(kind, connection, 16 + to - from);
        words[at + 2] = stream;
        words[at + 3] = to - from;
        copy(source, from, to, (at + 4) * 4);
        open = at;
        from = to;
      }
    },
    datagram(connection, head, body, start, end) {
      const length = head.length + end - start;
      const at = begin(operation.datagram, connection, 12 + length);
      words[at + 2] = length;
      const target = (at + 3) * 4;
      copy(head, 0, head.length, target);
      copy(body, start, end, target + head.length);
    },
    http2Start(socket, client, greeted, streamWindow, connectionWindow, blockSize, settings) {
      const at = begin(operation.http2Start, socket, 32 + settings.length);
      words[at + 2] = client ? 1 : 0;
      words[at + 3] = greeted ? 1 : 0;
      words[at + 4] = streamWindow;
      words[at + 5] = connectionWindow;
      words[at + 6] = blockSize;
      words[at + 7] = settings.length;
      copy(settings, 0, settings.length, (at + 8) * 4);
    },
    http2Headers(socket, stream, endStream, block) {
      const at = begin(operation.http2Headers, socket, 20 + block.length);
      words[at + 2] = stream;
      words[at + 3] = endStream ? 1 : 0;
      words[at + 4] = block.length;
      copy(block, 0, block.length, (at + 5) * 4);
    },
    http2Goaway(socket, lastStream, code, debug) {
      const at = begin(operation.http2Goaway, socket, 20 + debug.length);
      words[at + 2] = lastStream;
      words[at + 3] = code;
      words[at + 4] = debug.length;
      copy(debug, 0, debug.length, (at + 5) * 4);
    },
    spliceBytes(kind, socket, connection, stream, received, told, capsule, prefix) {
      const at = begin(kind, socket, 40 + prefix.length);
      words[at + 2] = connection;
      words[at + 3] = stream;
      long(at + 4, received);
      long(at + 6, told);
      words[at + 8] = capsule;
      words[at + 9] = prefix.length;
      copy(prefix, 0, prefix.length, (at + 10) * 4);
    },
    packet(kind, subject, address, source, start, end) {
      if (address !== lastAddress) {
        lastAddress = address;
        lastWords = address ? encodeAddress(address) : new Uint32Array(0);
      }
      const addressWords = address ? lastWords.length : 2;
      const at = begin(kind, subject, 12 + addressWords * 4 + end - start);
      if (address) words.set(lastWords, at + 2);
      else words[at + 2] = words[at + 3] = 0;
      const after = at + 2 + addressWords;
      words[after] = end - start;
      copy(source, start, end, (after + 1) * 4);
    },
    close(kind, subject, code, reason) {
      const text = Buffer.from(reason).subarray(0, longestReason);
      const at = begin(kind, subject, 20 + text.length);
      long(at + 2, code);
      words[at + 4] = text.length;
      copy(text, 0, text.length, (at + 5) * 4);
    },
  };
}
