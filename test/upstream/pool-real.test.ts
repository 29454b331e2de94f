import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { seededRandom } from '../../src/quic/simulated/random.js';
import { createHttpDriver } from '../../src/upstream/http-driver.js';
import { createPool, type Pool, type PoolOptions } from '../../src/upstream/pool.js';
import { createRacer } from '../../src/upstream/racer.js';
import { failureKind } from '../../src/upstream/upstream-error.js';
import { frameServer, frameType, settingsPayload } from '../http/h2/frame-peer.js';
import { testCertificate } from '../http/tcp/certificate.js';
import { certificate } from '../http/tcp/peers.js';
import { type HopOptions, openHop, type RealHop, until } from './real-hop.js';
import { head, recordingSession } from './recording-session.js';
import { peerStream } from './transport-peer.js';

const options = { timeout: 120_000 };
const shared = ['h3', 'h2'] as const;
const udp = { extendedConnect: true, datagrams: true };

interface Bench {
  readonly hop: RealHop;
  readonly pool: Pool;
}

async function withPool(
  body: (bench: Bench) => Promise<void>,
  given: Partial<PoolOptions> & { readonly hop?: HopOptions } = {},
): Promise<void> {
  const hop = await openHop(given.hop);
  const pool = createPool({
    driver: hop.driver,
    clock: systemClock,
    random: seededRandom(1),
    randomBytes: (length) => new Uint8Array(length).fill(3),
    ...given,
  });
  try {
    await body({ hop, pool });
  } finally {
    await pool.closeAll();
    await hop.close();
  }
}

/** Connections at the hop by their version. */
function versionsOf(hop: RealHop): HttpVersion[] {
  return hop.connections.map(({ server }) => server.version);
}

