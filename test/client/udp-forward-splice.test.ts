import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { ClientCore } from '../../src/client/client-core.js';
import { connectCore } from '../../src/client/connect.js';
import { openUdpForward, type UdpForward, type UdpForwardEvent } from '../../src/client/udp-forward.js';
import { createVirtualClock, type VirtualClock } from '../../src/clock/virtual-clock.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { DataPath } from '../../src/tunnel/data-path.js';
import { SOCKET_BUFFER } from '../../src/tunnel/udp/socket-buffer.js';
import { until } from '../proxy/tcp-target.js';
import { startHop } from './chain-hop.js';
import { type EchoServer, startEcho } from './echo-server.js';
import { suiteClient } from './suite-client.js';
import { startTestProxy } from './test-proxy.js';

const run = promisify(execFile);
const limit = { timeout: 120_000 };
const linux = process.platform === 'linux';

/** An app that talks to the forward, and what it has heard. */
interface App {
  readonly port: number;
  readonly heard: string[];
  say(text: string): void;
  /** Says it again until it is answered: UDP may lose it. */
  ask(text: string): Promise<void>;
}

async function openApp(forward: UdpForward): Promise<App> {
  const { address, port } = forward.localAddress;
  const socket: Socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  const heard: string[] = [];
  socket.on('message', (message, from) => {
    assert.deepEqual([from.address, from.port], [address, port]);
    heard.push(message.toString());
  });
  socket.bind(0, address);
  await once(socket, 'listening');
  after(() => socket.close());
  const say = (text: string): void => socket.send(text, port, address);
  return {
    port: socket.address().port,
    heard,
    say,
    async ask(text) {
      let rounds = 0;
      await until(() => {
        if (rounds++ % 40 === 0) say(text);
        return heard.includes(text);
      }, `the answer to ${text}`);
    },
  };
}

/** So many that the engine is asked to move what follows. */
async function talk(app: App, count = 20): Promise<void> {
  for (let at = 0; at < count; at++) await app.ask(`${app.port} ${app.heard.length} ${at}`);
}

interface Forwarding {
  readonly forward: UdpForward;
  readonly events: UdpForwardEvent[];
  readonly clock: VirtualClock;
}

async function openForward(
  client: ClientCore,
  target: string,
  options: { readonly address?: string; readonly dataPath?: DataPath; readonly idleTimeout?: number } = {},
): Promise<Forwarding> {
  const { address = '127.0.0.1', ...rest } = options;
  const events: UdpForwardEvent[] = [];
  const clock = createVirtualClock();
  const forward = await openUdpForward({
    sockets: client.sockets(),
    local: { address, port: 0 },
    open: (handler, signal) => client.openRawUdp(target, handler, { signal }),
    clock,
    event: (event) => events.push(event),
    ...rest,
  });
  after(() => forward.close());
  return { forward, events, clock };
}

const openedOf = ({ events }: Forwarding): number =>
  events.filter(({ type }) => type === 'peer-opened').length;

const endOf = ({ events }: Forwarding, app: App): string => {
  const [first] = events.flatMap((event) =>
    event.type === 'peer-closed' && event.peer.port === app.port ? [event] : [],
  );
  return first ? `${first.reason} ${first.dataPath}` : '';
};

