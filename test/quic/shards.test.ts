import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { QuicConfigurationError, QuicConnectError } from '../../src/quic/engine.js';
import { createNativeEngine, defaultShards, selfSigned, spkiPin } from '../../src/quic/native/index.js';
import { clientTls, connectTo, delay, listening, type Side, until } from './pair.js';

const SHARDS = 4;
const limit = {
  timeout: 60_000,
  skip: process.platform === 'linux' ? false : 'only Linux steers packets to the sockets of one port',
};
const engine = createNativeEngine({ shards: SHARDS });
const clients = createNativeEngine();
after(() => Promise.all([engine.close(), clients.close()]));

type Listening = Awaited<ReturnType<typeof listening>>;

interface Both {
  readonly client: Side;
  readonly server: Side;
}

async function connected({ listener, next }: Listening, count: number): Promise<Both[]> {
  const made: Both[] = [];
  for (let index = 0; index < count; index++) {
    const client = await connectTo(clients, listener);
    made.push({ client, server: await next() });
  }
  return made;
}

const send = ({ connection }: Side, text: string): string =>
  connection.sendDatagram(new Uint8Array(0), Buffer.from(text), 0, text.length);

/** A datagram each way; sent again while it may have been lost with a change of address. */
async function flows({ client, server }: Both): Promise<void> {
  const [there, back] = [server.datagrams.length, client.datagrams.length];
  for (let round = 0; server.datagrams.length === there; round++) {
    if (round % 50 === 0) send(client, 'there');
    await delay(2);
  }
  send(server, 'back');
  await until(() => client.datagrams.length > back);
}

/** How many connections each of the threads has. */
function spread(all: readonly Both[]): number[] {
  const counts = new Map<unknown, number>();
  for (const { server } of all) {
    const { thread } = server.connection;
    assert.ok(thread);
    counts.set(thread, (counts.get(thread) ?? 0) + 1);
  }
  return [...counts.values()];
}

