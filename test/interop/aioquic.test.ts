import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startTcpTarget } from '../proxy/tcp-target.js';
import { startEchoTarget } from './echo-target.js';
import { openProxy, type ProxyUnderTest } from './open-proxy.js';
import { jsonLines, requireProgram, runProgram } from './program.js';

const python = '.cache/venv/bin/python';
const script = 'test/interop/aioquic/client.py';
const options = { timeout: 120_000, ...requireProgram(python, 'scripts/test-tools.sh') };

/** Codes that the RFCs demand: RFC 9114 section 8.1, RFC 9204 section 6, RFC 9297 section 5.2. */
const connectionCodes: Record<string, number> = {
  'control stream without SETTINGS': 0x10a,
  'DATA on the control stream': 0x105,
  'HEADERS on the control stream': 0x105,
  'SETTINGS twice': 0x105,
  'a setting twice': 0x109,
  'H3_DATAGRAM of 2': 0x109,
  'ENABLE_CONNECT_PROTOCOL of 2': 0x109,
  'a setting of HTTP/2': 0x109,
  'control stream closed': 0x104,
  'two control streams': 0x103,
  'a push stream of a client': 0x103,
  'MAX_PUSH_ID that falls': 0x108,
  'CANCEL_PUSH of no push': 0x108,
  'GOAWAY that rises': 0x108,
  'QPACK table larger than allowed': 0x201,
  'QPACK encoder stream twice': 0x103,
  'DATA before HEADERS': 0x105,
  'a frame type of HTTP/2': 0x105,
  'SETTINGS on a request': 0x105,
  'PUSH_PROMISE of a client': 0x105,
  'a frame cut short': 0x106,
  'a dynamic table reference': 0x200,
  'HEADERS after CONNECT': 0x105,
  'a quarter stream id out of range': 0x33,
  'a datagram without a stream id': 0x33,
};
const streamCodes: Record<string, number> = {
  'a datagram of a request without datagrams': 0x33,
  'an upper-case field name': 0x10e,
  'a connection-specific field': 0x10e,
  'extended CONNECT without a path': 0x10e,
  'an unknown pseudo-header': 0x10e,
  'a request cut off before its head': 0x10d,
  'a capsule cut short': 0x10e,
};

describe('aioquic', { ...options, timeout: 600_000 }, () => {
  let proxy: ProxyUnderTest;
  before(async () => {
    proxy = await openProxy();
  });
  after(() => proxy.close());

  test('ten tunnels with payloads of 0, 1 and 1,200', options, async () => {
    const target = await startEchoTarget('127.0.0.1');
    const args = [script, 'echo', '--proxy', proxy.authority, '--ca', proxy.certFile];
    const run = await runProgram(python, [...args, '--target', `127.0.0.1:${target.port}`]);
    target.close();
    assert.equal(run.code, 0, run.stderr);
    const tunnels = jsonLines(run.stdout);
    assert.equal(tunnels.length, 10);
    for (const tunnel of tunnels) {
      assert.equal(tunnel['status'], '200');
      assert.deepEqual(tunnel['sizes'], [0, 1, 1200]);
    }
  });

  test('S1, S3, S4, S6, S25: each violation gets the code that the RFCs demand', options, async () => {
    // A classic CONNECT stays open, where the answer to a plain request would be complete before the datagram.
    const target = await startTcpTarget();
    const args = [script, 'violations', '--proxy', proxy.authority, '--ca', proxy.certFile];
    const run = await runProgram(python, [...args, '--target', `127.0.0.1:${target.port}`], 100_000);
    assert.equal(run.code, 0, run.stderr);
    const seen = Object.fromEntries(
      jsonLines(run.stdout).map(({ violation, kind, code }) => [violation, { kind, code }]),
    );
    const expected = Object.fromEntries([
      ...Object.entries(connectionCodes).map(([name, code]) => [name, { kind: 'connection', code }]),
      ...Object.entries(streamCodes).map(([name, code]) => [name, { kind: 'stream', code }]),
    ]);
    assert.deepEqual(seen, expected);
  });
});
