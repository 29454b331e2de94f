import type { Clock } from '../../clock/clock.js';
import { readUint32, writeUint32 } from '../../protocol/h2-frame.js';
import { NumberTable } from '../../tables/number-table.js';

/** PINGs whose answers are awaited. */
export interface Pings {
  /** Sends one; `done` is told the round trip in milliseconds, or `lost` why there is none. */
  send(done: (milliseconds: number) => void, lost: (detail: string) => void): void;
  answered(payload: Uint8Array): void;
  /** The connection is gone: no answer comes any more. */
  lose(detail: string): void;
}

interface Ping {
  readonly sentAt: number;
  readonly done: (milliseconds: number) => void;
  readonly lost: (detail: string) => void;
}

const MOST = 64;

export function createPings(clock: Clock, send: (payload: Uint8Array) => void): Pings {
  const waiting = new NumberTable<Ping>();
  let last = 0;
  let gone: string | undefined;
  return {
    send(done, lost) {
      if (gone !== undefined) return lost(gone);
      if (waiting.size >= MOST) return lost('too many PINGs wait for their answers');
      last = (last + 1) % 2 ** 32;
      waiting.set(last, { sentAt: clock.now(), done, lost });
      const payload = new Uint8Array(8);
      writeUint32(payload, 4, last);
      send(payload);
    },
    answered(payload) {
      const number = readUint32(payload, 4);
      const ping = waiting.get(number);
      if (!ping) return;
      waiting.delete(number);
      ping.done(clock.now() - ping.sentAt);
    },
    lose(detail) {
      gone = detail;
      const pings = waiting.values();
      waiting.clear();
      for (const { lost } of pings) lost(detail);
    },
  };
}
