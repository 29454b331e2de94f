import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connectCore } from '../../src/client/connect.js';
import type { UdpTunnel } from '../../src/client/udp-tunnel.js';
import { startEcho } from './echo-server.js';
import { startGuardedPort } from './guarded-port.js';
import { slowClock } from './slow-clock.js';
import { startTestProxy } from './test-proxy.js';

const limit = { timeout: 120_000 };

async function roundTrip(tunnel: UdpTunnel, text: string): Promise<string> {
  const arrived = once(tunnel, 'message');
  tunnel.send(text);
  return String((await arrived)[0]);
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let count = 0; !(await condition()); count++) {
    assert.ok(count < 6_000, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

for (const how of ['expiry', 'network change'] as const) {
  test(
    `R2: a network that swallows UDP costs the first tunnel a head start, the next nothing; after ${how} HTTP/3 is back`,
    limit,
    async () => {
      await using echo = await startEcho();
      await using proxy = await startTestProxy();
      await using port = await startGuardedPort(proxy.port);
      const clock = slowClock();
      const since = clock.now();
      await using client = await connectCore(
        proxy.link.replace(`:${proxy.port}/`, `:${port.port}/`),
        {},
        clock,
      );
      await using first = await client.openUdp(echo.target);
      const took = clock.now() - since;
      assert.equal(await roundTrip(first, 'first'), 'first');
      assert.deepEqual([client.info().version, client.info().udpBlocked], ['h2', true]);
      // The head start is 250 ms; HTTP/1.1, 500 ms later, was not needed.
      assert.ok(took >= 250 && took < 750, `${took} ms`);
      assert.equal(port.accepted, 1);

      const swallowed = port.datagrams;
      assert.ok(swallowed > 0);
      for (let count = 0; count < 20; count++) await client.openUdp(echo.target);
      assert.equal(port.datagrams, swallowed, 'HTTP/3 was tried again');
      assert.deepEqual([client.info().udpBlocked, port.accepted], [true, 1]);

      port.udpBlocked = false;
      if (how === 'expiry') clock.skip(300_000);
      else client.networkChanged();
      await until(async () => {
        await client.openUdp(echo.target);
        return client.info().version === 'h3';
      }, 'HTTP/3 is back');
      await using last = await client.openUdp(echo.target);
      assert.equal(await roundTrip(last, 'over UDP'), 'over UDP');
      assert.equal(client.info().udpBlocked, false);
      // What runs over HTTP/2 runs on.
      assert.equal(await roundTrip(first, 'still here'), 'still here');
    },
  );
}

test(
  'C6: nested, where UDP to the first hop is blocked the second is reached inside HTTP/2',
  limit,
  async () => {
    await using echo = await startEcho();
    await using near = await startTestProxy();
    await using far = await startTestProxy();
    await using port = await startGuardedPort(near.port);
    await using client = await connectCore(
      [near.link.replace(`:${near.port}/`, `:${port.port}/`), far.link],
      {},
      slowClock(),
    );
    const { hops, version } = client.info();
    assert.deepEqual([version, hops[0]?.version, hops[0]?.udpBlocked], ['h3', 'h2', true]);
    await using tunnel = await client.openUdp(echo.target);
    assert.equal(await roundTrip(tunnel, 'h3 in h2'), 'h3 in h2');
  },
);
