import type { QuicStream, QuicStreamHandler } from '../stream.js';
import { isBidirectional, ordinalOf, streamId } from './frame.js';
import { createSimulatedStream, type SimulatedStream, type StreamOwner } from './stream.js';

interface Kind {
  readonly bidirectional: boolean;
  /** Streams that this end may have opened in all, and has. */
  limit: number;
  opened: number;
  /** Opened here, waiting for the peer's leave. */
  readonly waiting: SimulatedStream[];
  /** Streams of the peer told so far. */
  accepted: number;
  /** Streams that the peer may have opened in all. */
  allowed: number;
}

/** The streams of one end, with the limits on opening them (RFC 9000 section 4.6). */
export interface StreamTable {
  open(bidirectional: boolean, handler: QuicStreamHandler): SimulatedStream;
  /** What the peer allows in all. */
  setLimit(bidirectional: boolean, limit: number): void;
  /** Opens what may be opened by now. */
  admit(): void;
  find(id: number): SimulatedStream | undefined;
  /** The peer's stream of this id; opens it and all before it (RFC 9000 section 2.1). */
  accept(id: number, tell: (face: QuicStream) => QuicStreamHandler): SimulatedStream | undefined;
  /** Forgets a finished stream; for one of the peer's, the new limit to tell it. */
  remove(stream: SimulatedStream): number | undefined;
  /** Empties the table. */
  takeAll(): SimulatedStream[];
}

const silent: QuicStreamHandler = {
  data: () => undefined,
  end: () => undefined,
  reset: () => undefined,
  stopped: () => undefined,
  drain: () => undefined,
  lost: () => undefined,
};

export function createStreamTable(
  owner: StreamOwner,
  options: {
    readonly byClient: boolean;
    readonly window: number;
    /** Of the peer's streams. */
    readonly firstCredit: number;
    readonly maxBidirectional: number;
    readonly maxUnidirectional: number;
    readonly peerWindow: () => number;
  },
): StreamTable {
  const streams = new Map<number, SimulatedStream>();
  const kind = (isBidi: boolean, allowed: number): Kind => ({
    bidirectional: isBidi,
    limit: 0,
    opened: 0,
    waiting: [],
    accepted: 0,
    allowed,
  });
  const both = kind(true, options.maxBidirectional);
  const one = kind(false, options.maxUnidirectional);
  const of = (isBidi: boolean): Kind => (isBidi ? both : one);

  const admit = (of: Kind): void => {
    while (owner.alive && of.opened < of.limit) {
      const stream = of.waiting.shift();
      if (!stream) return;
      const id = streamId(of.opened, options.byClient, of.bidirectional);
      of.opened += 1;
      streams.set(id, stream);
      stream.open(id, options.peerWindow());
    }
  };

  return {
    open(bidirectional, handler) {
      const shape = { id: -1, bidirectional, local: true, window: options.window, room: 0, firstCredit: 0 };
      const stream = createSimulatedStream(owner, shape, handler);
      if (owner.alive) of(bidirectional).waiting.push(stream);
      return stream;
    },
    setLimit(bidirectional, limit) {
      of(bidirectional).limit = Math.max(of(bidirectional).limit, limit);
    },
    admit() {
      admit(both);
      admit(one);
    },
    find: (id) => streams.get(id),
    accept(id, tell) {
      const bidirectional = isBidirectional(id);
      const kindOf = of(bidirectional);
      while (kindOf.accepted <= ordinalOf(id) && owner.alive) {
        const nextId = streamId(kindOf.accepted, !options.byClient, bidirectional);
        kindOf.accepted += 1;
        const room = options.peerWindow();
        const { window, firstCredit } = options;
        const shape = { id: nextId, bidirectional, local: false, window, room, firstCredit };
        const stream = createSimulatedStream(owner, shape, silent);
        streams.set(nextId, stream);
        stream.handler = tell(stream.face);
      }
      return streams.get(id);
    },
    remove(stream) {
      const { id, local, bidirectional } = stream.face;
      const kindOf = of(bidirectional);
      if (id < 0) {
        const index = kindOf.waiting.indexOf(stream);
        if (index >= 0) kindOf.waiting.splice(index, 1);
        return undefined;
      }
      streams.delete(id);
      if (local) return undefined;
      kindOf.allowed += 1;
      return kindOf.allowed;
    },
    takeAll() {
      const all = [...streams.values(), ...both.waiting, ...one.waiting];
      streams.clear();
      both.waiting.length = 0;
      one.waiting.length = 0;
      return all;
    },
  };
}
