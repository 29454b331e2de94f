import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { addressKey } from '../../src/proxy/limits.js';
import { ask, basic, createCorePair, request } from './core-pair.js';

const TARGET = '8.8.8.8/53';

async function outcomeOf(ready: Promise<{ status: number }>): Promise<string> {
  return ready.then(
    (head) => String(head.status),
    (error: unknown) => (error instanceof BautaError ? `${error.status} ${error.code}` : String(error)),
  );
}

const anyName = async (credential: { scheme: string; name?: string }) => ({ name: credential.name ?? '' });

describe('limits', { timeout: 600_000 }, () => {
  test('tunnels on a connection, from an address, of a user: 429; in all: 503', async () => {
    const cases = [
      [{ tunnelsPerConnection: 2 }, '429 ERR_TOO_MANY'],
      [{ tunnelsPerAddress: 2 }, '429 ERR_TOO_MANY'],
      [{ tunnelsPerUser: 2 }, '429 ERR_TOO_MANY'],
      [{ tunnels: 2 }, '503 ERR_PORTS_EXHAUSTED'],
    ] as const;
    for (const [limits, expected] of cases) {
      const pair = createCorePair({ limits, authenticate: anyName });
      const connection = pair.connect();
      const tunnels = Array.from({ length: 3 }, () => ask(pair, connection, TARGET, basic('ada', 'x')));
      await pair.clock.advanceAsync(100);
      const outcomes = await Promise.all(tunnels.map(({ ready }) => outcomeOf(ready)));
      assert.deepEqual(outcomes, ['200', '200', expected], JSON.stringify(limits));
      tunnels[0]?.end();
      await pair.clock.advanceAsync(100);
      const again = ask(pair, connection, TARGET, basic('ada', 'x'));
      await pair.clock.advanceAsync(100);
      assert.equal(await outcomeOf(again.ready), '200', 'the place is free again');
    }
  });

  test('strangers take no place from users, however long their credentials are checked', async () => {
    const pair = createCorePair({
      limits: { tunnels: 2, tunnelsPerAddress: 2 },
      authenticate: async (credential) => {
        if (credential.scheme === 'basic' && credential.name === 'ada') return { name: 'ada' };
        return new Promise(() => undefined);
      },
    });
    const stranger = pair.connect();
    for (let count = 0; count < 5; count++) ask(pair, stranger, TARGET, basic('eve', 'x'));
    await pair.clock.advanceAsync(100);
    const tunnels = Array.from({ length: 2 }, () => ask(pair, pair.connect(), TARGET, basic('ada', 'x')));
    await pair.clock.advanceAsync(100);
    for (const { ready } of tunnels) assert.equal(await outcomeOf(ready), '200');
    assert.equal(pair.core.tunnels.places, 2);
  });

  test("one user's limit is not another's", async () => {
    const pair = createCorePair({ limits: { tunnelsPerUser: 1 }, authenticate: anyName });
    const [first, second] = ['ada', 'bob'].map((name) => ask(pair, pair.connect(), TARGET, basic(name, 'x')));
    await pair.clock.advanceAsync(100);
    assert.ok(first && second);
    assert.equal(await outcomeOf(first.ready), '200');
    assert.equal(await outcomeOf(second.ready), '200');
  });

  test('connections beyond the limit of an address are closed, others stay', async () => {
    const pair = createCorePair({ limits: { connectionsPerAddress: 1 } });
    const first = pair.connect();
    const second = pair.connect();
    const elsewhere = pair.connect({ local: { address: '198.51.100.9', port: 1 } });
    await pair.clock.advanceAsync(100);
    assert.deepEqual(
      [first, second, elsewhere].map(({ client }) => client.usable),
      [true, false, true],
    );
    assert.equal(pair.core.connections, 2);
  });

  test('strangers who take all connections make room, users do not', async () => {
    const pair = createCorePair({ limits: { connections: 4 }, authenticate: anyName });
    const user = pair.connect();
    const tunnel = ask(pair, user, TARGET, basic('ada', 'x'));
    await pair.clock.advanceAsync(50);
    assert.equal(await outcomeOf(tunnel.ready), '200');
    const strangers = Array.from({ length: 3 }, () => pair.connect());
    await pair.clock.advanceAsync(50);
    const second = pair.connect();
    const other = ask(pair, second, TARGET, basic('bob', 'x'));
    await pair.clock.advanceAsync(50);
    assert.equal(await outcomeOf(other.ready), '200');
    assert.deepEqual(
      [user, ...strangers, second].map(({ client }) => client.usable),
      [true, false, true, true, true],
    );
    for (const name of ['eve', 'dan']) {
      const connection = pair.connect();
      ask(pair, connection, TARGET, basic(name, 'x'));
      await pair.clock.advanceAsync(50);
    }
    const late = pair.connect();
    await pair.clock.advanceAsync(50);
    assert.equal(late.client.usable, false, 'nobody is left who could make room');
    assert.equal(pair.core.connections, 4);
    assert.equal(user.client.usable, true);
  });

  test('300 connections and 200 tunnels a connection from one address are fine by default', async () => {
    const pair = createCorePair();
    const connections = Array.from({ length: 300 }, () => pair.connect());
    await pair.clock.advanceAsync(20);
    assert.ok(connections.every(({ client }) => client.usable));
    for (const connection of connections.slice(0, 3)) {
      const tunnels = Array.from({ length: 200 }, () => ask(pair, connection, TARGET));
      await pair.clock.advanceAsync(100);
      for (const { ready } of tunnels) assert.equal(await outcomeOf(ready), '200');
    }
    assert.equal(pair.core.tunnels.open, 600);
  });

  test('an IPv6 client counts by its /64', () => {
    assert.equal(addressKey('2001:db8:1:2:3:4:5:6'), addressKey('2001:db8:1:2::1'));
    assert.notEqual(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:3::1'));
    assert.equal(addressKey('::ffff:192.0.2.1'), '192.0.2.1');
  });

  test('a connection that asks for nothing is drained, one with a quiet tunnel is kept', async () => {
    const pair = createCorePair({ limits: { udpIdleTimeout: 3_600_000 } });
    const unused = pair.connect();
    const used = pair.connect();
    const tunnel = ask(pair, used, TARGET);
    await pair.clock.advanceAsync(100);
    await tunnel.ready;
    await pair.clock.advanceAsync(500_000);
    assert.equal(unused.client.usable, false);
    assert.equal(used.client.usable, true);
    assert.equal(pair.core.tunnels.open, 1);
  });
});

describe('draining', { timeout: 600_000 }, () => {
  test('running tunnels run on, new requests are refused, and it ends with the last tunnel', async () => {
    const pair = createCorePair();
    const connection = pair.connect();
    const running = ask(pair, connection, TARGET);
    await pair.clock.advanceAsync(50);
    await running.ready;
    let drained = false;
    const draining = pair.core.drain(10_000).then(() => {
      drained = true;
    });
    await pair.clock.advanceAsync(1_000);
    assert.equal(drained, false);
    assert.equal(connection.client.usable, false);
    running.send(Buffer.from('still'), 0, 5);
    await pair.clock.advanceAsync(50);
    assert.deepEqual(pair.sockets.opened[0]?.sent.map(String), ['still']);
    running.end();
    await pair.clock.advanceAsync(1_000);
    await draining;
    assert.equal(drained, true);
    assert.equal(pair.core.connections, 0);
  });

  test('a request that crosses the GOAWAY is 503', async () => {
    const pair = createCorePair();
    const connection = pair.connect();
    await pair.clock.advanceAsync(50);
    const keep = ask(pair, connection, TARGET);
    await pair.clock.advanceAsync(50);
    await keep.ready;
    const late = ask(pair, connection, TARGET);
    void pair.core.drain(10_000);
    await pair.clock.advanceAsync(50);
    assert.match(await outcomeOf(late.ready), /^503 ERR_DRAINING$|ERR_CONNECTION_LOST/);
  });

  test('tunnels that run on are ended in order when the time is over', async () => {
    const pair = createCorePair();
    const connection = pair.connect();
    const running = ask(pair, connection, TARGET);
    await pair.clock.advanceAsync(50);
    await running.ready;
    const draining = pair.core.drain(5_000);
    await pair.clock.advanceAsync(4_900);
    assert.equal(pair.core.tunnels.open, 1);
    await pair.clock.advanceAsync(1_000);
    await draining;
    assert.deepEqual(await running.closed, { kind: 'ended' });
    const end = pair.events.find((event) => event.event === 'tunnel-closed');
    assert.equal(end?.event === 'tunnel-closed' && end.reason, 'drained');
  });

  test('a connection that comes while draining is closed', async () => {
    const pair = createCorePair();
    pair.connect();
    await pair.clock.advanceAsync(20);
    void pair.core.drain(5_000);
    const late = pair.connect();
    await pair.clock.advanceAsync(50);
    assert.equal(late.client.usable, false);
  });
});

describe('plain requests', { timeout: 600_000 }, () => {
  const plain = (method: string, path: string) =>
    ({ kind: 'plain', method, scheme: 'https', authority: 'proxy.test', path, fields: [] }) as const;

  test('a browser sees a page that names neither product nor version', async () => {
    const pair = createCorePair();
    const connection = pair.connect();
    const get = await request(pair, connection, plain('GET', '/'));
    assert.equal(get.head?.status, 200);
    assert.match(get.body, /<!doctype html>/);
    assert.doesNotMatch(get.body + JSON.stringify(get.head), /bauta|\d\.\d/i);
    const head = await request(pair, connection, plain('HEAD', '/'));
    assert.equal(head.head?.status, 200);
    assert.equal(head.body, '');
    assert.equal((await request(pair, connection, plain('GET', '/favicon.ico'))).head?.status, 404);
    const post = await request(pair, connection, plain('POST', '/'));
    assert.equal(post.head?.status, 405);
    assert.equal(new Map(post.head?.fields).get('allow'), 'GET, HEAD');
    assert.equal(connection.client.usable, true);
  });

  test('S3: a datagram on a request without datagrams aborts it', async () => {
    for (const kind of ['plain', 'connect'] as const) {
      const pair = createCorePair();
      const connection = pair.connect();
      const head =
        kind === 'plain' ? plain('POST', '/') : ({ kind, authority: '8.8.8.8:53', fields: [] } as const);
      const stream = connection.client.open(head, {
        response: () => undefined,
        data: () => undefined,
        end: () => undefined,
        datagram: () => undefined,
        drain: () => undefined,
        closed: () => undefined,
      });
      stream.grant(65_536);
      await pair.clock.advanceAsync(20);
      stream.sendDatagram(new Uint8Array(0), Uint8Array.of(0, 1), 0, 2);
      await pair.clock.advanceAsync(50);
      const outcome = await stream.closed;
      assert.equal(outcome.kind === 'reset' && outcome.reason, 'datagram-error', kind);
      assert.equal(connection.client.usable, true);
    }
  });
});
