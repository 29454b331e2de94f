import type { SharedRoom } from '../../../quic/write-gauge.js';
import { Line, type Place } from '../../../tables/line.js';
import { NumberTable } from '../../../tables/number-table.js';
import { Incoming } from './incoming.js';
import { Outgoing } from './outgoing.js';
import { createRecentStreams, type RecentStreams } from './recent-streams.js';

/** One stream, from the first HEADERS to the end of both directions or a reset. */
export interface FrameStream {
  readonly id: number;
  readonly out: Outgoing;
  readonly in: Incoming;
  /** END_STREAM was sent. */
  sent: boolean;
  /** It was reset. */
  cut: boolean;
  /** The peer wants no more of it, and its own message is whole. */
  stopped: boolean;
  /** It was granted credit, and what waits has not been told yet. */
  delivering: boolean;
  /** While it is ready. */
  place: Place<FrameStream> | undefined;
}

/** The streams of one connection. */
export interface FrameStreams {
  /** Those with bytes to send and a window for them, in the order of their turns. */
  readonly ready: Pick<Line<FrameStream>, 'first' | 'size'>;
  /** Those that were reset here a while ago. */
  readonly reset: RecentStreams;
  readonly highestPeer: number;
  get(id: number): FrameStream | undefined;
  all(): Iterable<FrameStream>;
  /** A new one; with the windows that it begins with. */
  add(id: number, outWindow: number, inWindow: number, keptBack: number): FrameStream;
  /** This side opens the stream only to reset it. */
  skip(id: number): void;
  cutOff(stream: FrameStream): void;
  finishIfDone(stream: FrameStream): void;
  clear(): void;
  /** At the end of those who are ready, unless it is there. */
  lineUp(stream: FrameStream): void;
  leaveLine(stream: FrameStream): void;
  /** This side is the one that opens it. */
  isOwn(id: number): boolean;
  /** RFC 9113 section 5.1: a stream that neither side has opened yet. */
  isIdle(id: number): boolean;
}

export function createFrameStreams(role: 'client' | 'server', room: SharedRoom): FrameStreams {
  const streams = new NumberTable<FrameStream>();
  const ready = new Line<FrameStream>();
  let highestOwn = 0;

  const isOwn = (id: number): boolean => (id % 2 === 1) === (role === 'client');
  const opened = (id: number): void => {
    if (isOwn(id)) highestOwn = Math.max(highestOwn, id);
    else made.highestPeer = Math.max(made.highestPeer, id);
  };
  const leaveLine = (stream: FrameStream): void => {
    if (stream.place) ready.leave(stream.place);
    stream.place = undefined;
  };
  const forget = (stream: FrameStream): void => {
    streams.delete(stream.id);
    leaveLine(stream);
    stream.out.clear();
    stream.in.clear();
  };

  const made: FrameStreams & { highestPeer: number } = {
    ready,
    reset: createRecentStreams(),
    highestPeer: 0,
    get: (id) => streams.get(id),
    all: () => streams.values(),
    add(id, outWindow, inWindow, keptBack) {
      const stream: FrameStream = {
        id,
        out: new Outgoing(outWindow, room),
        in: new Incoming(inWindow, keptBack),
        sent: false,
        cut: false,
        stopped: false,
        delivering: false,
        place: undefined,
      };
      opened(id);
      streams.set(id, stream);
      return stream;
    },
    skip(id) {
      if (isOwn(id)) opened(id);
    },
    cutOff(stream) {
      stream.cut = true;
      forget(stream);
    },
    finishIfDone(stream) {
      if (stream.sent && stream.in.endTold) forget(stream);
    },
    clear() {
      for (const stream of streams.values()) forget(stream);
    },
    lineUp(stream) {
      stream.place ??= ready.join(stream);
    },
    leaveLine,
    isOwn,
    isIdle: (id) => id > (isOwn(id) ? highestOwn : made.highestPeer),
  };
  return made;
}
