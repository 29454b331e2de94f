import type { Clock, Timer } from '../../clock/clock.js';
import { copyBytes } from '../../protocol/copy-bytes.js';
import { Line, type Place } from '../../tables/line.js';
import { NumberTable } from '../../tables/number-table.js';

export interface EarlyDatagramLimits {
  /** For all streams together. */
  readonly bytes: number;
  readonly count: number;
  /** Milliseconds for which a datagram waits for its stream to be created; asked anew for each stream. */
  readonly time: () => number;
}

interface Waiting {
  readonly id: number;
  readonly payloads: Uint8Array[];
  /** When a stream that was not created by then is given up; infinite once it was. */
  expires: number;
}

/**
 * Datagrams that came before their stream, or before its request's head (RFC 9297 section 2.1: buffered for
 * about one round trip, or dropped). Bounded in bytes, count and time; the oldest go first.
 */
export interface EarlyDatagrams {
  /** Keeps a copy of `bytes[start, end)` for a stream; `created` tells whether the stream is open already. */
  keep(quarterStreamId: number, created: boolean, bytes: Uint8Array, start: number, end: number): void;
  /** The stream was created: what waits for it no longer expires. */
  created(quarterStreamId: number): void;
  /** Hands over, in order, what waits for the stream; stops early when `deliver` returns false. */
  take(quarterStreamId: number, deliver: (payload: Uint8Array) => boolean): void;
  /** Drops what waits for the stream. */
  forget(quarterStreamId: number): void;
  /** Drops everything and its timer. */
  clear(): void;
  /** Dropped for want of room or by age. */
  readonly dropped: number;
}

export function createEarlyDatagrams(clock: Clock, limits: EarlyDatagramLimits): EarlyDatagrams {
  const streams = new NumberTable<Place<Waiting>>();
  // In the order of each stream's first datagram, so the first one holds the oldest.
  const line = new Line<Waiting>();
  let bytes = 0;
  let count = 0;
  let timer: Timer | undefined;

  const remove = (id: number): Waiting | undefined => {
    const place = streams.get(id);
    const waiting = place?.value;
    if (!place || !waiting) return undefined;
    streams.delete(id);
    line.leave(place);
    for (const payload of waiting.payloads) bytes -= payload.length;
    count -= waiting.payloads.length;
    return waiting;
  };
  const dropOldest = (): void => {
    const { first } = line;
    if (!first) return;
    const payload = first.payloads.shift();
    if (payload) {
      bytes -= payload.length;
      count -= 1;
      early.dropped += 1;
    }
    if (first.payloads.length === 0) remove(first.id);
  };
  const arm = (): void => {
    if (timer) return;
    let first = Number.POSITIVE_INFINITY;
    for (const waiting of line) first = Math.min(first, waiting.expires);
    if (first === Number.POSITIVE_INFINITY) return;
    timer = clock.setTimeout(expire, Math.max(0, first - clock.now()));
    timer.unref();
  };
  const expire = (): void => {
    timer = undefined;
    const now = clock.now();
    for (const waiting of line) {
      if (waiting.expires > now) continue;
      early.dropped += waiting.payloads.length;
      remove(waiting.id);
    }
    arm();
  };

  const early: EarlyDatagrams & { dropped: number } = {
    dropped: 0,
    keep(id, created, source, start, end) {
      if (end - start > limits.bytes || limits.count < 1) {
        early.dropped += 1;
        return;
      }
      while (bytes + end - start > limits.bytes || count >= limits.count) dropOldest();
      let waiting = streams.get(id)?.value;
      if (!waiting) {
        const expires = created ? Number.POSITIVE_INFINITY : clock.now() + limits.time();
        waiting = { id, payloads: [], expires };
        streams.set(id, line.join(waiting));
      }
      waiting.payloads.push(copyBytes(source, start, end));
      bytes += end - start;
      count += 1;
      arm();
    },
    created(id) {
      const waiting = streams.get(id)?.value;
      if (waiting) waiting.expires = Number.POSITIVE_INFINITY;
    },
    take(id, deliver) {
      const waiting = remove(id);
      if (!waiting) return;
      for (const payload of waiting.payloads) if (!deliver(payload)) return;
    },
    forget(id) {
      remove(id);
    },
    clear() {
      streams.clear();
      line.clear();
      bytes = 0;
      count = 0;
      clock.clearTimeout(timer);
      timer = undefined;
    },
  };
  return early;
}
