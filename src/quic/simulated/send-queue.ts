import type { DatagramQueue } from './datagram-queue.js';
import type { LinkConditions } from './link.js';
import type { Scheduler } from './scheduler.js';
import type { SimulatedStream } from './stream.js';

/** What one end has to send, put on the link after the turn in which it was given. */
export interface SendQueue {
  ready(stream: SimulatedStream): void;
  forget(stream: SimulatedStream): void;
  /** Something may have become possible to send. */
  flushSoon(): void;
  /** Room on the connection for stream data. */
  addRoom(bytes: number): void;
  readonly room: number;
  clear(): void;
}

/** Datagrams go first, then the streams by priority, those of one priority in turns. */
export function createSendQueue(
  scheduler: Scheduler,
  conditions: LinkConditions,
  datagrams: DatagramQueue,
  options: {
    readonly packetOverhead: number;
    /** False while nothing may be sent. */
    readonly open: () => boolean;
    readonly segmentSize: () => number;
    readonly sendDatagram: (bytes: Uint8Array) => void;
  },
): SendQueue {
  const waiting = new Set<SimulatedStream>();
  let room = 0;
  let freeAt = 0;
  let scheduled = false;

  const nextStream = (): SimulatedStream | undefined => {
    let best: SimulatedStream | undefined;
    for (const stream of waiting) {
      if (!stream.sendable(room)) continue;
      if (!best || stream.priority > best.priority) best = stream;
    }
    return best;
  };
  /** Sends one packet; its payload's size, or undefined when there is none to send. */
  const sendOne = (now: number): number | undefined => {
    const datagram = datagrams.take(now);
    if (datagram) {
      options.sendDatagram(datagram);
      return datagram.length;
    }
    const stream = nextStream();
    if (!stream) return undefined;
    // To the end of the line.
    waiting.delete(stream);
    waiting.add(stream);
    const size = stream.sendSegment(Math.min(options.segmentSize(), room));
    room -= size;
    if (!stream.sendable(Number.MAX_SAFE_INTEGER)) waiting.delete(stream);
    return size;
  };
  const flush = (): void => {
    scheduled = false;
    while (options.open()) {
      const now = scheduler.now();
      if (conditions.bandwidth !== undefined && freeAt > now) {
        flushAfter(freeAt - now);
        return;
      }
      const size = sendOne(now);
      if (size === undefined) return;
      if (conditions.bandwidth !== undefined) {
        const took = ((size + options.packetOverhead) * 1000) / conditions.bandwidth;
        freeAt = Math.max(freeAt, now) + took;
      }
    }
  };
  const flushAfter = (milliseconds: number): void => {
    if (scheduled) return;
    scheduled = true;
    scheduler.after(milliseconds, flush);
  };

  return {
    ready(stream) {
      waiting.add(stream);
      flushAfter(0);
    },
    forget(stream) {
      waiting.delete(stream);
    },
    flushSoon() {
      flushAfter(0);
    },
    addRoom(bytes) {
      room += bytes;
      flushAfter(0);
    },
    get room() {
      return room;
    },
    clear() {
      waiting.clear();
    },
  };
}