for (const version of shared) {
  describe(`a pool on ${version} over loopback`, { ...options, timeout: 600_000 }, () => {
    test('P1: other credentials get another connection', options, async () => {
      await withPool(async ({ hop, pool }) => {
        const a = await pool.openStream(hop.target(version, { credentials: 'a' }), head, recordingSession());
        const b = await pool.openStream(hop.target(version, { credentials: 'b' }), head, recordingSession());
        const again = await pool.openStream(
          hop.target(version, { credentials: 'a' }),
          head,
          recordingSession(),
        );
        assert.notEqual(a.connection, b.connection);
        assert.equal(again.connection, a.connection);
        await until(() => hop.connections.length >= 2, 'the hop has both');
        assert.equal(hop.connections.length, 2);
      });
    });

    test('P2: a hundred tunnels at once share one connection', options, async () => {
      await withPool(async ({ hop, pool }) => {
        const target = hop.target(version);
        const streams = await Promise.all(
          Array.from({ length: 100 }, () => pool.openStream(target, head, recordingSession())),
        );
        assert.equal(new Set(streams.map(({ connection }) => connection)).size, 1);
        assert.equal(new Set(streams.map(({ id }) => id)).size, 100);
        await until(() => hop.connections[0]?.streams.length === 100, 'the requests arrive');
        assert.deepEqual(versionsOf(hop), [version]);
        const [stats] = pool.stats();
        assert.deepEqual([stats?.dials, stats?.streams], [1, 100]);
      });
    });

    test(
      'P3: a handshake that hangs delays neither another key nor what a connection serves',
      options,
      async () => {
        const silent = createSocket('udp4');
        silent.bind(0, '127.0.0.1');
        await once(silent, 'listening');
        const { port } = silent.address();
        await withPool(async ({ hop, pool }) => {
          const hanging = pool.checkout(hop.target('h3', { port }), { timeout: 60_000 });
          hanging.catch(() => undefined);
          for (let round = 0; round < 3; round++) {
            await pool.openStream(hop.target(version), head, recordingSession());
          }
          // The one that hangs still does.
          assert.equal(
            pool.stats().reduce((sum, { dialing }) => sum + dialing, 0),
            1,
          );
        });
        silent.close();
      },
    );

    test('P7, P10: streams are spread over the connections, and the figures say so', options, async () => {
      await withPool(async ({ hop, pool }) => {
        const target = hop.target(version);
        await pool.warmUp(target, 2);
        for (let index = 0; index < 10; index++) await pool.openStream(target, head, recordingSession());
        await until(
          () => hop.connections.length === 2 && hop.connections.every(({ streams }) => streams.length === 5),
          'five on each',
        );
        const key = pool.fingerprint(target);
        assert.deepEqual(pool.stats(), [
          {
            key,
            connections: 2,
            draining: 0,
            streams: 10,
            waiting: 0,
            dialing: 0,
            dials: 2,
            failures: 0,
            hits: 10,
          },
        ]);
      });
    });

    test('P4: a checkout keeps its own limit while the handshake hangs', options, async () => {
      // A socket that takes everything and answers nothing.
      const silent = createSocket('udp4');
      silent.bind(0, '127.0.0.1');
      await once(silent, 'listening');
      const { port } = silent.address();
      await withPool(async ({ hop, pool }) => {
        const target = hop.target('h3', { port });
        const begun = performance.now();
        await assert.rejects(
          pool.checkout(target, { timeout: 150 }),
          (error) => failureKind(error) === 'timeout',
        );
        // The dial's own is ten seconds.
        assert.ok(performance.now() - begun < 8_000);
        await until(() => pool.stats()[0]?.dialing === 0, 'the dial is cancelled');
      });
      silent.close();
    });

    test('P5: tunnels beyond what one connection carries get further ones', options, async () => {
      await withPool(
        async ({ hop, pool }) => {
          const target = hop.target(version);
          const streams = [];
          for (let index = 0; index < 6; index++) {
            streams.push(await pool.openStream(target, head, recordingSession()));
          }
          assert.equal(new Set(streams.map(({ connection }) => connection)).size, 3);
          const seventh = pool.openStream(target, head, recordingSession(), { timeout: 5_000 });
          streams[0]?.release();
          assert.equal((await seventh).connection, streams[0]?.connection);
        },
        { maxStreams: 2, maxConnectionsPerKey: 3, hop: { maxStreams: 8 } },
      );
    });

    test('P6: a hop that drains gets a new connection for the next tunnel', options, async () => {
      await withPool(async ({ hop, pool }) => {
        const target = hop.target(version);
        const session = recordingSession();
        await pool.openStream(target, head, session);
        await until(() => hop.connections[0]?.streams.length === 1, 'the request');
        const [first] = hop.connections;
        assert.ok(first);
        first.drain();
        await until(() => pool.stats()[0]?.draining === 1, 'the drain');
        await pool.openStream(target, head, recordingSession());
        await until(() => hop.connections.length >= 2, 'the hop has both');
        assert.equal(hop.connections.length, 2);
        const peer = peerStream(first, 0);
        peer.respond();
        peer.write('still here');
        await until(() => session.log.length === 2, 'the running tunnel goes on');
        assert.deepEqual(session.log, ['response 200', 'data still here']);
      });
    });

    test('P6: what dies between checkout and acquire is retried on another connection', options, async () => {
      await withPool(async ({ hop, pool }) => {
        const checkout = await pool.checkout(hop.target(version));
        await until(() => hop.connections.length === 1, 'the connection');
        hop.connections[0]?.close();
        await checkout.owner.stopped;
        const stream = await checkout.acquireStream(head, recordingSession());
        assert.notEqual(stream.connection, checkout.owner.connection);
      });
    });

    test('P8: a warm pool serves without a dial, and replaces what is lost', options, async () => {
      await withPool(async ({ hop, pool }) => {
        const target = hop.target(version);
        await pool.warmUp(target, 2);
        await until(() => hop.connections.length === 2, 'the connections');
        await pool.openStream(target, head, recordingSession());
        assert.deepEqual([pool.stats()[0]?.dials, pool.stats()[0]?.hits], [2, 1]);
        hop.connections[0]?.close();
        await until(() => hop.connections.length === 3, 'another one');
      });
    });
  });
}

