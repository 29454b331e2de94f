import assert from 'node:assert/strict';
import { createServer } from 'node:http2';
import { describe, test } from 'node:test';
import { connect } from '../../src/client/connect.js';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { parseProxyStatus } from '../../src/protocol/proxy-status.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import { startChildProxy } from '../faults/child-proxy.js';
import { type ChainProxy, startHop } from './chain.js';
import { nextMessage, startEcho } from './echo.js';

const options = { timeout: 120_000 };
const all: readonly HttpVersion[] = ['h3', 'h2', 'h1'];

/** Three proxies, the path between two of them in a version each. */
async function startChain(second: HttpVersion, third: HttpVersion): Promise<readonly ChainProxy[]> {
  const last = await startHop('last');
  const middle = await startHop('middle', { via: last.link, viaVersions: [third] });
  return [await startHop('first', { via: middle.link, viaVersions: [second] }), middle, last];
}

const ended = async (proxy: ChainProxy): Promise<ProxyEvent & { event: 'tunnel-closed' }> => {
  for (let tries = 0; tries < 3_000; tries++) {
    const event = proxy.events.find((one) => one.event === 'tunnel-closed');
    if (event?.event === 'tunnel-closed') return event;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('no tunnel was closed');
};

describe('three proxies on loopback', { ...options, timeout: 600_000 }, () => {
  for (const first of all) {
    for (const second of all) {
      for (const third of all) {
        test(`C1: UDP echo over ${first}, ${second}, ${third}`, options, async () => {
          const [entry, , exit] = await startChain(second, third);
          const echo = await startEcho();
          const client = await connect(entry?.link ?? '', { versions: [first] });
          const tunnel = await client.openUdp({ host: '127.0.0.1', port: echo.port });
          const sizes = [0, 1, 1_200];
          for (const size of sizes) {
            const payload = Buffer.alloc(size, size % 251);
            tunnel.send(payload);
            assert.deepEqual(await nextMessage(tunnel), payload);
          }
          assert.equal(exit?.proxy.info().tunnels.open, 1);
          tunnel.close();
          // C5: an end stays an end.
          assert.deepEqual(await tunnel.closed, { kind: 'ended' });
          if (exit) assert.equal((await ended(exit)).reason, 'client');
          await client.close();
          await echo.close();
        });
      }
    }
  }

  test('C2: what the last hop refuses reaches the client with the entries of all hops', options, async () => {
    for (const version of all) {
      const [entry] = await startChain(version, version);
      const client = await connect(entry?.link ?? '', { versions: [version] });
      // Allowed in the names of the first two, unknown at the last.
      const error = await client.openUdp('missing.invalid:53').catch((reason: unknown) => reason);
      assert.ok(error instanceof BautaError, String(error));
      assert.ok(error.code === 'ERR_TARGET_NAME' || error.code === 'ERR_TARGET_NAME_TIMEOUT', error.message);
      const entries = parseProxyStatus(error.proxyStatus ?? '');
      assert.equal(entries.length, 3);
      assert.match(entries[0]?.error ?? '', /^dns_/);
      assert.deepEqual(
        entries.slice(1).map(({ receivedStatus, nextProtocol }) => [receivedStatus, nextProtocol]),
        [0, 1].map(() => [error.status, version === 'h1' ? 'http/1.1' : version]),
      );
      await client.close();
    }
  });

  test('C3: two proxies that forward to each other answer with 508', options, async () => {
    for (const version of all) {
      const links = { second: '' };
      const first = await startHop('one', {
        decide: () => ({ action: 'via', hop: links.second }),
        viaVersions: [version],
      });
      const second = await startHop('two', { via: first.link, viaVersions: [version] });
      links.second = second.link;
      const client = await connect(first.link, { versions: [version] });
      const error = await client.openUdp('127.0.0.1:9').catch((reason: unknown) => reason);
      assert.ok(error instanceof BautaError && error.code === 'ERR_LOOP', String(error));
      assert.equal(error.status, 508);
      await client.close();
    }
  });

  for (const version of all) {
    test(`C5: over ${version} a hop that died is not a dead target: internal-error`, options, async () => {
      const exit = await startChildProxy();
      const link = `https://127.0.0.1:${exit.port}/#pin=${publicKeyPin(exit.ca)}`;
      const middle = await startHop('middle', { via: link, viaVersions: ['h2'] });
      const entry = await startHop('first', { via: middle.link, viaVersions: ['h3'] });
      const echo = await startEcho();
      const client = await connect(entry.link, { versions: [version] });
      const tunnel = await client.openUdp({ host: '127.0.0.1', port: echo.port });
      tunnel.send('hello');
      await nextMessage(tunnel);
      await exit.kill();
      // HTTP/1.1 has one way to abort, which says nothing.
      const reason = version === 'h1' ? 'unknown' : 'internal-error';
      assert.deepEqual(await tunnel.closed, { kind: 'reset', by: 'peer', reason });
      const { reason: cause, detail } = await ended(middle);
      assert.equal(cause, 'hop');
      assert.match(detail ?? '', /^lost, /);
      await client.close();
      await echo.close();
    });
  }

  test('C5: a dead target is a reset for the client, a hop that drains an end', options, async () => {
    const [entry, middle, exit] = await startChain('h3', 'h2');
    const echo = await startEcho();
    const client = await connect(entry?.link ?? '', { versions: ['h3'] });
    const target = { host: '127.0.0.1', port: echo.port };
    const dead = await client.openUdp(target);
    const other = await client.openUdp(target);
    dead.send('hello');
    await nextMessage(dead);
    await echo.close();
    dead.send('anyone?');
    assert.deepEqual(await dead.closed, { kind: 'reset', by: 'peer', reason: 'connect-error' });
    if (exit) assert.equal((await ended(exit)).reason, 'target');
    // What drains ends its tunnels in order.
    await exit?.proxy.close();
    assert.deepEqual(await other.closed, { kind: 'ended' });
    // The client may hear of the end before the hop in between has counted it.
    for (let wait = 0; wait < 6_000 && middle?.proxy.info().tunnels.open !== 0; wait++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(middle?.proxy.info().tunnels.open, 0);
    await client.close();
  });

  test('C7: the identity of the hop is checked; the password is not sent to another', options, async () => {
    const [hop, stranger] = [await startHop('hop'), await startHop('other')];
    const forged = hop.link.replace(/#.*/, stranger.link.replace(/.*#/, '#'));
    const entry = await startHop('entry', { via: forged });
    const client = await connect(entry.link);
    const error = await client.openUdp('127.0.0.1:9').catch((reason: unknown) => reason);
    assert.ok(error instanceof BautaError && error.status === 502, String(error));
    assert.match(error.proxyStatus ?? '', /error=tls_certificate_error/);
    assert.equal(hop.proxy.info().tunnels.opened, 0);
    assert.ok(hop.events.every(({ event }) => event !== 'request-refused'));
    const told = entry.events.find(({ event }) => event === 'hop-failed');
    assert.ok(told?.event === 'hop-failed' && told.code === 'ERR_PIN_MISMATCH');
    await client.close();
  });

  test('C7: each hop is asked with its own roots and its own token', options, async () => {
    const tokens: string[] = [];
    const hop = await startHop('unused', {
      authenticate: async (credential) => {
        if (credential.scheme !== 'bearer') return null;
        tokens.push(credential.token);
        return { name: 'relay' };
      },
    });
    const entry = await startHop('entry', {
      via: {
        url: `https://127.0.0.1:${hop.port}/`,
        ca: hop.tls.cert,
        token: async () => `token-${tokens.length}`,
      },
    });
    const echo = await startEcho();
    const client = await connect(entry.link);
    for (let index = 0; index < 2; index++) {
      const tunnel = await client.openUdp({ host: '127.0.0.1', port: echo.port });
      tunnel.send('hello');
      assert.equal(String(await nextMessage(tunnel)), 'hello');
      tunnel.close();
    }
    assert.deepEqual(tokens, ['token-0', 'token-1']);
    await client.close();
    await echo.close();
  });

  test('C9: the hop may stand where no target may be', options, async () => {
    const hop = await startHop('hop');
    const entry = await startHop('entry', {
      via: hop.link,
      targets: { allow: ['127.0.0.2'], deny: ['127.0.0.1', 'localhost'] },
    });
    const echo = await startEcho('127.0.0.2');
    const client = await connect(entry.link);
    const tunnel = await client.openUdp({ host: '127.0.0.2', port: echo.port });
    tunnel.send('hello');
    assert.equal(String(await nextMessage(tunnel)), 'hello');
    const refused = await client.openUdp(`127.0.0.1:${hop.port}`).catch((reason: unknown) => reason);
    assert.ok(refused instanceof BautaError && refused.code === 'ERR_TARGET_DENIED');
    await client.close();
    await echo.close();
  });

  test(
    'a hop that nobody runs is an error of the table; links that cannot be meant are refused',
    options,
    async () => {
      const closed = createServer();
      await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
      const address = closed.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      await new Promise((resolve) => closed.close(resolve));
      const entry = await startHop('entry', {
        via: `https://user:secret@127.0.0.1:${port}/`,
        viaVersions: ['h2', 'h1'],
      });
      const client = await connect(entry.link);
      const error = await client.openUdp('127.0.0.1:9').catch((reason: unknown) => reason);
      assert.ok(error instanceof BautaError && error.status === 502, String(error));
      assert.match(error.proxyStatus ?? '', /^proxy;error=destination_unavailable/);
      await client.close();
      for (const via of ['http://127.0.0.1/', 'https://127.0.0.1/path', { url: 'https://h/', cert: 'x' }]) {
        await assert.rejects(
          startHop('entry', { via }),
          (reason: unknown) =>
            reason instanceof BautaError && (reason.code === 'ERR_LINK' || reason.code === 'ERR_USAGE'),
        );
      }
    },
  );
});
