import type { DatagramOutcome } from '../connection.js';

/** Datagrams that wait to be sent: bounded in bytes and in age, the oldest dropped first. */
export interface DatagramQueue {
  put(head: Uint8Array, body: Uint8Array, start: number, end: number, now: number): DatagramOutcome;
  /** The oldest that is not too old. */
  take(now: number): Uint8Array | undefined;
  dropped: number;
}

export function createDatagramQueue(maxBytes: number, maxAge: number): DatagramQueue {
  const waiting: { readonly bytes: Uint8Array; readonly at: number }[] = [];
  let size = 0;
  const queue: DatagramQueue = {
    dropped: 0,
    put(head, body, start, end, now) {
      const length = head.length + end - start;
      if (length > maxBytes) {
        queue.dropped += 1;
        return 'dropped';
      }
      while (size + length > maxBytes) {
        size -= waiting.shift()?.bytes.length ?? 0;
        queue.dropped += 1;
      }
      const bytes = new Uint8Array(length);
      bytes.set(head);
      bytes.set(body.subarray(start, end), head.length);
      waiting.push({ bytes, at: now });
      size += length;
      return 'sent';
    },
    take(now) {
      for (;;) {
        const first = waiting.shift();
        if (!first) return undefined;
        size -= first.bytes.length;
        if (now - first.at <= maxAge) return first.bytes;
        queue.dropped += 1;
      }
    },
  };
  return queue;
}