describe('a listener on four shards', limit, () => {
  test('40 connections spread, and all 40 live through changes of their address', limit, async (t) => {
    const opened = await listening(engine);
    assert.equal(opened.listener.shards, SHARDS);
    const all = await connected(opened, 40);
    const counts = spread(all);
    t.diagnostic(`connections of each shard: ${counts.join(' ')}`);
    assert.ok(counts.length > 2, 'chance would have to be very odd');
    for (let change = 0; change < 3; change++) {
      for (const { client } of all) await client.connection.rebind?.();
      await Promise.all(all.map(flows));
      await Promise.all(
        all.map(({ client, server }) =>
          until(() => server.connection.remoteAddress.port === client.connection.localAddress.port),
        ),
      );
    }
    assert.equal(opened.accepted.length, 40);
    assert.equal(new Set(all.map(({ server }) => server.connection.id)).size, 40);
    const closed = Promise.all(all.map(({ client }) => client.closed));
    await opened.listener.close(7, 'bye');
    for (const reason of await closed) {
      assert.deepEqual(reason, { kind: 'application', code: 7, reason: 'bye', byPeer: true });
    }
  });

  test('so they do on IPv6 and IPv4 of one socket', limit, async () => {
    const opened = await listening(engine, { local: { address: '::', port: 0 }, dualStack: true });
    const { port } = opened.listener.localAddress;
    const all: Both[] = [];
    for (let index = 0; index < 16; index++) {
      const remote = { address: index % 2 === 0 ? '127.0.0.1' : '::1', port };
      const client = await connectTo(clients, opened.listener, { remote });
      all.push({ client, server: await opened.next() });
    }
    for (const { client } of all) await client.connection.rebind?.();
    await Promise.all(all.map(flows));
    await opened.listener.close(0, '');
  });

  test('with Retry for each, the token leads to the same shard', limit, async () => {
    const opened = await listening(engine, { retryAbove: 0 });
    const all = await connected(opened, 16);
    await Promise.all(all.map(flows));
    assert.equal(opened.listener.statistics().retries, 16);
    assert.equal(opened.listener.statistics().handshakes, 0);
    await opened.listener.close(0, '');
  });

  test('a splice takes a socket of its connection only, and runs', limit, async () => {
    const opened = await listening(engine, {}, { onDatagram: () => undefined });
    const all = await connected(opened, 16);
    const nothing = { packet: () => undefined, problem: () => undefined };
    const target = await engine.udp.open(
      { local: { address: '127.0.0.1', port: 0 } },
      { ...nothing, packet: (bytes, start, end, from) => void target.send(bytes, start, end, from) },
    );
    for (const { client, server } of all) {
      const { thread } = server.connection;
      const others = all.map((other) => other.server.connection.thread).find((one) => one !== thread);
      assert.ok(thread && others);
      const far = await others.udp.open({ remote: target.localAddress }, nothing);
      assert.equal(server.connection.spliceDatagrams?.(5, far), undefined);
      far.close();
      const near = await thread.udp.open({ remote: target.localAddress }, nothing);
      const splice = server.connection.spliceDatagrams?.(5, near);
      assert.ok(splice);
      await client.connection.rebind?.();
      await until(() => {
        client.connection.sendDatagram(Uint8Array.of(5, 0), Buffer.from('echo'), 0, 4);
        return client.datagrams.length > 0;
      });
      assert.equal(String(client.datagrams[0]), '\u0005\0echo');
      assert.ok(splice.statistics().payloadsOut > 0);
      near.close();
    }
    await opened.listener.close(0, '');
    target.close();
  });

  test('TCP of each shard', limit, async () => {
    const opened = await listening(engine);
    const all = await connected(opened, 8);
    const got: Buffer[] = [];
    const nothing = {
      data: () => undefined,
      end: () => undefined,
      drain: () => undefined,
      closed: () => undefined,
    };
    const target = await engine.tcp.listen({ local: { address: '127.0.0.1', port: 0 } }, (socket) => {
      socket.grant(100);
      return { ...nothing, data: (bytes, start, end) => void got.push(Buffer.from(bytes.slice(start, end))) };
    });
    for (const { server } of all) {
      const dial = server.connection.thread?.tcp.connect;
      const socket = await dial?.({ remote: target.localAddress }, nothing, AbortSignal.timeout(60_000));
      socket?.write(Buffer.from('x'), 0, 1);
      socket?.end();
    }
    await until(() => Buffer.concat(got).length === all.length);
    await target.close();
    await opened.listener.close(0, '');
  });

  test('a new certificate is shown by all', limit, async () => {
    const opened = await listening(engine);
    await connected(opened, 4);
    const fresh = selfSigned(['localhost'], 1);
    assert.throws(() => opened.listener.setCertificates([{ cert: 'x', key: 'y' }]), QuicConfigurationError);
    await connected(opened, 8);
    opened.listener.setCertificates([fresh]);
    const tls = { ...clientTls(), trust: { mode: 'pin' as const, pins: [spkiPin(fresh.cert)] } };
    for (let count = 0; count < 16; count++) await connectTo(clients, opened.listener, { tls });
    await opened.listener.close(0, '');
  });

  test('none accepts any more, and what runs goes on', limit, async () => {
    const opened = await listening(engine);
    const all = await connected(opened, 8);
    opened.listener.stopAccepting();
    // Each thread hears of it in its own time.
    for (let refused = 0, others = 0; refused < 12; ) {
      const outcome = await connectTo(clients, opened.listener).catch((error: unknown) => error);
      if (outcome instanceof QuicConnectError && outcome.failure.kind === 'refused') refused += 1;
      else others += 1;
      assert.ok(others < 12, String(outcome));
    }
    assert.equal(opened.listener.statistics().refused, 12);
    await Promise.all(all.map(flows));
    await opened.listener.close(0, '');
  });

  test('its port is its own, and free once it is closed', limit, async () => {
    const { listener } = await listening(engine);
    const local = listener.localAddress;
    const taken = (error: unknown): boolean =>
      error instanceof QuicConfigurationError && error.errno === 'EADDRINUSE';
    const single = createNativeEngine();
    await assert.rejects(listening(engine, { local }), taken);
    await assert.rejects(listening(single, { local }), taken);
    await listener.close(0, '');
    const { listener: again } = await listening(single, { local });
    await assert.rejects(listening(engine, { local }), taken);
    await single.close();
    await again.close(0, '');
    const { listener: last } = await listening(engine, { local });
    await last.close(0, '');
  });

  test('options that cannot be used leave nothing behind', limit, async () => {
    const { listener } = await listening(engine);
    const local = listener.localAddress;
    await listener.close(0, '');
    const tls = { certificates: [{ cert: 'x', key: 'y' }], alpn: ['test'] };
    await assert.rejects(listening(engine, { local, tls }), QuicConfigurationError);
    await assert.rejects(
      listening(engine, { local: { address: 'nowhere', port: 0 } }),
      QuicConfigurationError,
    );
    const { listener: again } = await listening(engine, { local });
    await again.close(0, '');
  });
});

test('there are from 1 to 64 shards, and a default', limit, () => {
  for (const shards of [0, -1, 1.5, 65, Number.NaN]) {
    assert.throws(() => createNativeEngine({ shards }), RangeError);
  }
  const byDefault = defaultShards();
  assert.ok(Number.isInteger(byDefault) && byDefault >= 1 && byDefault <= 8);
});