describe('a pool over loopback', { ...options, timeout: 600_000 }, () => {
  test(
    'O12, P5: a burst over HTTP/3 beyond the leave of the hop gets further connections, none waits',
    options,
    async () => {
      await withPool(
        async ({ hop, pool }) => {
          const target = hop.target('h3');
          const burst = () =>
            Promise.all(Array.from({ length: 25 }, () => pool.openStream(target, head, recordingSession())));
          const first = await burst();
          await until(() => hop.connections.length >= 3, 'the hop has all');
          assert.equal(hop.connections.length, 3);
          // Every id is below what the handshake allowed: nothing had to wait for MAX_STREAMS.
          assert.ok(first.every(({ id }) => id >= 0 && id < 40));
          for (const stream of first) stream.release();
          // The hop gives new leave as streams end, and the same connections go on.
          for (let round = 0; round < 3; round++) for (const stream of await burst()) stream.release();
          assert.equal(pool.stats()[0]?.dials, 3);
        },
        { maxConnectionsPerKey: 3, hop: { versions: ['h3'], maxStreams: 10 } },
      );
    },
  );

  test('P9: the process ends once the pool is closed', options, async () => {
    const program = fileURLToPath(new URL('./fixture/pool-that-ends.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 60_000 });
    assert.equal(stdout.trim(), 'closed');
  });

  test('P8: a hop that falls silent is found by a health check', options, async (t) => {
    const server = await frameServer(t, settingsPayload([[8, 1]]));
    const pool = createPool({
      driver: createHttpDriver({
        clock: systemClock,
        engine: () => {
          throw new Error('no engine here');
        },
        resolve: async () => [],
      }),
      clock: systemClock,
      random: seededRandom(1),
      randomBytes: (length) => new Uint8Array(length),
      healthCheck: { interval: 100, timeout: 500 },
    });
    const session = recordingSession();
    const trust = { mode: 'ca', ca: certificate.cert } as const;
    await pool.openStream(
      {
        host: server.address.address,
        port: server.address.port,
        version: 'h2',
        tls: { trust, serverName: 'localhost' },
      },
      head,
      session,
    );
    const peer = await server.peer;
    await peer.waitFor(({ type }) => type === frameType.ping);
    assert.equal(session.ends.length, 0);
    peer.socket.pause();
    await until(() => session.ends.length === 1, 'the silence is noticed');
    const [end] = session.ends;
    assert.ok(end?.kind === 'lost' && end.failure.kind === 'unresponsive');
    assert.equal(pool.stats()[0]?.connections, 0);
    peer.close();
    await pool.closeAll();
  });

  test('P11: each tunnel over HTTP/1.1 has its own connection, which ends with it', options, async () => {
    await withPool(async ({ hop, pool }) => {
      const target = hop.target('h1');
      const a = recordingSession();
      const b = recordingSession();
      const first = await pool.openStream(target, head, a);
      await pool.openStream(target, head, b);
      await until(() => hop.connections.filter(({ streams }) => streams.length === 1).length === 2, 'both');
      assert.deepEqual(versionsOf(hop), ['h1', 'h1']);
      for (const { streams } of hop.connections) streams[0]?.respond();
      await until(() => a.log.length === 1 && b.log.length === 1, 'the answers');
      first.release();
      const ends = hop.connections.map(({ server }) => server.closed);
      await Promise.race(ends);
      assert.equal(pool.stats()[0]?.connections, 1);
      assert.equal(b.ends.length, 0);
    });
  });
});

describe('a racer over loopback', { ...options, timeout: 600_000 }, () => {
  const race = async (versions: readonly HttpVersion[], silentUdp: boolean) => {
    await withPool(
      async ({ hop, pool }) => {
        const swallow = createSocket('udp4');
        if (silentUdp) {
          swallow.bind(hop.origin.port, '127.0.0.1');
          await once(swallow, 'listening');
        }
        const racer = createRacer({ pool, clock: systemClock });
        const open = async () => {
          const begun = performance.now();
          const { race: win } = await racer.openStream(hop.origin, udp, head, recordingSession());
          return { win, took: performance.now() - begun };
        };
        const first = await open();
        assert.equal(first.win.version, versions[0]);
        if (silentUdp) {
          assert.ok(first.took >= 250, `${first.took} ms: HTTP/3 has its head start`);
          await first.win.checkout.owner.stop();
          const second = await open();
          assert.equal(second.win.version, versions[0]);
          assert.deepEqual(
            second.win.attempts.map((attempt) => attempt.version),
            ['h2', 'h1', 'h3'],
            'and not a second time',
          );
        }
        swallow.close();
      },
      { hop: { versions } },
    );
  };

  test('R1: HTTP/3 wins where it is there', options, () => race(['h3', 'h2', 'h1'], false));
  test('R1: HTTP/2 wins where HTTP/3 is not', options, () => race(['h2', 'h1'], false));
  test('R1: HTTP/1.1 wins where nothing else is there', options, () => race(['h1'], false));
  test('R2: a network that swallows UDP costs its head start once', options, () => race(['h2', 'h1'], true));

  test('R3: HTTP/3 without datagrams is passed over', options, async () => {
    await withPool(async ({ hop, pool }) => {
      const racer = createRacer({ pool, clock: systemClock });
      const origin = { ...hop.origin, h3Settings: { h3Datagram: false } };
      const { version, attempts } = await racer.checkout(origin, udp);
      assert.equal(version, 'h2');
      assert.ok(attempts[0]?.outcome === 'failed' && failureKind(attempts[0].error) === 'unsuitable');
    });
  });

  test('R4: when every version fails each reason is told', options, async () => {
    await withPool(async ({ hop, pool }) => {
      const racer = createRacer({ pool, clock: systemClock });
      const other = { ...hop.origin, tls: { trust: { mode: 'ca' as const, ca: testCertificate().cert } } };
      await assert.rejects(racer.checkout(other, udp), (error) => {
        assert.equal(failureKind(error), 'all_failed');
        for (const version of ['h3: ', 'h2: ', 'h1: ']) assert.ok(String(error).includes(version));
        return true;
      });
    });
  });

  test('R5: only the chosen version is tried', options, async () => {
    await withPool(async ({ hop, pool }) => {
      const racer = createRacer({ pool, clock: systemClock });
      const { version } = await racer.checkout(hop.origin, udp, { versions: ['h2'] });
      assert.equal(version, 'h2');
      await until(() => hop.connections.length > 0, 'the hop has it');
      assert.deepEqual(versionsOf(hop), ['h2']);
    });
  });
});
