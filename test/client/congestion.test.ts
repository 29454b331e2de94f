import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { connect } from '../../src/client/connect.js';
import type { CongestionControl } from '../../src/quic/congestion.js';
import { startLossyPath } from './lossy-path.js';
import { startTcpTarget } from './tcp-target.js';
import { startTestProxy } from './test-proxy.js';

const BYTES = 1_000_000;

/** Bytes until the end; the other direction stays open. */
async function received(stream: Duplex): Promise<number> {
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(stream, 'end');
  return bytes;
}

/** Bytes under way each way, of an upload and a download over a path that loses packets. */
async function underWay(proxySays?: CongestionControl, clientSays?: CongestionControl) {
  await using target = await startTcpTarget(async (socket) => {
    assert.equal(await received(socket), BYTES);
    socket.end(Buffer.alloc(BYTES));
  });
  await using proxy = await startTestProxy(proxySays && { congestion: proxySays });
  await using path = await startLossyPath(proxy.port);
  const link = proxy.link.replace(`:${proxy.port}/`, `:${path.port}/`);
  await using client = await connect(link, {
    versions: ['h3'],
    ...(clientSays && { congestion: clientSays }),
  });
  const tunnel = await client.openTcp(target.target);
  tunnel.end(Buffer.alloc(BYTES));
  assert.equal(await received(tunnel), BYTES);
  return path.underWay;
}

test('congestion of the proxy is for what goes down, that of the client for what goes up', {
  timeout: 120_000,
}, async (t) => {
  const cubic = await underWay();
  const proxyBbr = await underWay('bbr');
  const clientBbr = await underWay('cubic', 'bbr');
  t.diagnostic(JSON.stringify({ cubic, proxyBbr, clientBbr }));
  assert.ok(proxyBbr.down > 2 * cubic.down && proxyBbr.down > 2 * clientBbr.down);
  assert.ok(clientBbr.up > 2 * cubic.up && clientBbr.up > 2 * proxyBbr.up);
});
