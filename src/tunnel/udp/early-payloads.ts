/** Payloads that came before the tunnel was ready, oldest first, within a bound. */
export interface EarlyPayloads {
  /** Copies and keeps `bytes[start, end)`; false when there is no room for it. */
  keep(bytes: Uint8Array, start: number, end: number): boolean;
  /** Gives each one up, in order, and forgets them all. */
  flush(take: (bytes: Uint8Array, start: number, end: number) => void): void;
  clear(): void;
}

/** Room for early payloads that several tunnels share, so that many waiting ones cannot fill the memory. */
export interface EarlyRoom {
  /** Bytes left. */
  left: number;
}

/** About one flight of packets at the start of a QUIC connection, with room to spare. */
const MAX_PAYLOADS = 64;
const MAX_BYTES = 96 * 1024;
/** What keeping one costs besides its bytes. */
const OVERHEAD = 64;

export function createEarlyRoom(bytes: number): EarlyRoom {
  return { left: bytes };
}

export function createEarlyPayloads(room: EarlyRoom): EarlyPayloads {
  let payloads: Uint8Array[] = [];
  let kept = 0;
  const takeAll = (): Uint8Array[] => {
    const waiting = payloads;
    payloads = [];
    room.left += kept;
    kept = 0;
    return waiting;
  };
  return {
    keep(bytes, start, end) {
      const cost = end - start + OVERHEAD;
      if (payloads.length >= MAX_PAYLOADS || kept + cost > MAX_BYTES || cost > room.left) return false;
      kept += cost;
      room.left -= cost;
      // Not `bytes.slice`: a Buffer's shares its memory.
      payloads.push(Uint8Array.prototype.slice.call(bytes, start, end));
      return true;
    },
    flush(take) {
      for (const payload of takeAll()) take(payload, 0, payload.length);
    },
    clear() {
      takeAll();
    },
  };
}
