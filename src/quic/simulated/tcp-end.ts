import type { Timer } from '../../clock/clock.js';
import type { SocketAddress } from '../address.js';
import { type TcpEnd, type TcpSocket, type TcpSocketHandler, tcpWaterMarks } from '../tcp-socket.js';
import type { NetworkCore } from './engine.js';
import type { Host } from './host.js';
import { createLane, type Lane } from './link.js';
import { giveView } from './poison.js';

/** Bytes that are under way or wait unread at the other side, as the buffers of two kernels hold them. */
const window = 128 * 1024;

/** Bytes of one frame on the link. */
const segment = 16 * 1024;

/** Unanswered probes that end a connection, and the longest time between two; milliseconds. */
const probes = 4;
const longestInterval = 15_000;

/** One end of a connection, as the network and its peer see it. */
export interface TcpEndpoint {
  readonly socket: TcpSocket;
  handler: TcpSocketHandler | undefined;
  /** What it sends goes along this lane, from the handshake on. */
  readonly lane: Lane;
  /** Set once the other end is there. */
  peer: TcpEndpoint | undefined;
  arrived(bytes: Uint8Array): void;
  arrivedEnd(truncated: boolean): void;
  arrivedReset(): void;
  /** The other end has read. */
  opened(bytes: number): void;
  /** As the socket's `end`, and the peer sees that TLS was cut off. */
  hangUp(): void;
  /** Ends it with RST, as the engine's end does. */
  cut(errno: string): void;
  /** Forgets everything without a word. */
  vanish(): void;
}

export interface TcpEndOptions {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly keepAlive: number;
  /** The lane of the handshake, so that nothing overtakes it. */
  readonly lane?: Lane;
  readonly gone: () => void;
}

