import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { after } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ListeningAddress, ProxyEvent } from '../../src/proxy/events.js';
import type { OpenTunnel, ProxyInfo, ProxyOptions } from '../../src/proxy/index.js';
import { selfSigned } from '../../src/quic/native/index.js';
import type { ProxyCall } from './proxy-child.js';
import type { Standing } from './standing.js';

/** A proxy in a process of its own, so that it can be looked at, and killed. */
export interface ChildProxy {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly addresses: readonly ListeningAddress[];
  /** TCP and UDP. */
  readonly port: number;
  /** PEM: what its clients trust. */
  readonly ca: string;
  /** Collects garbage, then counts. */
  standing(): Promise<Standing>;
  memory(): Promise<NodeJS.MemoryUsage>;
  info(): Promise<ProxyInfo>;
  tunnels(): Promise<OpenTunnel[]>;
  /** Since it was last asked. */
  events(): Promise<ProxyEvent[]>;
  setCertificate(tls: { readonly cert: string; readonly key: string }): Promise<void>;
  kill(): Promise<void>;
  /** Closes it in order; the exit code. */
  close(): Promise<number | null>;
}

/**
 * What is left once it has had time to settle: counts again until they are `settled`, for a minute at most. What is
 * then still there is the caller's to judge.
 */
export async function settledStanding(
  proxy: ChildProxy,
  settled: (standing: Standing) => boolean,
): Promise<Standing> {
  const end = performance.now() + 60_000;
  for (;;) {
    const standing = await proxy.standing();
    if (settled(standing) || performance.now() > end) return standing;
    await delay(500);
  }
}

/** Options that a message can carry. */
export type ChildProxyOptions = Omit<Partial<ProxyOptions>, 'authenticate' | 'decide' | 'onEvent' | 'engine'>;

/** Starts a proxy that lets anyone reach loopback; it dies with the test. */
export async function startChildProxy(options: ChildProxyOptions = {}): Promise<ChildProxy> {
  const program = fileURLToPath(new URL('./proxy-child.js', import.meta.url));
  const child = fork(program, [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Objects are counted by a function that Node calls experimental.
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  });
  let gone = false;
  const waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = [];
  exited.then((code) => {
    gone = true;
    const error = new Error(`the proxy's process ended (${code ?? child.signalCode})`);
    for (const { reject } of waiting.splice(0)) reject(error);
  });
  child.on('message', (message: { value?: unknown; error?: string }) => {
    const next = waiting.shift();
    if (message.error === undefined) next?.resolve(message.value);
    else next?.reject(new Error(message.error));
  });
  const ask = <T>(call: ProxyCall): Promise<T> =>
    new Promise<unknown>((resolve, reject) => {
      if (gone) return reject(new Error("the proxy's process is gone"));
      waiting.push({ resolve, reject });
      child.send(call);
    }) as Promise<T>;

  const certificate = selfSigned(['localhost', '127.0.0.1', '::1'], 30);
  const addresses = await ask<ListeningAddress[]>({
    call: 'start',
    options: { tls: certificate, ...options },
  });
  return {
    pid: child.pid ?? 0,
    child,
    addresses,
    port: addresses[0]?.port ?? 0,
    ca: certificate.cert,
    standing: () => ask({ call: 'standing' }),
    memory: () => ask({ call: 'memory' }),
    info: () => ask({ call: 'info' }),
    tunnels: () => ask({ call: 'tunnels' }),
    events: () => ask({ call: 'events' }),
    setCertificate: (tls) => ask({ call: 'certificate', tls }),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async close() {
      child.send({ call: 'close' } satisfies ProxyCall);
      return exited;
    },
  };
}
