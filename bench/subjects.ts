import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { publicKeyPin } from '../src/ops/public-key-pin.js';
import type { HttpVersion } from '../src/protocol/reset-reason.js';
import type { ProxyLimits } from '../src/proxy/index.js';
import type { DataPath } from '../src/tunnel/data-path.js';
import { type Subject, startEnvoy, subjectOf } from './foreign-program.js';
import { startLoadServer } from './load-program.js';
import { startProgram } from './own-program.js';

/**
 * What is measured: the proxy, a UDP forward of the client over a version of HTTP, one of the floors that these are
 * compared with, or a proxy of others.
 */
export type SubjectKind =
  | 'proxy'
  | 'proxy-js'
  | 'proxy-password'
  | `forward-${HttpVersion}`
  | `js-forward-${HttpVersion}`
  | 'forwarder'
  | 'quic-echo'
  | 'envoy';

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
export function startProxy(folder: string, settings: ProxySettings = {}): Promise<Subject> {
  return startProgram('proxy-process.js', [folder, JSON.stringify(settings)]);
}

/** A forward of bauta's client. */
export interface ForwardSettings {
  readonly network: 'tcp' | 'udp';
  readonly version: HttpVersion;
  readonly dataPath: DataPath;
}

/** The client under test, with a proxy of its own between it and the target. */
export async function startForward(
  folder: string,
  target: Subject,
  settings: ForwardSettings,
): Promise<Subject> {
  const proxy = await startProxy(folder);
  const pin = publicKeyPin(await readFile(join(folder, 'cert.pem'), 'utf8'));
  const link = `https://${proxy.address}/#pin=${pin}`;
  const given = { ...settings, link, target: target.address };
  const client = await startProgram('client-process.js', [JSON.stringify(given)]);
  return {
    ...client,
    async close() {
      await client.close();
      await proxy.close();
    },
  };
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
  for (const version of ['h3', 'h2', 'h1'] as const) {
    const settings = { network: 'udp', version } as const;
    if (kind === `forward-${version}`) return startForward(folder, target, { ...settings, dataPath: 'auto' });
    if (kind === `js-forward-${version}`)
      return startForward(folder, target, { ...settings, dataPath: 'js' });
  }
  if (kind === 'forwarder') {
    return startServer(program, (address) => ['forward', '--listen', address, '--to', target.address]);
  }
  const files = ['--cert', `${folder}/cert.pem`, '--key', `${folder}/key.pem`];
  return startServer(program, (address) => ['quic-echo-server', '--listen', address, ...files]);
}
