import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { type ImpairedPath, openPath } from './impaired-path.js';
import { type NamespaceProgram, script, startIn } from './namespace-program.js';
import type { PathKind } from './paths.js';

const project = fileURLToPath(new URL('../../../', import.meta.url));
const bauta = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** quic-go as origin and client of QUIC; `scripts/test-tools.sh` builds it. */
export const quicProgram = resolve(project, '.cache/masque-go-client');

export const farAddress = '10.77.0.2';

/** Where the client listens on the near side, for each target on the far one. */
export const localPorts = { tcp: 7_001, quic: 7_002, flood: 7_003, sink: 7_004 } as const;

/** A path with targets and a proxy on its far side. */
export interface Stage extends AsyncDisposable {
  readonly path: ImpairedPath;
  readonly certFile: string;
  /** Ports on the far side. */
  readonly ports: Readonly<Record<'tcp' | 'echo' | 'flood' | 'sink' | 'quic', number>>;
  readonly targets: NamespaceProgram;
  readonly proxy: NamespaceProgram;
  /** Runs `bauta client` on the near side: one connection of that version, and `localPorts` to the targets. */
  client(version: HttpVersion): Promise<NamespaceProgram>;
}

const versionNumbers: Readonly<Record<HttpVersion, string>> = { h3: '3', h2: '2', h1: '1' };

/** Congestion control of the kernel's TCP over the path, and of bauta's QUIC. */
export interface Congestion {
  readonly tcp: string;
  readonly quic: string;
}

export async function openStage(kind: PathKind, seed: number, congestion: Congestion): Promise<Stage> {
  const steps: (() => Promise<void>)[] = [];
  let closed: Promise<void> | undefined;
  const closeAll = async (): Promise<void> => {
    for (let step = steps.pop(); step; step = steps.pop()) await step();
  };
  // Whoever asks second waits as well.
  const close = (): Promise<void> => {
    closed ??= closeAll();
    return closed;
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'bauta-path-'));
    steps.push(() => rm(folder, { recursive: true, force: true }));
    const tls = selfSigned([farAddress, '127.0.0.1'], 2);
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    await writeFile(certFile, tls.cert);
    await writeFile(keyFile, tls.key, { mode: 0o600 });
    const path = await openPath(kind, seed, congestion.tcp);
    steps.push(async () => path[Symbol.asyncDispose]());
    const start = (namespace: string, command: readonly string[]): NamespaceProgram => {
      const program = startIn(namespace, command);
      steps.push(() => program.stop());
      return program;
    };
    const targets = start(path.far, script('far-process.js', farAddress));
    const identity = ['-cert', certFile, '-key', keyFile];
    const origin = start(path.far, [quicProgram, 'serve', ...identity, '-listen', `${farAddress}:0`]);
    const proxyOptions = [
      ...['--listen', `${farAddress}:4433`, '--no-auth', '--open-to-everyone', '--drain-timeout', '1'],
      ...['--cert', certFile, '--key', keyFile, '--state-dir', folder, '--allow-target', `${farAddress}/32`],
    ];
    const common = ['--congestion', congestion.quic, '--json'];
    const proxy = start(path.far, [process.execPath, bauta, 'proxy', ...proxyOptions, ...common, '-v']);
    const [ports, served] = await Promise.all([targets.next(60), origin.next(60), proxy.next(60)]);
    const quic = Number(String(served['listening']).split(':').at(-1));
    const all = { ...(ports as Record<'tcp' | 'echo' | 'flood' | 'sink', number>), quic };
    const target = (name: keyof typeof all): string => `${farAddress}:${all[name]}`;
    const link = `https://${farAddress}:4433/#pin=${publicKeyPin(tls.cert)}`;
    return {
      path,
      certFile,
      ports: all,
      targets,
      proxy,
      async client(version) {
        const forwards = [
          ...['--tcp', `${localPorts.tcp}=${target('tcp')}`, '--udp', `${localPorts.quic}=${target('quic')}`],
          ...[
            '--udp',
            `${localPorts.flood}=${target('flood')}`,
            '--udp',
            `${localPorts.sink}=${target('sink')}`,
          ],
        ];
        const options = ['--versions', versionNumbers[version], ...common, ...forwards];
        const client = startIn(path.near, [process.execPath, bauta, 'client', link, ...options]);
        await client.next(60);
        return client;
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
