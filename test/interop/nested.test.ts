import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { spkiPin } from '../../src/quic/native/index.js';
import { freePort } from '../free-port.js';
import { startBauta } from './command.js';
import { openProxy } from './open-proxy.js';
import { jsonLines, requireProgram, runProgram, startProgram } from './program.js';

const program = '.cache/masque-go-client';
const options = { timeout: 120_000, ...requireProgram(program, 'scripts/test-tools.sh') };

for (const { hops, size, packet } of [
  { hops: 2, size: 1 << 20, packet: 1280 },
  { hops: 3, size: 10 << 20, packet: 1200 },
]) {
  const title = `C6: ${size} bytes of an HTTP/3 page of quic-go through ${hops} proxies that the client nests, whole`;
  test(title, options, async () => {
    const proxies = await Promise.all(Array.from({ length: hops }, () => openProxy()));
    const [first] = proxies;
    assert.ok(first);
    const identity = ['-cert', first.certFile, '-key', first.keyFile];
    const packets = ['-packet', String(packet)];
    const origin = await startProgram(program, ['serve', ...identity, ...packets]);
    const links = await Promise.all(
      proxies.map(async ({ authority, certFile }) => {
        const pin = spkiPin(await readFile(certFile, 'utf8'));
        return ['--proxy', `https://${authority}/#pin=${pin}`];
      }),
    );
    const local = await freePort('udp');
    const client = await startBauta([
      'client',
      ...links.flat(),
      ...['--versions', '3', '--udp', `${local}=${origin.first['listening']}`],
    ]);
    try {
      const page = ['-origin', `127.0.0.1:${local}`, '-bytes', String(size)];
      const run = await runProgram(program, ['get', '-ca', first.certFile, ...page, ...packets]);
      assert.equal(run.code, 0, run.stderr);
      const [answer] = jsonLines(run.stdout);
      assert.equal(answer?.['bytes'], size);
      assert.equal(answer?.['sha256'], answer?.['expected']);
    } finally {
      origin.stop();
      await client.stop();
      for (const proxy of proxies) await proxy.close();
    }
  });
}
