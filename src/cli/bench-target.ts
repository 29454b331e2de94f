import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isLoopback } from '../client/forward-spec.js';
import { BautaError } from '../protocol/bauta-error.js';
import { formatHostPort, parseTarget, type Target } from '../protocol/target.js';
import type { SocketAddress } from '../quic/address.js';

/** The far end of a speed test. */
export interface BenchTarget extends AsyncDisposable {
  readonly target: Target;
  /** It was started here, on this address of this machine. */
  readonly own: string | undefined;
}

/** The address of this machine from which packets to the other one leave. */
async function addressTowards(remote: SocketAddress): Promise<string> {
  const socket = createSocket(isIPv6(remote.address) ? 'udp6' : 'udp4');
  try {
    socket.connect(remote.port, remote.address);
    await once(socket, 'connect');
    return socket.address().address;
  } finally {
    socket.close();
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('a process without standard output');
  const lines = createInterface(child.stdout);
  const line = once(lines, 'line').then(([text]) => String(text));
  const gone = once(child, 'exit').then(() => {
    throw new BautaError('ERR_INTERNAL', { detail: 'the far end on this machine did not start' });
  });
  gone.catch(() => undefined);
  try {
    return await Promise.race([line, gone]);
  } finally {
    lines.close();
  }
}

/** Starts a responder in a process of its own, on the address by which this machine reaches the proxy. */
export async function startOwnTarget(proxy: SocketAddress): Promise<BenchTarget> {
  const address = await addressTowards(proxy);
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const child = spawn(
    process.execPath,
    [main, 'bench', '--serve', formatHostPort(address, 0), '--json'],
    // It ends when the channel does, however this process ends.
    { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  );
  const exit = once(child, 'exit');
  exit.catch(() => undefined);
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (child.connected) child.disconnect();
    else child.kill();
    await exit;
  };
  try {
    const line = JSON.parse(await firstLine(child)) as { addresses?: { port: number }[] };
    const port = line.addresses?.[0]?.port ?? 0;
    return { target: parseTarget(formatHostPort(address, port)), own: address, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export function givenTarget(text: string): BenchTarget {
  return { target: parseTarget(text), own: undefined, [Symbol.asyncDispose]: async () => undefined };
}

/** Adds what to do where the proxy may not, or does not, reach the far end. */
export function withReachHint(error: unknown, { own, target }: BenchTarget): unknown {
  if (!(error instanceof BautaError)) return error;
  const refused = error.code === 'ERR_TARGET_REFUSED' || error.code === 'ERR_TARGET_DENIED';
  const lost = error.code === 'ERR_TARGET_TIMEOUT' || error.code === 'ERR_TARGET_UNREACHABLE';
  const elsewhere = 'bauta bench --serve 4500, and here --to HOST:4500';
  let hint: string | undefined;
  if (own !== undefined && refused) {
    const range = `${own}/${isIPv6(own) ? 128 : 32}`;
    const where = isLoopback(own) ? 'this machine' : `${own}, this machine's address`;
    hint = `To let it connect to ${where}: bauta proxy --allow-target ${range}. Else, where it may connect to: ${elsewhere}`;
  } else if (own !== undefined && lost) {
    hint = `It does not reach ${own}. On a machine that it reaches: ${elsewhere}`;
  } else if (error.code === 'ERR_TARGET_TIMEOUT' || error.code === 'ERR_TARGET_CLOSED') {
    hint = `On that machine: bauta bench --serve ${target.port}`;
  }
  if (hint === undefined) return error;
  return new BautaError(error.code, {
    detail: detailOf(error),
    hint,
    cause: error,
    ...(error.status === undefined ? {} : { status: error.status }),
    ...(error.proxyStatus === undefined ? {} : { proxyStatus: error.proxyStatus }),
  });
}

function detailOf(error: BautaError): string {
  return /\((.*)\)$/s.exec(error.message)?.[1] ?? '';
}
