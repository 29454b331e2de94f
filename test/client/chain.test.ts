import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect } from '../../src/client/connect.js';
import type { UdpTunnel } from '../../src/client/udp-tunnel.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import { failure, startHop, until } from './chain-hop.js';
import { startEcho } from './echo-server.js';
import { startTestProxy } from './test-proxy.js';

const limit = { timeout: 120_000 };

async function roundTrip(tunnel: UdpTunnel, text: string | Buffer): Promise<Buffer> {
  for (;;) {
    tunnel.send(text);
    const answer = await Promise.race([
      once(tunnel, 'message'),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 1_000)),
    ]);
    if (answer) return answer[0] as Buffer;
  }
}

test(
  'C6: nested, HTTP/3 in a UDP tunnel of HTTP/3: each hop with its own trust and credentials',
  limit,
  async () => {
    await using echo = await startEcho();
    await using near = await startHop('one');
    await using far = await startHop('two');
    await using client = await connect([near.link, far.link], { versions: ['h3'] });
    await using tunnel = await client.openUdp(echo.target);
    assert.equal((await roundTrip(tunnel, 'nested')).toString(), 'nested');
    const { version, remoteAddress, hops } = client.info();
    assert.equal(version, 'h3');
    assert.deepEqual(remoteAddress, { address: '127.0.0.1', port: far.port });
    assert.deepEqual(
      hops.map((hop) => [hop.version, hop.tunnels]),
      [
        ['h3', 1],
        ['h3', 1],
      ],
    );
    const targets = (events: readonly ProxyEvent[]): number[] =>
      events.flatMap((event) => (event.event === 'tunnel-opened' ? [event.target.port] : []));
    // The first hop never sees the last target.
    assert.deepEqual(targets(near.events), [far.port]);
    assert.ok(!JSON.stringify(near.events).includes(String(echo.port)));
    assert.deepEqual(targets(far.events), [echo.port]);
  },
);

test(
  'C6: nested through three proxies, the last tunnel carries QUIC packets of 1,200 bytes',
  limit,
  async () => {
    await using echo = await startEcho();
    await using a = await startHop('one');
    await using b = await startHop('two');
    await using c = await startHop('three');
    await using client = await connect([a.link, b.link, c.link], { versions: ['h3'] });
    await using tunnel = await client.openUdp(echo.target);
    // From the first packet on: each connection starts with what the tunnel under it carries.
    assert.ok(tunnel.maxDatagramSize >= 1_200, `${tunnel.maxDatagramSize}`);
    const packet = Buffer.alloc(1_200, 'quic');
    assert.ok((await roundTrip(tunnel, packet)).equals(packet));
    const targets = (hop: { readonly events: readonly ProxyEvent[] }): number[] =>
      hop.events.flatMap((event) => (event.event === 'tunnel-opened' ? [event.target.port] : []));
    assert.deepEqual([targets(a), targets(b), targets(c)], [[b.port], [c.port], [echo.port]]);
  },
);

test(
  'C6: nested, errors tell the hop: who cannot be reached, who refuses, whose key is another',
  limit,
  async () => {
    await using a = await startHop('one');
    await using b = await startHop('two');
    const wrong = (link: string): string => link.replace(/user:\w+@/, 'user:guess@');
    const otherPin = (link: string): string => link.replace(/sha256-.*/, `sha256-${'A'.repeat(43)}`);
    await assert.rejects(connect([otherPin(a.link), b.link]), failure('ERR_PIN_MISMATCH', 0));
    await assert.rejects(connect([a.link, otherPin(b.link)]), failure('ERR_PIN_MISMATCH', 1));
    // The first hop's answer to the request for a tunnel to the second.
    await assert.rejects(connect([wrong(a.link), b.link]), failure('ERR_CREDENTIALS', 0));
    const refused = b.link.replace('127.0.0.1', '10.0.0.1');
    await assert.rejects(connect([a.link, refused]), failure('ERR_TARGET_REFUSED', 0));
    await using client = await connect([a.link, wrong(b.link)]);
    await assert.rejects(client.openUdp('127.0.0.1:9'), failure('ERR_CREDENTIALS', 1));
    await assert.rejects(client.openUdp('10.0.0.1:9'), failure('ERR_CREDENTIALS', 1));
  },
);

test(
  'C6: nested, the loss of the outer connection ends the inner one, and both come back',
  limit,
  async () => {
    await using echo = await startEcho();
    await using b = await startHop('two');
    await using a = await startHop('one');
    await using client = await connect([a.link, b.link]);
    const events: string[] = [];
    void (async () => {
      for await (const event of client.events()) events.push(`${event.hop} ${event.type}`);
    })();
    const tunnel = await client.openUdp(echo.target);
    assert.equal((await roundTrip(tunnel, 'before')).toString(), 'before');
    await a.proxy.close();
    const end = await tunnel.closed;
    assert.ok(end.kind === 'lost' && end.error.code === 'ERR_CONNECTION_LOST');
    assert.match(end.error.message, new RegExp(`the tunnel through 127.0.0.1:${a.port}`));
    await until(() => client.info().hops.every((hop) => hop.state === 'reconnecting'), 'both try again');
    assert.ok(events.includes('0 disconnected') && events.includes('1 disconnected'), events.join());
    await using again = await startTestProxy({
      listen: `127.0.0.1:${a.port}`,
      tls: a.tls,
      authenticate: createPasswordStore([['user', 'one']]).authenticate,
    });
    assert.equal(again.port, a.port);
    await using next = await client.openUdp(echo.target);
    assert.equal((await roundTrip(next, 'after')).toString(), 'after');
  },
);

test('C6: nested, closing ends every hop, and every hop hears of it', limit, async () => {
  await using echo = await startEcho();
  await using a = await startHop('one');
  await using b = await startHop('two');
  const client = await connect([a.link, b.link]);
  const tunnel = await client.openUdp(echo.target);
  assert.equal((await roundTrip(tunnel, 'x')).toString(), 'x');
  await client.close();
  assert.deepEqual(await tunnel.closed, { kind: 'ended' });
  assert.equal(client.info().state, 'closed');
  await until(() => a.proxy.info().connections + b.proxy.info().connections === 0, 'no connection is left');
  await until(() => a.proxy.info().tunnels.open + b.proxy.info().tunnels.open === 0, 'no tunnel is left');
});
