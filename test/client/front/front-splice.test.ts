import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import type { ClientCore } from '../../../src/client/client-core.js';
import { connectCore } from '../../../src/client/connect.js';
import type { FrontEvent } from '../../../src/client/front/front-events.js';
import { type FrontEndKind, openFrontEnd } from '../../../src/client/front/open-front-end.js';
import { openTcpForward } from '../../../src/client/front/tcp-forward.js';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import type { DataPath } from '../../../src/tunnel/data-path.js';
import { startTcpTarget, until } from '../../proxy/tcp-target.js';
import { startHop } from '../chain-hop.js';
import { suiteClient } from '../suite-client.js';
import { type AppSocket, openApp } from './app-socket.js';

const limit = { timeout: 120_000 };
const suite = { timeout: 600_000 };
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A way for an app to ask for a target. */
interface Front {
  readonly kind: FrontEndKind | 'tcp';
  readonly request: (port: number) => Buffer;
  /** Length of the answer. */
  readonly answer: number;
}

const fronts: Readonly<Record<string, Front>> = {
  SOCKS5: {
    kind: 'socks',
    request: (port) => Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]),
    answer: 12,
  },
  'HTTP CONNECT': {
    kind: 'http-proxy',
    request: (port) => Buffer.from(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`),
    answer: 'HTTP/1.1 200 Connection Established\r\n\r\n'.length,
  },
  'a TCP forward': { kind: 'tcp', request: () => Buffer.alloc(0), answer: 0 },
};

/** A local front-end on this client, and an app with a tunnel whose target is here. */
async function opened(ground: ClientCore, front: Front, early: string, dataPath?: DataPath) {
  const clock = createVirtualClock();
  const target = await startTcpTarget();
  const events: FrontEvent[] = [];
  const common = {
    local: { address: '127.0.0.1', port: 0 },
    ground,
    clock,
    event: (event: FrontEvent) => void events.push(event),
    ...(dataPath ? { dataPath } : {}),
  };
  const { kind } = front;
  const end =
    kind === 'tcp'
      ? await openTcpForward({ ...common, target: `127.0.0.1:${target.port}` })
      : await openFrontEnd({ ...common, kind });
  after(() => end.close());
  const app = await openApp(end.localAddress.port);
  app.socket.setNoDelay(true);
  // The request, and what the app does not wait with.
  app.write(Buffer.concat([front.request(target.port), Buffer.from(early)]));
  await app.read(front.answer);
  const side = await target.side();
  await until(() => side.text() === early, `the early bytes, not ${side.text()}`);
  const closed = async (): Promise<Extract<FrontEvent, { type: 'tunnel-closed' }>> => {
    await until(() => events.some(({ type }) => type === 'tunnel-closed'), 'the end of the tunnel');
    const [told] = events.flatMap((event) => (event.type === 'tunnel-closed' ? [event] : []));
    assert.ok(told);
    return told;
  };
  return { app, side, closed, clock };
}

async function readAll(app: AppSocket, length: number): Promise<string> {
  return sha(Buffer.from(await app.read(length), 'hex'));
}

for (const version of ['h3', 'h2', 'h1'] as const) {
  describe(`local front-ends whose bytes the engine moves, over ${version}`, suite, () => {
    const { client } = suiteClient(version);

    for (const [name, front] of Object.entries(fronts)) {
      test(
        `${name}: what the app sent early goes first, then megabytes both ways, and both ends`,
        limit,
        async () => {
          const { app, side, closed } = await opened(client(), front, 'early');
          const up = randomBytes(5_000_000);
          const down = randomBytes(6_000_000);
          side.socket.write(down);
          app.socket.write(up);
          app.socket.end();
          await until(() => side.ended, 'the end at the target');
          assert.equal(sha(Buffer.concat(side.received).subarray('early'.length)), sha(up));
          side.socket.end('last');
          assert.equal(await readAll(app, down.length), sha(down));
          const { bytes, how } = await app.rest();
          assert.deepEqual([bytes.toString(), how], ['last', 'end']);
          const end = await closed();
          assert.deepEqual([end.how, end.dataPath], ['ended', 'splice']);
        },
      );

      test(`${name}: JavaScript moves them where it is asked to`, limit, async () => {
        const { app, side, closed } = await opened(client(), front, 'early', 'js');
        app.write(Buffer.from(' and late'));
        await until(() => side.text() === 'early and late', 'the bytes');
        side.socket.write('answer');
        assert.equal(Buffer.from(await app.read(6), 'hex').toString(), 'answer');
        app.socket.resetAndDestroy();
        await until(() => side.error === 'ECONNRESET', 'the reset');
        const end = await closed();
        assert.deepEqual([end.how, end.dataPath], ['reset', 'js']);
      });
    }

    test('bytes that the engine moves keep a tunnel from being idle', limit, async () => {
      const { SOCKS5: front } = fronts;
      assert.ok(front);
      const { app, side, closed, clock } = await opened(client(), front, '');
      const hour = 3_600_000;
      for (let count = 1; count <= 3; count++) {
        side.socket.write('.');
        await app.read(1);
        clock.advance(2 * hour);
      }
      app.write(Buffer.from('still there'));
      await until(() => side.text() === 'still there', 'the bytes');
      clock.advance(5 * hour);
      assert.equal((await app.rest()).how, 'reset');
      await until(() => side.error === 'ECONNRESET', 'the reset at the target');
      const end = await closed();
      assert.deepEqual([end.how, end.dataPath], ['idle', 'splice']);
    });
  });
}

test(
  'behind a second proxy: over HTTP/3 the engine moves the bytes, inside TLS of a tunnel JavaScript does',
  limit,
  async () => {
    for (const version of ['h3', 'h2', 'h1'] as const) {
      await using near = await startHop('one');
      await using far = await startHop('two');
      await using client = await connectCore([near.link, far.link], { versions: [version] });
      for (const front of Object.values(fronts)) {
        const { app, side, closed } = await opened(client, front, 'early');
        const down = randomBytes(1_000_000);
        side.socket.end(down);
        assert.equal(await readAll(app, down.length), sha(down));
        app.socket.end('bye');
        await until(() => side.ended && side.text() === 'earlybye', 'the end at the target');
        const end = await closed();
        assert.deepEqual([end.how, end.dataPath], ['ended', version === 'h3' ? 'splice' : 'js']);
      }
    }
  },
);
