/** What became of a context id that the peer opens. */
export type ContextOpening =
  | 'opened'
  /** It belongs to this side (RFC 9298 section 4: even to the client, odd to the proxy), or is no id. */
  | 'not-yours'
  /** It is open, or was: ids are never used again. */
  | 'reused'
  /** More at once, or more scattered, than is remembered here. */
  | 'too-many';

/** The context ids of one request stream (RFC 9298 section 4). Context 0 needs no opening. */
export interface ContextIds {
  /** The next id of this side's own. */
  allocate(): number;
  openByPeer(id: number): ContextOpening;
  /** False for an id that nobody opened or that was closed: its datagrams are dropped. */
  isOpen(id: number): boolean;
  /** Does nothing for an id that is not open. */
  close(id: number): void;
}

/** Ids that the peer may have open at once, and runs of used ids that are remembered. */
const MAX_PEER_IDS = 1024;

/** A run of ids of one parity: the halves from `first` to `last` were used. */
interface Run {
  first: number;
  last: number;
}

/** Remembers which numbers were used in as many entries as they have gaps. */
function createUsed(): { add(number: number): ContextOpening } {
  const runs: Run[] = [];
  return {
    add(number) {
      let low = 0;
      for (let high = runs.length; low < high; ) {
        const middle = (low + high) >> 1;
        if ((runs[middle]?.first ?? 0) <= number) low = middle + 1;
        else high = middle;
      }
      const before = runs[low - 1];
      const after = runs[low];
      if (before && number <= before.last) return 'reused';
      const joinsBefore = before !== undefined && before.last + 1 === number;
      const joinsAfter = after !== undefined && after.first - 1 === number;
      if (joinsBefore && joinsAfter) {
        before.last = after.last;
        runs.splice(low, 1);
      } else if (joinsBefore) before.last = number;
      else if (joinsAfter) after.first = number;
      else if (runs.length >= MAX_PEER_IDS) return 'too-many';
      else runs.splice(low, 0, { first: number, last: number });
      return 'opened';
    },
  };
}

export function createContextIds(side: 'client' | 'proxy'): ContextIds {
  const open = new Set<number>([0]);
  const used = createUsed();
  const peerParity = side === 'client' ? 1 : 0;
  let next = side === 'client' ? 2 : 1;
  let peerOpen = 0;
  return {
    allocate() {
      const id = next;
      next += 2;
      open.add(id);
      return id;
    },
    openByPeer(id) {
      if (!Number.isSafeInteger(id) || id <= 0 || id % 2 !== peerParity) return 'not-yours';
      if (open.has(id)) return 'reused';
      if (peerOpen >= MAX_PEER_IDS) return 'too-many';
      const opening = used.add(Math.floor(id / 2));
      if (opening === 'opened') {
        open.add(id);
        peerOpen++;
      }
      return opening;
    },
    isOpen: (id) => open.has(id),
    close(id) {
      if (id === 0 || !open.delete(id)) return;
      if (id % 2 === peerParity) peerOpen--;
    },
  };
}
