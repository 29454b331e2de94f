import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../free-port.js';
import { type RunningCommand, startBauta } from './command.js';
import { dig, startNameServer } from './name-server.js';
import { requireCommand } from './program.js';

const options = { timeout: 120_000, ...requireCommand('dig'), ...requireCommand('dnsmasq') };

describe('dig through bauta proxy and bauta client', { ...options, timeout: 600_000 }, () => {
  let folder: string;
  let server: { port: number; stop: () => void } | undefined;
  let proxy: RunningCommand | undefined;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bauta-dns-'));
    server = await startNameServer();
    proxy = await startBauta([
      ...['proxy', '--listen', '127.0.0.1:0', '--state-dir', folder],
      ...['--user', 'ann:secret', '--allow-target', '127.0.0.0/8'],
    ]);
  });
  after(async () => {
    server?.stop();
    const code = await proxy?.stop();
    await rm(folder, { recursive: true });
    assert.equal(code, 0);
  });

  for (const version of ['3', '2', '1']) {
    test(`a DNS answer over HTTP/${version}`, options, async () => {
      const link = new URL(String(proxy?.first['link']));
      link.username = 'ann';
      link.password = 'secret';
      const local = await freePort('udp');
      const client = await startBauta([
        ...['client', link.href, '--versions', version],
        ...['--udp', `${local}=127.0.0.1:${server?.port}`],
      ]);
      const answer = await dig(local, '+short', `over${version}.bauta.test`);
      assert.equal(answer.stdout.trim(), '192.0.2.7', answer.stdout + answer.stderr);
      assert.equal(await client.stop(), 0);
    });
  }
});