export function createTcpEnd(network: NetworkCore, host: Host, options: TcpEndOptions): TcpEndpoint {
  const { clock, scheduler, link } = network;
  const { local, remote, keepAlive, lane = createLane() } = options;
  const acknowledgements = createLane();
  const queue: Uint8Array[] = [];
  const unread: Uint8Array[] = [];
  const count = { bytesSent: 0, bytesReceived: 0 };
  let buffered = 0;
  let room = window;
  let credit = 0;
  let freeAt = 0;
  let pumping = false;
  let reading = false;
  let wantsDrain = false;
  let sending: 'open' | 'ending' | 'over' = 'open';
  let receiving: 'open' | 'ending' | 'over' = 'open';
  let hungUp = false;
  let truncated = false;
  let alive = true;
  /** Reset from here: only the outcome is told any more. */
  let cutOff = false;
  let timer: Timer | undefined;

  const send = (deliver: (peer: TcpEndpoint) => void): void => {
    link.sendReliable(local.address, remote.address, lane, () => {
      if (end.peer) deliver(end.peer);
    });
  };
  const leave = (): void => {
    if (!alive) return;
    alive = false;
    clock.clearTimeout(timer);
    queue.length = 0;
    unread.length = 0;
    buffered = 0;
    host.tcpEnds.delete(end);
    options.gone();
  };
  const finish = (how: TcpEnd): void => {
    if (!alive) return;
    leave();
    end.handler?.closed(how);
  };
  const finishIfEnded = (): void => {
    if (sending === 'over' && receiving === 'over') finish({ kind: 'ended' });
  };

  const take = (most: number): Uint8Array | undefined => {
    const first = queue[0];
    if (!first || most === 0) return undefined;
    if (first.length <= most) return queue.shift();
    queue[0] = first.subarray(most);
    return first.subarray(0, most);
  };
  const pump = (): void => {
    pumping = false;
    const { bandwidth } = link.conditions;
    while (alive) {
      const now = scheduler.now();
      if (bandwidth !== undefined && freeAt > now) {
        pumpAfter(freeAt - now);
        break;
      }
      const bytes = take(Math.min(segment, room));
      if (!bytes) break;
      buffered -= bytes.length;
      room -= bytes.length;
      count.bytesSent += bytes.length;
      if (bandwidth !== undefined) freeAt = Math.max(freeAt, now) + (bytes.length * 1000) / bandwidth;
      send((peer) => peer.arrived(bytes));
    }
    if (alive && sending === 'ending' && queue.length === 0) {
      sending = 'over';
      send((peer) => peer.arrivedEnd(hungUp));
      finishIfEnded();
    }
    if (alive && wantsDrain && buffered <= tcpWaterMarks.low) {
      wantsDrain = false;
      if (sending === 'open' && !cutOff) end.handler?.drain();
    }
  };
  const pumpAfter = (milliseconds: number): void => {
    if (pumping) return;
    pumping = true;
    scheduler.after(milliseconds, pump);
  };

  const read = (): void => {
    reading = false;
    while (alive && !cutOff && credit > 0) {
      const first = unread[0];
      if (!first) break;
      const length = Math.min(first.length, credit);
      if (length === first.length) unread.shift();
      else unread[0] = first.subarray(length);
      credit -= length;
      count.bytesReceived += length;
      link.sendReliable(local.address, remote.address, acknowledgements, () => end.peer?.opened(length));
      giveView(first, 0, length, (view, start, stop) => end.handler?.data(view, start, stop));
    }
    if (alive && !cutOff && receiving === 'ending' && unread.length === 0) {
      receiving = 'over';
      end.handler?.end(truncated);
      finishIfEnded();
    }
  };
  const readSoon = (): void => {
    if (reading) return;
    reading = true;
    scheduler.after(0, read);
  };

  /** Where the peer is out of reach for long enough, the probes tell. */
  const watch = (unanswered: number): void => {
    const interval = unanswered === 0 ? keepAlive : Math.min(keepAlive, longestInterval);
    timer = clock.setTimeout(() => {
      const silent = link.isCut(local.address, remote.address);
      if (silent && unanswered === probes) finish({ kind: 'reset', by: 'peer', errno: 'ETIMEDOUT' });
      else watch(silent ? unanswered + 1 : 0);
    }, interval);
    timer.unref();
  };

  const cut = (errno: string): void => {
    if (!alive || cutOff) return;
    cutOff = true;
    queue.length = 0;
    buffered = 0;
    send((peer) => peer.arrivedReset());
    scheduler.after(0, () => finish({ kind: 'reset', by: 'local', errno }));
  };
  /** Nobody knows the connection here: the peer is told so. */
  const refuse = (): void => {
    if (!alive) send((peer) => peer.arrivedReset());
  };

  const endSending = (): void => {
    if (!alive || cutOff || sending !== 'open') return;
    sending = 'ending';
    pumpAfter(0);
  };

  const end: TcpEndpoint = {
    handler: undefined,
    lane,
    peer: undefined,
    socket: {
      localAddress: local,
      remoteAddress: remote,
      get buffered() {
        return buffered;
      },
      grant(bytes) {
        if (!alive || cutOff || bytes <= 0) return;
        credit += bytes;
        readSoon();
      },
      write(bytes, start, stop) {
        if (!alive || cutOff || sending !== 'open' || stop <= start) return true;
        queue.push(Uint8Array.prototype.slice.call(bytes, start, stop));
        buffered += stop - start;
        pumpAfter(0);
        if (buffered < tcpWaterMarks.high) return true;
        wantsDrain = true;
        return false;
      },
      end: endSending,
      reset: () => cut('ECONNABORTED'),
      statistics: () => ({ ...count }),
    },
    arrived(bytes) {
      if (!alive) {
        refuse();
        return;
      }
      unread.push(bytes);
      read();
    },
    arrivedEnd(cut) {
      if (!alive) {
        refuse();
        return;
      }
      truncated = cut;
      receiving = 'ending';
      read();
    },
    arrivedReset: () => finish({ kind: 'reset', by: 'peer', errno: 'ECONNRESET' }),
    opened(bytes) {
      room += bytes;
      if (alive) pump();
    },
    hangUp() {
      hungUp ||= sending === 'open';
      endSending();
    },
    cut,
    vanish: leave,
  };
  host.tcpEnds.add(end);
  if (keepAlive > 0) watch(0);
  return end;
}
