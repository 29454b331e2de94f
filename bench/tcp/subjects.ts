import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { DataPath } from '../../src/tunnel/data-path.js';
import { freePort, hasEnvoy, type Subject, startEnvoy, startForeign, subjectOf } from '../foreign-program.js';

export type { Subject } from '../foreign-program.js';

/**
 * What bytes are sent through: bauta, the same without splices, a relay with bauta as its next hop, the relay
 * without splices, a TCP forward of bauta's client over each version with and without, the floors, and a proxy of
 * others. The first leaves the certificate that the others serve with.
 */
export const subjectNames = [
  'bauta',
  'bauta-js',
  'relay',
  'relay-js',
  'client-h3',
  'client-h3-js',
  'client-h2',
  'client-h2-js',
  'client-h1',
  'client-h1-js',
  'forwarder',
  'socat',
  'bare-node',
  'envoy',
] as const;

export type SubjectName = (typeof subjectNames)[number];

/** A TCP forward of bauta's client. */
export interface ForwardSettings {
  /** Of the proxy. */
  readonly link: string;
  readonly version: HttpVersion;
  readonly dataPath: DataPath;
  /** Where it leads, 127.0.0.1:PORT. */
  readonly target: string;
}

const versionOf = {
  'client-h3': 'h3',
  'client-h3-js': 'h3',
  'client-h2': 'h2',
  'client-h2-js': 'h2',
  'client-h1': 'h1',
  'client-h1-js': 'h1',
} as const;

/** Starts a program of this folder, which tells its port in its first line. */
export async function startProgram(name: string, args: readonly string[]): Promise<Subject> {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line', { signal: AbortSignal.timeout(15_000) }),
    once(child, 'exit').then(() => Promise.reject(new Error(`${name} has ended`))),
  ]);
  const told = JSON.parse(String(line[0])) as { port: number };
  return subjectOf(child, `127.0.0.1:${told.port}`);
}

/** Whether a program of others can be run here. */
export function installed(name: SubjectName): boolean {
  if (name === 'socat') return spawnSync('socat', ['-V']).status === 0;
  return name === 'envoy' ? hasEnvoy() : true;
}

/** The process under test is the relay. */
async function startRelay(folder: string, dataPath: DataPath): Promise<Subject> {
  const hop = await startProgram('../proxy-process.js', [folder]);
  const via = Number(hop.address.split(':')[1]);
  const relay = await startProgram('../proxy-process.js', [folder, JSON.stringify({ dataPath, via })]);
  return {
    ...relay,
    async close() {
      await relay.close();
      await hop.close();
    },
  };
}

/** The process under test is the client. */
async function startClient(
  folder: string,
  target: Subject,
  settings: Pick<ForwardSettings, 'version' | 'dataPath'>,
): Promise<Subject> {
  const proxy = await startProgram('../proxy-process.js', [folder]);
  const pin = publicKeyPin(await readFile(join(folder, 'cert.pem'), 'utf8'));
  const link = `https://${proxy.address}/#pin=${pin}`;
  const given: ForwardSettings = { ...settings, link, target: target.address };
  const client = await startProgram('client-process.js', [JSON.stringify(given)]);
  return {
    ...client,
    async close() {
      await client.close();
      await proxy.close();
    },
  };
}

/** `folder` holds cert.pem and key.pem once bauta was started there. */
export async function startSubject(name: SubjectName, folder: string, target: Subject): Promise<Subject> {
  switch (name) {
    case 'bauta':
      return startProgram('../proxy-process.js', [folder]);
    case 'bauta-js':
      return startProgram('../proxy-process.js', [folder, JSON.stringify({ dataPath: 'js' })]);
    case 'relay':
      return startRelay(folder, 'auto');
    case 'relay-js':
      return startRelay(folder, 'js');
    case 'client-h3':
    case 'client-h2':
    case 'client-h1':
      return startClient(folder, target, { version: versionOf[name], dataPath: 'auto' });
    case 'client-h3-js':
    case 'client-h2-js':
    case 'client-h1-js':
      return startClient(folder, target, { version: versionOf[name], dataPath: 'js' });
    case 'forwarder':
      return startProgram('forwarder-process.js', [target.address]);
    case 'bare-node':
      return startProgram('bare-proxy-process.js', [folder]);
    case 'socat': {
      const port = await freePort();
      const listen = `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,backlog=64`;
      return startForeign('socat', ['-b', '65536', listen, `TCP:${target.address}`], port);
    }
    case 'envoy':
      return startEnvoy(folder);
  }
}
