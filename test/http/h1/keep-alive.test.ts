import assert from 'node:assert/strict';
import test from 'node:test';
import type { HttpClientConnection, HttpServerConnection } from '../../../src/http/connection.js';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';
import { settled, type TcpWorld, until } from '../../quic/tcp-world.js';
import { echo, extendedHead, type Recorder, recorder, send } from '../tcp/peers.js';
import { dialEngine, serveEngine } from './engine-pair.js';
import { engineWorlds } from './engine-worlds.js';

const limit = { timeout: 120_000 };
const page = { kind: 'plain', scheme: 'https', authority: 'localhost', path: '/page', fields: [] } as const;

interface Bench {
  readonly world: TcpWorld;
  readonly client: HttpClientConnection;
  readonly server: HttpServerConnection;
  readonly streams: { readonly stream: ServerStream; readonly seen: Recorder }[];
}

for (const { name, secure, make } of engineWorlds) {
  const it = (
    title: string,
    answer: (stream: ServerStream, seen: Recorder) => void,
    body: (bench: Bench) => Promise<void>,
  ): void => {
    test(`${title} (${name})`, limit, async () => {
      const { world, clock } = make();
      const streams: { stream: ServerStream; seen: Recorder }[] = [];
      let server: HttpServerConnection | undefined;
      const served = await serveEngine(world, clock, secure, (connection) => {
        server = connection;
        return {
          request(stream) {
            const seen = recorder();
            streams.push({ stream, seen });
            queueMicrotask(() => answer(stream, seen));
            return seen;
          },
        };
      });
      const client = await dialEngine(world, clock, secure, served);
      await until(world, () => server !== undefined);
      assert.ok(server);
      try {
        await body({ world, client, server, streams });
      } finally {
        await settled(world, client.close());
        served.close();
        await settled(world, world.close());
      }
    });
  };
  const refuse = (stream: ServerStream, seen: Recorder): void => {
    seen.data = () => undefined;
    stream.respond({ status: 403, fields: [] });
    send(stream, 'no');
    stream.end();
  };
  /** One request from its opening to its outcome. */
  const ask = async (
    { world, client }: Bench,
    head: Parameters<HttpClientConnection['open']>[0],
  ): Promise<Recorder> => {
    await until(world, () => client.usable);
    const seen = recorder();
    const stream = client.open(head, seen);
    stream.grant(1_000);
    stream.end();
    await until(world, () => seen.outcome !== undefined);
    assert.deepEqual(seen.outcome, { kind: 'ended' });
    return seen;
  };

  it(
    'a thousand requests, and then a tunnel, on one connection',
    (stream, seen) => {
      if (stream.request.kind === 'extended') {
        echo(stream, seen);
        return;
      }
      stream.respond({ status: 200, fields: [] });
      send(stream, `page ${stream.request.kind === 'plain' && stream.request.path}`);
      stream.end();
    },
    async (bench) => {
      const { world, client, server, streams } = bench;
      for (let count = 0; count < 1_000; count++) {
        const seen = await ask(bench, { ...page, method: 'GET', path: `/${count}` });
        assert.equal(seen.bytes().toString(), `page /${count}`);
      }
      await until(world, () => client.usable);
      const seen = recorder();
      const stream = client.open(extendedHead, seen);
      stream.grant(1_000_000);
      const bytes = Buffer.alloc(100_000, 'tunnel');
      stream.write(bytes, 0, bytes.length);
      await until(world, () => seen.bytes().length === bytes.length);
      assert.deepEqual(seen.bytes(), bytes);
      assert.equal(streams.length, 1_001);
      assert.equal(server.streams, 1);
      stream.end();
      await until(world, () => seen.outcome !== undefined);
      assert.deepEqual(seen.outcome, { kind: 'ended' });
    },
  );

  it('refused upgrades by the hundred leave the connection as it was', refuse, async (bench) => {
    for (let count = 0; count < 300; count++) {
      const seen = await ask(bench, extendedHead);
      assert.equal(seen.responses[0]?.status, 403);
      assert.equal(seen.bytes().toString(), 'no');
    }
    assert.equal(bench.streams.length, 300);
  });

  it(
    'uploads of all sizes keep their ends apart',
    (stream, seen) => {
      stream.grant(1 << 30);
      const answer = (): void => {
        stream.respond({ status: 200, fields: [] });
        send(stream, `${seen.bytes().length}`);
        stream.end();
      };
      if (seen.ends > 0) answer();
      else seen.end = answer;
    },
    async ({ world, client }) => {
      for (const size of [0, 1, 1_000, 65_536, 300_000]) {
        await until(world, () => client.usable);
        const seen = recorder();
        const stream = client.open({ ...page, method: 'POST' }, seen);
        stream.grant(1_000);
        if (size > 0) stream.write(Buffer.alloc(size), 0, size);
        stream.end();
        await until(world, () => seen.outcome !== undefined);
        assert.equal(seen.bytes().toString(), `${size}`);
      }
    },
  );

  it('a server that drains says so, and the connection ends cleanly', refuse, async (bench) => {
    const { world, client, server } = bench;
    await ask(bench, extendedHead);
    server.drain();
    const closes = await settled(world, Promise.all([client.closed, server.closed]));
    assert.deepEqual(
      closes.map(({ reason }) => reason),
      ['peer-closed', 'closed'],
    );
    assert.equal(client.usable, false);
  });
}
