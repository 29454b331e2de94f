import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ProxyLimits } from '../src/proxy/index.js';
import type { DataPath } from '../src/tunnel/data-path.js';
import { type Subject, startEnvoy, subjectOf } from './foreign-program.js';
import { startLoadServer } from './load-program.js';

/** What is measured: the proxy, one of the floors that it is compared with, or a proxy of others. */
export type SubjectKind = 'proxy' | 'proxy-js' | 'proxy-password' | 'forwarder' | 'quic-echo' | 'envoy';

/** The user `load` of the proxy that asks for a password has this one. */
export const PASSWORD = 'correct horse';

/** How a proxy under test differs from one with its defaults that lets anybody in. */
export interface ProxySettings {
  readonly dataPath?: DataPath;
  /** Of the user `load`. */
  readonly password?: string;
  readonly limits?: Partial<ProxyLimits>;
  /** Port of 127.0.0.1 of a next hop with the same certificate; the path there is HTTP/3. */
  readonly via?: number;
  readonly shards?: number;
}

export type { Subject } from './foreign-program.js';

/** A port of 127.0.0.1 that nobody has: masque-load cannot tell which one it would choose. */
async function freeAddress(): Promise<string> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return `127.0.0.1:${port}`;
}

async function startServer(program: string, args: (address: string) => string[]): Promise<Subject> {
  const address = await freeAddress();
  const child = startLoadServer(program, args(address));
  await wait(150);
  if (child.exitCode !== null) throw new Error(`masque-load ${args(address).join(' ')} has ended`);
  return subjectOf(child, address, () => child.kill());
}

/** The echo target that proxy and forwarder share. */
export function startTarget(program: string): Promise<Subject> {
  return startServer(program, (address) => ['target', '--listen', address]);
}

/** The proxy under test; it leaves its certificate in the folder. */
export async function startProxy(folder: string, settings: ProxySettings = {}): Promise<Subject> {
  const script = fileURLToPath(new URL('proxy-process.js', import.meta.url));
  const child = spawn(process.execPath, [script, folder, JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line', { signal: AbortSignal.timeout(15_000) }),
    once(child, 'exit').then(() => Promise.reject(new Error('the proxy under test has ended'))),
  ]);
  const { port } = JSON.parse(String(line[0])) as { port: number };
  return subjectOf(child, `127.0.0.1:${port}`, () => child.stdin.end());
}

/** Starts what is measured. `folder` holds the certificate: a proxy writes it, the QUIC echo reads it. */
export function startSubject(
  kind: SubjectKind,
  program: string,
  folder: string,
  target: Subject,
): Promise<Subject> {
  if (kind === 'proxy') return startProxy(folder);
  if (kind === 'proxy-js') return startProxy(folder, { dataPath: 'js' });
  if (kind === 'proxy-password') return startProxy(folder, { password: PASSWORD });
  if (kind === 'envoy') return startEnvoy(folder);
  if (kind === 'forwarder') {
    return startServer(program, (address) => ['forward', '--listen', address, '--to', target.address]);
  }
  const files = ['--cert', `${folder}/cert.pem`, '--key', `${folder}/key.pem`];
  return startServer(program, (address) => ['quic-echo-server', '--listen', address, ...files]);
}
