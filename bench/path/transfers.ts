import { script, startIn } from './namespace-program.js';
import { farAddress, localPorts, quicProgram, type Stage } from './stage.js';

export type TransferName =
  | 'tcp-direct'
  | 'tcp-h3'
  | 'tcp-h2'
  | 'tcp-h1'
  | 'quic-direct'
  | 'quic-in-h3'
  | 'quic-in-h2';

export interface TransferKind {
  readonly name: TransferName;
  /** The transfer without a proxy that it is compared with. */
  readonly direct: TransferName;
  readonly inner: 'tcp' | 'quic';
  readonly version?: 'h3' | 'h2' | 'h1';
}

export const transferKinds: readonly TransferKind[] = [
  { name: 'tcp-direct', direct: 'tcp-direct', inner: 'tcp' },
  { name: 'tcp-h3', direct: 'tcp-direct', inner: 'tcp', version: 'h3' },
  { name: 'tcp-h2', direct: 'tcp-direct', inner: 'tcp', version: 'h2' },
  { name: 'tcp-h1', direct: 'tcp-direct', inner: 'tcp', version: 'h1' },
  { name: 'quic-direct', direct: 'quic-direct', inner: 'quic' },
  { name: 'quic-in-h3', direct: 'quic-direct', inner: 'quic', version: 'h3' },
  { name: 'quic-in-h2', direct: 'quic-direct', inner: 'quic', version: 'h2' },
];

/** What one download came to. */
export interface Transfer {
  readonly bytes: number;
  /** From the first byte of content to the last. */
  readonly seconds: number;
  /** What arrived has the checksum of what was to arrive. */
  readonly intact: boolean;
  /** Less arrived than was asked for, because the time was over. */
  readonly cut: boolean;
}

async function ask(
  stage: Stage,
  kind: TransferKind,
  bytes: number,
  seconds: number,
): Promise<Omit<Transfer, 'cut'>> {
  const host = kind.version === undefined ? farAddress : '127.0.0.1';
  const port = kind.version === undefined ? stage.ports[kind.inner] : localPorts[kind.inner];
  if (kind.inner === 'tcp') {
    const command = script('near-tcp-process.js', host, `${port}`, `${bytes}`, `${seconds}`);
    const program = startIn(stage.path.near, command);
    try {
      const told = await program.next(seconds + 30);
      if (told['problem'] !== undefined) throw new Error(String(told['problem']));
      return {
        bytes: Number(told['bytes']),
        seconds: Number(told['seconds']),
        intact: told['intact'] === true,
      };
    } finally {
      await program.stop();
    }
  }
  const origin = ['-ca', stage.certFile, '-origin', `${host}:${port}`];
  const size = ['-bytes', `${bytes}`, '-seconds', `${seconds}`];
  const program = startIn(stage.path.near, [quicProgram, 'get', ...origin, ...size]);
  try {
    const told = await program.next(seconds + 30);
    const intact = told['sha256'] === told['expected'];
    return { bytes: Number(told['bytes']), seconds: Number(told['content']), intact };
  } finally {
    await program.stop();
  }
}

/** Downloads `bytes`, or what comes in `seconds`. */
export async function transfer(
  stage: Stage,
  kind: TransferKind,
  bytes: number,
  seconds: number,
): Promise<Transfer> {
  const client = kind.version === undefined ? undefined : await stage.client(kind.version);
  try {
    const told = await ask(stage, kind, bytes, seconds);
    return { ...told, cut: told.bytes < bytes };
  } finally {
    await client?.stop();
  }
}
