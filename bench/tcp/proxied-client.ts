import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, connect } from '../../src/client/index.js';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { startProgram } from '../own-program.js';
import { type Subject, startSubject } from './subjects.js';

/** A proxy, a target and a deaf target, each in a process of its own. */
export interface Stage extends AsyncDisposable {
  readonly proxy: Subject;
  /** Sinks and sources. */
  readonly target: string;
  /** Accepts and reads nothing. */
  readonly deaf: string;
  /** A client of this process; `one` keeps it to one connection. */
  client(version: HttpVersion, one: boolean): Promise<Client>;
}

export async function openStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'bauta-bench-'));
  const target = await startProgram('tcp/target-process.js', []);
  const deaf = await startProgram('tcp/target-process.js', ['deaf']);
  const proxy = await startSubject('bauta', folder, target);
  const pin = publicKeyPin(await readFile(join(folder, 'cert.pem'), 'utf8'));
  return {
    proxy,
    target: target.address,
    deaf: deaf.address,
    client: (version, one) =>
      connect(`https://${proxy.address}/#pin=${pin}`, {
        versions: [version],
        maxConnections: one ? 1 : 2_000,
      }),
    async [Symbol.asyncDispose]() {
      for (const subject of [proxy, target, deaf]) await subject.close();
      await rm(folder, { recursive: true });
    },
  };
}
