import type { Clock } from '../clock/clock.js';
import type { BautaError } from '../protocol/bauta-error.js';
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
}

/** Datagrams between one local peer and one target: a tunnel that is opened by the first of them. */
export interface UdpFlow {
  /** When a datagram last went either way. */
  readonly lastActive: number;
  readonly tunnel: OpenUdpTunnel | undefined;
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

  const pass = (through: OpenUdpTunnel, bytes: Uint8Array, start: number, end: number): void => {
    count(through.send(bytes, start, end) === 'sent' ? 'sent' : 'dropped', 1);
    flow.lastActive = clock.now();
  };
  const giveUpWaiting = (): void => {
    if (waiting.length > 0) count('dropped', waiting.length);
    waiting.clear();
  };
  const handler: UdpTunnelHandler = {
    payload(bytes, start, end) {
      flow.lastActive = clock.now();
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
    } catch (error) {
      if (cancel.signal.aborted) return;
      giveUpWaiting();
      restsUntil = clock.now() + REST;
      options.failed(dialError(error));
    } finally {
      opening = false;
    }
  };

  const flow: UdpFlow & { lastActive: number; tunnel: OpenUdpTunnel | undefined } = {
    lastActive: clock.now(),
    tunnel: undefined,
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
      flow.lastActive = clock.now();
      const before = waiting.dropped;
      waiting.push(Buffer.from(bytes.slice(start, end)));
      if (waiting.dropped > before) count('dropped', waiting.dropped - before);
    },
    end() {
      if (cancel.signal.aborted) return;
      cancel.abort();
      giveUpWaiting();
      flow.tunnel?.end();
    },
  };
  return flow;
}
