import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import {
  UdpOpenError,
  type UdpProblem,
  type UdpSocket,
  type UdpSocketHandler,
  type UdpSocketOptions,
  type UdpSockets,
  zeroUdpSocketStatistics,
} from '../../../src/quic/udp-socket.js';

const problems: Readonly<Record<string, UdpProblem>> = {
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'host-unreachable',
  ENETUNREACH: 'network-unreachable',
  EMSGSIZE: 'too-large',
  EADDRINUSE: 'no-ports',
  EADDRNOTAVAIL: 'no-ports',
  EMFILE: 'no-descriptors',
  ENFILE: 'no-descriptors',
  ENOBUFS: 'no-memory',
  ENOMEM: 'no-memory',
  EACCES: 'denied',
  EPERM: 'denied',
};

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN';
const problemOf = (errno: string): UdpProblem => problems[errno] ?? 'other';

/** Calls that take a callback and fail by an `error` event, as one promise. */
function settled(socket: Socket, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(error);
    socket.once('error', failed);
    start(() => {
      socket.off('error', failed);
      resolve();
    });
  });
}

async function open(options: UdpSocketOptions, handler: UdpSocketHandler): Promise<UdpSocket> {
  const { remote, local } = options;
  const six = isIPv6((remote ?? local)?.address ?? '127.0.0.1');
  const socket = createSocket({ type: six ? 'udp6' : 'udp4' });
  try {
    await settled(socket, (done) => socket.bind(local?.port ?? 0, local?.address, done));
    if (remote) {
      await new Promise<void>((resolve, reject) => {
        // On failure Node gives the error to this callback, although its types do not say so.
        socket.connect(remote.port, remote.address, ((error?: Error) =>
          error ? reject(error) : resolve()) as () => void);
      });
    }
  } catch (error) {
    socket.close();
    throw new UdpOpenError(problemOf(codeOf(error)), codeOf(error));
  }

  const counters = zeroUdpSocketStatistics();
  let open = true;
  const failed = (error: Error): void => {
    if (open) handler.problem(problemOf(codeOf(error)), codeOf(error));
  };
  socket.on('error', failed);
  socket.on('message', (message, from) => {
    if (!open) return;
    counters.packetsReceived++;
    counters.bytesReceived += message.length;
    handler.packet(
      message,
      0,
      message.length,
      remote ? undefined : { address: from.address, port: from.port },
    );
  });
  const address = socket.address();
  return {
    localAddress: { address: address.address, port: address.port },
    send(bytes, start, end, to) {
      if (!open) return 'dropped';
      const sent = (error: Error | null): void => {
        if (error) failed(error);
      };
      const packet = Uint8Array.prototype.slice.call(bytes, start, end);
      if (to) socket.send(packet, to.port, to.address, sent);
      else socket.send(packet, sent);
      counters.packetsSent++;
      counters.bytesSent += packet.length;
      return 'sent';
    },
    statistics: () => ({ ...counters }),
    close() {
      if (!open) return;
      open = false;
      socket.close();
    },
  };
}

/** UDP sockets by `node:dgram`: a test double, as it can neither set DF nor batch system calls. */
export const dgramSockets: UdpSockets = { open };
