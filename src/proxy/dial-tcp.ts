import type { Clock } from '../clock/clock.js';
import type { SocketAddress } from '../quic/address.js';
import { TcpOpenError, type TcpProblem, type TcpSockets } from '../quic/tcp-socket.js';
import type { ByteSide, ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import { socketSide, socketSideHandler } from '../tunnel/tcp/socket-side.js';
import { raceAddresses } from '../upstream/happy-eyeballs.js';
import { createLateHandler } from './late-handler.js';

export type TcpDial =
  | { readonly kind: 'open'; readonly side: ByteSide; readonly remote: SocketAddress }
  | { readonly kind: 'failed'; readonly problem: TcpProblem; readonly errno: string };

/** Of several addresses' failures the one to tell: that of a machine that answered first. */
const telling: readonly TcpProblem[] = [
  'refused',
  'reset',
  'timeout',
  'host-unreachable',
  'network-unreachable',
  'denied',
  'no-descriptors',
  'no-ports',
  'no-memory',
  'other',
  'aborted',
];

/**
 * Connects to the first of the addresses that answers (RFC 8305 section 5); the others are given up. All of it takes
 * no longer than `timeout` milliseconds. Never rejects.
 */
export async function dialTcp(
  sockets: TcpSockets,
  addresses: readonly string[],
  port: number,
  handler: ByteSideHandler,
  timeout: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<TcpDial> {
  const limit = new AbortController();
  const over = (): void => limit.abort();
  const timer = clock.setTimeout(over, timeout);
  signal.addEventListener('abort', over, { once: true });
  if (signal.aborted) over();

  const connect = async (address: string, cancelled: AbortSignal) => {
    const late = createLateHandler(handler);
    const remote = { address, port };
    const socket = await sockets.connect(
      { remote, connectTimeout: timeout },
      socketSideHandler(late.handler),
      cancelled,
    );
    return { socket, remote, adopt: late.adopt };
  };
  const outcome = await raceAddresses(
    addresses,
    connect,
    ({ socket }) => socket.reset(),
    clock,
    limit.signal,
  );
  clock.clearTimeout(timer);
  signal.removeEventListener('abort', over);

  if (outcome.kind === 'won') {
    const { socket, remote, adopt } = outcome.value;
    adopt();
    return { kind: 'open', side: socketSide(socket), remote };
  }
  if (outcome.kind === 'aborted') return { kind: 'failed', problem: 'timeout', errno: 'ETIMEDOUT' };
  const failures = outcome.standings.flatMap((standing) =>
    standing.kind === 'failed' ? [failureOf(standing.error)] : [],
  );
  const best = telling
    .map((problem) => failures.find((failure) => failure.problem === problem))
    .find(Boolean);
  return { kind: 'failed', ...(best ?? { problem: 'other', errno: 'no address' }) };
}

function failureOf(error: unknown): { readonly problem: TcpProblem; readonly errno: string } {
  if (error instanceof TcpOpenError) return { problem: error.problem, errno: error.errno };
  return { problem: 'other', errno: String(error) };
}
