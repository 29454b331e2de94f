import type { ResetReason } from '../../../src/protocol/reset-reason.js';
import type { SideEnd } from '../../../src/tunnel/side-end.js';
import type { ByteSide, ByteSideHandler } from '../../../src/tunnel/tcp/byte-side.js';

/** A side whose other end is the test. */
export interface ScriptedSide extends ByteSide {
  /** What was written to it. */
  readonly written: Buffer[];
  text(): string;
  readonly credit: number;
  readonly ended: boolean;
  readonly resets: ResetReason[];
  readonly over: SideEnd | undefined;
  /** Says whether a write finds room. */
  room: boolean;
  /** It tells bytes, within the credit. */
  tell(text: string | Uint8Array): void;
  tellEnd(): void;
  tellDrain(): void;
  tellReset(reason: ResetReason): void;
  tellLost(detail: string): void;
}

/** An in-memory side that tells `handler` what the test says and keeps what it is given. */
export function scriptedSide(handler: ByteSideHandler): ScriptedSide {
  const written: Buffer[] = [];
  const resets: ResetReason[] = [];
  let credit = 0;
  let ended = false;
  let toldEnd = false;
  let over: SideEnd | undefined;
  const finish = (how: SideEnd): void => {
    if (over) return;
    over = how;
    handler.closed(how);
  };
  const endedBothWays = (): void => {
    if (ended && toldEnd) finish({ kind: 'ended' });
  };
  const side: ScriptedSide = {
    buffered: 0,
    written,
    resets,
    room: true,
    text: () => Buffer.concat(written).toString(),
    get credit() {
      return credit;
    },
    get ended() {
      return ended;
    },
    get over() {
      return over;
    },
    grant(bytes) {
      credit += bytes;
    },
    write(bytes, start, end) {
      if (ended) throw new Error('a write after the end');
      written.push(Buffer.from(bytes.subarray(start, end)));
      return side.room;
    },
    end() {
      if (ended || over) return;
      ended = true;
      queueMicrotask(endedBothWays);
    },
    reset(reason) {
      if (over) return;
      resets.push(reason);
      queueMicrotask(() => finish({ kind: 'reset', reason }));
    },
    tell(text) {
      const bytes = Buffer.from(text);
      if (bytes.length > credit) throw new Error(`${bytes.length} bytes, and credit for ${credit}`);
      credit -= bytes.length;
      handler.data(Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]), 1, bytes.length + 1);
    },
    tellEnd() {
      toldEnd = true;
      handler.end();
      endedBothWays();
    },
    tellDrain: () => handler.drain(),
    tellReset: (reason) => finish({ kind: 'reset', reason }),
    tellLost: (detail) => finish({ kind: 'lost', detail }),
  };
  return side;
}

/** What a side told. */
export interface SideRecorder extends ByteSideHandler {
  readonly received: Buffer[];
  text(): string;
  bytes: number;
  readonly ended: boolean;
  drains: number;
  readonly over: SideEnd | undefined;
  /** Kinds of events in order; runs of `data` are written once. */
  readonly order: string[];
  /** Called with the size of each piece. */
  onData: ((size: number) => void) | undefined;
}

export function sideRecorder(): SideRecorder {
  const received: Buffer[] = [];
  const order: string[] = [];
  let ended = false;
  let over: SideEnd | undefined;
  const made: SideRecorder = {
    received,
    order,
    bytes: 0,
    drains: 0,
    onData: undefined,
    text: () => Buffer.concat(received).toString(),
    get ended() {
      return ended;
    },
    get over() {
      return over;
    },
    data(bytes, start, end) {
      if (order.at(-1) !== 'data') order.push('data');
      received.push(Buffer.from(bytes.subarray(start, end)));
      made.bytes += end - start;
      made.onData?.(end - start);
    },
    end() {
      order.push('end');
      ended = true;
    },
    drain() {
      made.drains++;
    },
    closed(how) {
      order.push('closed');
      over = how;
    },
  };
  return made;
}
