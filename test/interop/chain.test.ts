import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { openProxy, type ProxyUnderTest } from './open-proxy.js';
import { jsonLines, requireProgram, runProgram, startProgram } from './program.js';

const client = '.cache/masque-go-client';
const options = { timeout: 120_000, ...requireProgram(client, 'scripts/test-tools.sh') };
const bytes = 10 << 20;

/** Three proxies of which each forwards to the next, over these versions. */
async function openChain(second: HttpVersion, third: HttpVersion): Promise<ProxyUnderTest[]> {
  const via = async (hop: ProxyUnderTest) => ({
    url: `https://${hop.authority}/`,
    ca: await readFile(hop.certFile),
  });
  const last = await openProxy();
  const middle = await openProxy({ via: await via(last), viaVersions: [third] });
  return [await openProxy({ via: await via(middle), viaVersions: [second] }), middle, last];
}

for (const [second, third] of [
  ['h3', 'h3'],
  ['h2', 'h3'],
  ['h3', 'h2'],
  ['h1', 'h2'],
] as const) {
  describe(`masque-go through three proxies, ${second} and ${third} between them`, {
    ...options,
    timeout: 600_000,
  }, () => {
    let chain: ProxyUnderTest[] = [];
    before(async () => {
      chain = await openChain(second, third);
    });
    after(async () => {
      for (const proxy of chain) await proxy.close();
    });

    test('C6: an HTTP/3 page of 10 MB arrives whole', options, async () => {
      const [entry, , exit] = chain;
      assert.ok(entry && exit);
      const origin = await startProgram(client, ['serve', '-cert', entry.certFile, '-key', entry.keyFile]);
      try {
        const run = await runProgram(client, [
          'fetch',
          ...['-template', entry.template, '-ca', entry.certFile],
          ...['-origin', String(origin.first['listening']), '-bytes', String(bytes)],
        ]);
        assert.equal(run.code, 0, run.stderr);
        const [result] = jsonLines(run.stdout);
        assert.equal(result?.['bytes'], bytes);
        assert.equal(result?.['sha256'], result?.['expected']);
        assert.equal(exit.proxy.info().tunnels.opened, 1);
      } finally {
        origin.stop();
      }
    });

    test('C2: the refusal of the last proxy comes with the entries of all three', options, async () => {
      const [entry] = chain;
      const args = ['echo', '-template', entry?.template ?? '', '-ca', entry?.certFile ?? ''];
      const run = await runProgram(client, [...args, '-target', 'missing.invalid:9']);
      assert.notEqual(run.code, 0);
      const [result] = jsonLines(run.stdout);
      assert.ok(result?.['status'] === 502 || result?.['status'] === 504, String(result?.['status']));
      const members = String(result['proxyStatus']).split(', ');
      assert.match(members[0] ?? '', /^proxy;error=dns_/);
      assert.equal(members.filter((member) => member.includes('received-status=')).length, 2);
    });
  });
}
