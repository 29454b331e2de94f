/** Datagrams that came before anybody could take them; bounded, the newest dropped. */
export interface EarlyDatagrams {
  keep(bytes: Uint8Array, start: number, end: number): void;
  /** Gives them out in order and keeps none. */
  deliver(receive: (bytes: Uint8Array, start: number, end: number) => void): void;
  clear(): void;
  readonly dropped: number;
}

/** What a kept datagram costs besides its bytes, so that empty ones are bounded too. */
const entrySize = 64;

export function createEarlyDatagrams(maxBytes: number): EarlyDatagrams {
  let kept: Uint8Array[] = [];
  let size = 0;
  const take = (): Uint8Array[] => {
    const taken = kept;
    kept = [];
    size = 0;
    return taken;
  };
  const early: EarlyDatagrams & { dropped: number } = {
    dropped: 0,
    keep(bytes, start, end) {
      const cost = end - start + entrySize;
      if (size + cost > maxBytes) {
        early.dropped += 1;
        return;
      }
      size += cost;
      kept.push(Uint8Array.prototype.slice.call(bytes, start, end));
    },
    deliver(receive) {
      for (const datagram of take()) receive(datagram, 0, datagram.length);
    },
    clear() {
      take();
    },
  };
  return early;
}
