import type { SocketAddress } from '../../../src/quic/address.js';
import {
  UdpOpenError,
  type UdpProblem,
  type UdpSocketHandler,
  type UdpSockets,
} from '../../../src/quic/udp-socket.js';

/** A socket whose packets a test reads and writes by hand. */
export interface ScriptedSocket {
  readonly remote: SocketAddress | undefined;
  readonly sent: Buffer[];
  closed: boolean;
  /** A packet from the target. */
  deliver(payload: Uint8Array): void;
  fail(problem: UdpProblem, errno: string): void;
}

export interface ScriptedSockets {
  readonly face: UdpSockets;
  readonly opened: ScriptedSocket[];
  /** Addresses that cannot be opened. */
  readonly failing: Map<string, UdpProblem>;
  /** Resolves opens only when `release` is called. */
  hold(): void;
  release(): void;
}

export function createScriptedSockets(): ScriptedSockets {
  const opened: ScriptedSocket[] = [];
  const failing = new Map<string, UdpProblem>();
  let gate: Promise<void> | undefined;
  let release: () => void = () => undefined;

  const open: UdpSockets['open'] = async ({ remote }, handler: UdpSocketHandler) => {
    await gate;
    const problem = failing.get(remote?.address ?? '');
    if (problem) throw new UdpOpenError(problem, `E-${problem}`);
    const socket: ScriptedSocket = {
      remote,
      sent: [],
      closed: false,
      deliver(payload) {
        if (!socket.closed) handler.packet(payload, 0, payload.length, undefined);
      },
      fail(why, errno) {
        if (!socket.closed) handler.problem(why, errno);
      },
    };
    opened.push(socket);
    return {
      localAddress: { address: '192.0.2.1', port: 40_000 + opened.length },
      send(bytes, start, end) {
        if (socket.closed) return 'dropped';
        socket.sent.push(Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end)));
        return 'sent';
      },
      statistics: () => ({
        packetsSent: socket.sent.length,
        packetsReceived: 0,
        bytesSent: 0,
        bytesReceived: 0,
        droppedSending: 0,
        droppedReceiving: 0,
      }),
      close() {
        socket.closed = true;
      },
    };
  };

  return {
    face: { open },
    opened,
    failing,
    hold() {
      gate = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => release(),
  };
}