for (const version of ['h3', 'h2', 'h1'] as const) {
  describe(`UDP forwards whose datagrams the engine moves, over ${version}`, {
    skip: !linux && 'a port has one socket here',
  }, () => {
    const { client } = suiteClient(version);
    let echo: EchoServer;
    before(async () => {
      echo = await startEcho();
    });
    after(() => echo?.[Symbol.asyncDispose]());

    for (const address of ['127.0.0.1', '::1']) {
      test(`each of many apps gets its own answers, and all are counted (${address})`, limit, async () => {
        const forwarding = await openForward(client(), echo.target, { address });
        const { forward } = forwarding;
        const apps: App[] = [];
        for (let count = 0; count < 12; count++) apps.push(await openApp(forward));
        // All at once, so that sockets are opened while others' datagrams come.
        await Promise.all(apps.map((app) => talk(app, 40)));
        for (const app of apps) {
          assert.ok(
            app.heard.every((text) => text.startsWith(`${app.port} `)),
            app.heard.join(),
          );
        }
        const heard = apps.reduce((sum, app) => sum + app.heard.length, 0);
        assert.equal(forward.statistics().peers, apps.length);
        await until(() => forward.statistics().received >= heard, `${heard} answers counted`);
        assert.ok(forward.statistics().sent >= heard);
        assert.equal(openedOf(forwarding), apps.length);
        await forward.close();
        assert.deepEqual(new Set(apps.map((app) => endOf(forwarding, app))), new Set(['forced splice']));
        assert.ok(forward.statistics().received >= heard);
      });
    }

    test(
      'what the engine moves keeps a tunnel from being idle, and after its end there is another',
      limit,
      async () => {
        const forwarding = await openForward(client(), echo.target, { idleTimeout: 100_000 });
        const app = await openApp(forwarding.forward);
        await talk(app);
        for (let count = 0; count < 5; count++) {
          await app.ask(`still there ${count}`);
          for (let steps = 0; steps < 8; steps++) forwarding.clock.advance(10_000);
        }
        assert.equal(endOf(forwarding, app), '');
        for (let steps = 0; steps < 12; steps++) forwarding.clock.advance(10_000);
        assert.equal(endOf(forwarding, app), 'idle splice');
        // The engine may still answer the first over the tunnel that ends.
        await until(() => {
          app.say('and again');
          return openedOf(forwarding) === 2;
        }, 'another tunnel');
      },
    );

    test('JavaScript moves them where it is asked to, and those of a short exchange', limit, async () => {
      const forwarding = await openForward(client(), echo.target, { dataPath: 'js' });
      const app = await openApp(forwarding.forward);
      await talk(app);
      await forwarding.forward.close();
      assert.equal(endOf(forwarding, app), 'forced js');
      const short = await openForward(client(), echo.target);
      const brief = await openApp(short.forward);
      await talk(brief, 3);
      await short.forward.close();
      assert.equal(endOf(short, brief), 'forced js');
    });

    test('the engine moves them from the first on where it is asked to', limit, async () => {
      const forwarding = await openForward(client(), echo.target, { dataPath: 'splice' });
      const app = await openApp(forwarding.forward);
      await talk(app, 3);
      await forwarding.forward.close();
      assert.equal(endOf(forwarding, app), 'forced splice');
    });

    test('a port that has a forward is refused to another', limit, async () => {
      const { forward } = await openForward(client(), echo.target);
      await talk(await openApp(forward));
      const again = openUdpForward({
        sockets: client().sockets(),
        local: forward.localAddress,
        open: () => Promise.reject(new BautaError('ERR_INTERNAL')),
        clock: createVirtualClock(),
        event: () => undefined,
      });
      await assert.rejects(again, { code: 'ERR_PORT_IN_USE' });
    });

    test('a tunnel whose target is gone is opened again by the next datagram', limit, async () => {
      const own = await startEcho();
      const forwarding = await openForward(client(), own.target);
      const app = await openApp(forwarding.forward);
      await talk(app);
      await own[Symbol.asyncDispose]();
      app.say('nobody hears this');
      await until(() => endOf(forwarding, app) !== '', 'the end of the tunnel');
      assert.equal(endOf(forwarding, app), 'ended splice');
      await until(() => {
        app.say('nor this');
        return openedOf(forwarding) === 2;
      }, 'another tunnel');
    });
  });
}

test('its sockets have room for a burst, the one of a peer too', {
  ...limit,
  skip: !linux && 'ss is of Linux',
}, async () => {
  await using proxy = await startTestProxy();
  await using client = await connectCore(proxy.link);
  await using echo = await startEcho();
  const { forward } = await openForward(client, echo.target);
  await talk(await openApp(forward));
  const { stdout } = await run('ss', ['-uanmH', `sport = :${forward.localAddress.port}`]);
  const rooms = [...stdout.matchAll(/\brb(\d+)/g)].map(([, bytes]) => Number(bytes));
  const most = Number(await readFile('/proc/sys/net/core/rmem_max', 'utf8'));
  // The kernel takes twice what is asked for, to have room for its own.
  assert.deepEqual(rooms, Array(2).fill(2 * Math.min(SOCKET_BUFFER, most)), stdout);
});

test('behind a second proxy: over HTTP/3 the engine moves them, inside TLS of a tunnel JavaScript does', {
  ...limit,
  skip: !linux && 'a port has one socket here',
}, async () => {
  await using echo = await startEcho();
  for (const version of ['h3', 'h2', 'h1'] as const) {
    await using near = await startHop('one');
    await using far = await startHop('two');
    await using client = await connectCore([near.link, far.link], { versions: [version] });
    const forwarding = await openForward(client, echo.target);
    const app = await openApp(forwarding.forward);
    await talk(app);
    await forwarding.forward.close();
    assert.equal(endOf(forwarding, app), version === 'h3' ? 'forced splice' : 'forced js');
  }
});
