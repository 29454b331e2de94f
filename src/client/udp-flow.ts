import type { Clock } from '../clock/clock.js';
import type { BautaError } from '../protocol/bauta-error.js';
import type { DatagramSplice } from '../quic/datagram-splice.js';
import type { UdpSocket, UdpSocketHandler } from '../quic/udp-socket.js';
import { isFatal } from '../tunnel/udp/fatal-problem.js';
import type { OpenUdpTunnel, UdpTunnelHandler } from '../tunnel/udp/open-udp.js';
import { dialError } from './dial-failure.js';
import { createUnreadDatagrams } from './unread-datagrams.js';

/** Opens a tunnel for a flow; it may wait for the connection to come back. */
export type OpenFlow = (handler: UdpTunnelHandler, signal: AbortSignal) => Promise<OpenUdpTunnel>;

export interface UdpFlowOptions {
  readonly open: OpenFlow;
  readonly clock: Clock;
  /** A payload from the target; the view is valid only during the call. */
  readonly payload: (bytes: Uint8Array, start: number, end: number) => void;
  readonly opened: () => void;
  /** The tunnel could not be opened; a datagram after a moment's rest tries again. */
  readonly failed: (error: BautaError) => void;
  /** The tunnel ended by itself. */
  readonly ended: () => void;
  /** What became of each datagram that was to be sent. */
  readonly count: (outcome: 'sent' | 'dropped', datagrams: number) => void;
  /** How the engine may move the datagrams by itself; without it never. */
  readonly splice?: FlowSplice;
}

export interface FlowSplice {
  /** Datagrams, of both directions, that this side carries first (`data-path.ts`). */
  readonly after: number;
  /** Opens a socket that has the datagrams of the flow's peer alone from then on. */
  readonly open: (handler: UdpSocketHandler) => Promise<UdpSocket>;
}

/** Datagrams that the engine has moved. */
export interface FlowMoved {
  readonly sent: number;
  readonly received: number;
  readonly dropped: number;
}

/** Datagrams between one local peer and one target: a tunnel that is opened by the first of them. */
export interface UdpFlow {
  /** When a datagram last went either way; what the engine moves has gone when somebody looks. */
  readonly lastActive: number;
  readonly tunnel: OpenUdpTunnel | undefined;
  /** What moves the datagrams. */
  readonly dataPath: 'js' | 'splice';
  /** What the engine has moved, if it ever began. */
  moved(): FlowMoved | undefined;
  send(bytes: Uint8Array, start: number, end: number): void;
  /** Ends the tunnel, or gives up opening it. Idempotent. */
  end(): void;
}

const WAITING = { count: 32, bytes: 65_536 };
/** After a failure the next attempt waits this long, milliseconds. */
const REST = 1_000;

export function createUdpFlow(options: UdpFlowOptions): UdpFlow {
  const { clock, count } = options;
  const cancel = new AbortController();
  /** What came while the tunnel was being opened. */
  const waiting = createUnreadDatagrams(WAITING);
  let opening = false;
  let restsUntil = Number.NEGATIVE_INFINITY;
  let lastActive = clock.now();
  /** Datagrams until the splice. */
  let before = options.splice?.after ?? Number.POSITIVE_INFINITY;
  let own: UdpSocket | undefined;
  let splice: DatagramSplice | undefined;
  /** What the splice had moved when somebody looked. */
  let seen = 0;

  const pass = (through: OpenUdpTunnel, bytes: Uint8Array, start: number, end: number): void => {
    count(through.send(bytes, start, end) === 'sent' ? 'sent' : 'dropped', 1);
    carried();
  };
  const carried = (): void => {
    lastActive = clock.now();
    if (--before === 0) void handOver();
  };
  /** From here on the engine moves the datagrams, if it can. */
  const handOver = async (): Promise<void> => {
    const { tunnel } = flow;
    if (!tunnel?.splice || !options.splice) return;
    try {
      own = await options.splice.open({
        // What comes before the engine has begun, and where it does not.
        packet: (bytes, start, end) => flow.send(bytes, start, end),
        problem(problem) {
          // Its address is gone, say. An app that is away for a moment may come back.
          if (isFatal[problem] && problem !== 'refused') giveBack();
        },
      });
    } catch {
      // JavaScript goes on.
      return;
    }
    if (!cancel.signal.aborted) splice = tunnel.splice(own);
    if (!splice) giveBack();
  };
  /** The peer's datagrams are JavaScript's again. */
  const giveBack = (): void => {
    own?.close();
    own = undefined;
  };
  const giveUpWaiting = (): void => {
    if (waiting.length > 0) count('dropped', waiting.length);
    waiting.clear();
  };
  const handler: UdpTunnelHandler = {
    payload(bytes, start, end) {
      carried();
      options.payload(bytes, start, end);
    },
  };
  const open = async (): Promise<void> => {
    opening = true;
    try {
      const made = await options.open(handler, cancel.signal);
      if (cancel.signal.aborted) {
        made.end();
        return;
      }
      flow.tunnel = made;
      void made.closed.then(() => {
        if (!cancel.signal.aborted) options.ended();
      });
      options.opened();
      for (let first = waiting.shift(); first; first = waiting.shift()) pass(made, first, 0, first.length);
      if (options.splice?.after === 0) void handOver();
    } catch (error) {
      if (cancel.signal.aborted) return;
      giveUpWaiting();
      restsUntil = clock.now() + REST;
      options.failed(dialError(error));
    } finally {
      opening = false;
    }
  };

  const flow: UdpFlow & { tunnel: OpenUdpTunnel | undefined } = {
    get lastActive() {
      const moved = flow.moved();
      const all = moved ? moved.sent + moved.received + moved.dropped : 0;
      if (all !== seen) {
        seen = all;
        lastActive = clock.now();
      }
      return lastActive;
    },
    tunnel: undefined,
    get dataPath() {
      return own && splice && !splice.calledOff() ? 'splice' : 'js';
    },
    moved() {
      if (!splice || splice.calledOff()) return undefined;
      const told = splice.statistics();
      return {
        sent: told.payloadsOut,
        received: told.payloadsIn - told.droppedInSocket - told.droppedInTooLarge,
        dropped:
          told.droppedOutQueueFull + told.droppedOutTooLarge + told.droppedInSocket + told.droppedInTooLarge,
      };
    },
    send(bytes, start, end) {
      if (cancel.signal.aborted) return;
      const { tunnel } = flow;
      if (tunnel) {
        pass(tunnel, bytes, start, end);
        return;
      }
      if (!opening) {
        if (clock.now() < restsUntil) {
          count('dropped', 1);
          return;
        }
        void open();
      }
      lastActive = clock.now();
      const lost = waiting.dropped;
      waiting.push(Buffer.from(bytes.slice(start, end)));
      if (waiting.dropped > lost) count('dropped', waiting.dropped - lost);
    },
    end() {
      if (cancel.signal.aborted) return;
      cancel.abort();
      giveUpWaiting();
      flow.tunnel?.end();
      giveBack();
    },
  };
  return flow;
}
