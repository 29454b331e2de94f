import { spawnSync } from 'node:child_process';
import type { DataPath } from '../../src/tunnel/data-path.js';
import { freePort, hasEnvoy, type Subject, startEnvoy, startForeign } from '../foreign-program.js';
import { startProgram } from '../own-program.js';
import { startForward } from '../subjects.js';

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

const versionOf = {
  'client-h3': 'h3',
  'client-h3-js': 'h3',
  'client-h2': 'h2',
  'client-h2-js': 'h2',
  'client-h1': 'h1',
  'client-h1-js': 'h1',
} as const;

/** Whether a program of others can be run here. */
export function installed(name: SubjectName): boolean {
  if (name === 'socat') return spawnSync('socat', ['-V']).status === 0;
  return name === 'envoy' ? hasEnvoy() : true;
}

/** The process under test is the relay. */
async function startRelay(folder: string, dataPath: DataPath): Promise<Subject> {
  const hop = await startProgram('proxy-process.js', [folder]);
  const via = Number(hop.address.split(':')[1]);
  const relay = await startProgram('proxy-process.js', [folder, JSON.stringify({ dataPath, via })]);
  return {
    ...relay,
    async close() {
      await relay.close();
      await hop.close();
    },
  };
}

/** `folder` holds cert.pem and key.pem once bauta was started there. */
export async function startSubject(name: SubjectName, folder: string, target: Subject): Promise<Subject> {
  switch (name) {
    case 'bauta':
      return startProgram('proxy-process.js', [folder]);
    case 'bauta-js':
      return startProgram('proxy-process.js', [folder, JSON.stringify({ dataPath: 'js' })]);
    case 'relay':
      return startRelay(folder, 'auto');
    case 'relay-js':
      return startRelay(folder, 'js');
    case 'client-h3':
    case 'client-h2':
    case 'client-h1':
      return startForward(folder, target, { network: 'tcp', version: versionOf[name], dataPath: 'auto' });
    case 'client-h3-js':
    case 'client-h2-js':
    case 'client-h1-js':
      return startForward(folder, target, { network: 'tcp', version: versionOf[name], dataPath: 'js' });
    case 'forwarder':
      return startProgram('tcp/forwarder-process.js', [target.address]);
    case 'bare-node':
      return startProgram('tcp/bare-proxy-process.js', [folder]);
    case 'socat': {
      const port = await freePort();
      const listen = `TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr,backlog=64`;
      return startForeign('socat', ['-b', '65536', listen, `TCP:${target.address}`], port);
    }
    case 'envoy':
      return startEnvoy(folder);
  }
}
