import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type EchoTarget, startEchoTarget } from './echo-target.js';
import { openProxy, type ProxyUnderTest } from './open-proxy.js';
import { jsonLines, requireProgram, runProgram, startProgram } from './program.js';

const client = '.cache/masque-go-client';
const options = { timeout: 120_000, ...requireProgram(client, 'scripts/test-tools.sh') };

describe('masque-go', { ...options, timeout: 600_000 }, () => {
  let proxy: ProxyUnderTest;
  let target: EchoTarget;
  before(async () => {
    proxy = await openProxy();
    target = await startEchoTarget('::');
  });
  after(async () => {
    target.close();
    await proxy.close();
  });

  const echo = async (address: string, ...more: string[]) => {
    const args = ['echo', '-template', proxy.template, '-ca', proxy.certFile, '-target', address, ...more];
    const run = await runProgram(client, args);
    assert.equal(run.code, 0, run.stderr + run.stdout);
    return jsonLines(run.stdout);
  };

  const kinds: [kind: string, address: () => string][] = [
    ['a name', () => `localhost:${target.port}`],
    ['IPv4', () => `127.0.0.1:${target.port}`],
    ['IPv6', () => `[::1]:${target.port}`],
  ];
  for (const [kind, address] of kinds) {
    test(`W2: payloads of 0, 1, 1,200 and the most that fits, to ${kind}`, options, async () => {
      const [result] = await echo(address());
      assert.equal(result?.['status'], 200);
      assert.match(String(result?.['proxyStatus']), /next-hop="[^"]+:\d+"/);
      const sizes = result?.['sizes'] as number[];
      assert.deepEqual(sizes.slice(0, 3), [0, 1, 1200]);
      assert.ok((sizes[3] ?? 0) >= 1200, `largest ${sizes[3]}`);
    });
  }

  test('100 tunnels on one connection', options, async () => {
    const results = await echo(`127.0.0.1:${target.port}`, '-tunnels', '100', '-sizes', '1,1200');
    assert.equal(results.length, 100);
    for (const result of results) assert.deepEqual(result['sizes'], [1, 1200]);
  });

  test('W1: an HTTP/3 page of 10 MB from quic-go, through a tunnel, whole', options, async () => {
    const origin = await startProgram(client, ['serve', '-cert', proxy.certFile, '-key', proxy.keyFile]);
    try {
      const run = await runProgram(client, [
        'fetch',
        ...['-template', proxy.template, '-ca', proxy.certFile],
        ...['-origin', String(origin.first['listening']), '-bytes', String(10 << 20)],
      ]);
      assert.equal(run.code, 0, run.stderr);
      const [result] = jsonLines(run.stdout);
      assert.equal(result?.['bytes'], 10 << 20);
      assert.equal(result?.['sha256'], result?.['expected']);
    } finally {
      origin.stop();
    }
  });

  test('a refused target is answered with 403 and the reason', options, async () => {
    const args = ['echo', '-template', proxy.template, '-ca', proxy.certFile, '-target', '192.0.2.1:9'];
    const run = await runProgram(client, args);
    assert.notEqual(run.code, 0);
    assert.equal(jsonLines(run.stdout)[0]?.['status'], 403);
    assert.match(String(jsonLines(run.stdout)[0]?.['proxyStatus']), /destination_ip_prohibited/);
  });
});
