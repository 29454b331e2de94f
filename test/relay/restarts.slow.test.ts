import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../src/client/connect.js';
import type { UdpTunnel } from '../../src/client/udp-tunnel.js';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { type ChildProxy, settledStanding, startChildProxy } from '../faults/child-proxy.js';
import { describeStanding, type Standing } from '../faults/standing.js';
import { nextMessage, startEcho } from './echo.js';

const linux = process.platform === 'linux';
const options = { timeout: 600_000, ...(linux ? {} : { skip: 'needs /proc' }) };
const RESTARTS = 20;
/** A new tunnel each so many milliseconds, and how long each lives. */
const EVERY = 25;
const LIFE = 150;
/** A tunnel waits no longer for a hop that restarts. */
const GRACE = 3_000;

/** What became of one tunnel of the load. */
interface Lived {
  readonly asked: number;
  opened: number | undefined;
  over: number | undefined;
  failure: string | undefined;
}

interface Downtime {
  /** Before the signal was sent, and once the process was gone: in between the hop may or may not serve. */
  readonly killed: number;
  readonly gone: number;
  readonly back: number;
}

/** A datagram may be lost on a busy machine, and is sent again. */
async function thereAndBack(tunnel: UdpTunnel, isClosed: () => boolean): Promise<void> {
  const answer = nextMessage(tunnel);
  let answered = false;
  const settle = (): void => {
    answered = true;
  };
  answer.then(settle, settle);
  while (!answered && !isClosed()) {
    tunnel.send('alive');
    await Promise.race([answer, delay(500)]);
  }
  await answer;
}

async function live(lived: Lived, open: () => Promise<UdpTunnel>): Promise<void> {
  try {
    const tunnel = await open();
    lived.opened = performance.now();
    let closed = false;
    void tunnel.closed.then(() => {
      closed = true;
    });
    while (performance.now() < lived.opened + LIFE && !closed) {
      await thereAndBack(tunnel, () => closed);
      await delay(20);
    }
    if (closed) throw new Error('ended by the other side');
    tunnel.close();
    const end = await tunnel.closed;
    if (end.kind !== 'ended') throw new Error(end.kind);
  } catch (error) {
    lived.failure = String(error);
  } finally {
    lived.over = performance.now();
  }
}

/** The tunnel ran through the hop, or was on its way through it, when it was killed. */
const wasHit = ({ asked, over = Number.POSITIVE_INFINITY }: Lived, { killed, gone }: Downtime): boolean =>
  asked <= gone && over > killed;

/** The hop was away for longer than tunnels wait for it, which is so where its process is slow to start. */
const waitedEnough = ({ asked, over = 0 }: Lived, { gone, back }: Downtime, recovery: number): boolean =>
  asked > gone && over - asked >= GRACE && over <= back + recovery;

/** Connections, that of the client among them. */
const carriers = ({ objects }: Standing): number =>
  (objects['QUIC connection'] ?? 0) + (objects['TLS socket'] ?? 0);

/** The middle one of them. */
const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

describe('a next hop that is killed and restarted', { ...options, timeout: 600_000 }, () => {
  for (const versions of [['h3', 'h2', 'h1'], ['h2']] as readonly (readonly HttpVersion[])[]) {
    test(
      `C5: ${RESTARTS} times under a load of new tunnels, over ${versions.join(', ')}`,
      options,
      async (t) => {
        const tls = selfSigned(['localhost', '127.0.0.1'], 2);
        const startHop = (listen: string): Promise<ChildProxy> => startChildProxy({ listen, tls });
        let hop = await startHop('127.0.0.1:0');
        const listen = `127.0.0.1:${hop.port}`;
        const entry = await startChildProxy({
          via: `https://user:secret@${listen}/#pin=${publicKeyPin(tls.cert)}`,
          viaVersions: versions,
        });
        const echo = await startEcho();
        const client = await connect({ url: `https://127.0.0.1:${entry.port}/`, ca: entry.ca });
        const open = (): Promise<UdpTunnel> => client.openUdp({ host: '127.0.0.1', port: echo.port });
        const first: Lived = {
          asked: performance.now(),
          opened: undefined,
          over: undefined,
          failure: undefined,
        };
        await live(first, open);
        assert.equal(first.failure, undefined);
        const beside = await settledStanding(entry, (now) => carriers(now) <= 2);
        assert.equal(carriers(beside), 2, 'the client has one connection, the hop another');
        await hop.kill();
        const before = await settledStanding(entry, (now) => carriers(now) === 1);
        assert.equal(carriers(before), 1, 'that of the client');
        t.diagnostic(describeStanding('before, without the hop', before));
        hop = await startHop(listen);

        const all: Lived[] = [];
        const running = new Set<Promise<void>>();
        let loading = true;
        const load = (async () => {
          while (loading) {
            const lived: Lived = {
              asked: performance.now(),
              opened: undefined,
              over: undefined,
              failure: undefined,
            };
            all.push(lived);
            const life = live(lived, open).finally(() => running.delete(life));
            running.add(life);
            await delay(EVERY);
          }
        })();
        const downtimes: Downtime[] = [];
        for (let restart = 0; restart < RESTARTS; restart++) {
          await delay(1_500);
          const killed = performance.now();
          await hop.kill();
          const gone = performance.now();
          hop = await startHop(listen);
          downtimes.push({ killed, gone, back: performance.now() });
        }
        await delay(1_500);
        loading = false;
        await load;
        await Promise.all(running);

        const failed = all.filter(({ failure }) => failure !== undefined);
        const cut = failed.filter((lived) => downtimes.some((downtime) => wasHit(lived, downtime)));
        const recoveries = downtimes.map(({ back }) => {
          const next = all.filter(({ asked, failure }) => asked >= back && failure === undefined);
          return Math.min(...next.map(({ opened = Number.POSITIVE_INFINITY }) => opened)) - back;
        });
        const inVain = failed.filter((lived) =>
          downtimes.some((downtime, index) => waitedEnough(lived, downtime, recoveries[index] ?? 0)),
        );
        const lost = failed.filter((lived) => !cut.includes(lived) && !inVain.includes(lived));
        t.diagnostic(
          `${all.length} tunnels, ${cut.length} were cut with the hop, ${inVain.length} waited for it longer than ` +
            `${GRACE} ms, ${lost.length} others failed`,
        );
        const away = downtimes.map(({ killed, back }) => back - killed);
        t.diagnostic(
          `down for ${away.map(Math.round).join(', ')} ms; ` +
            `the first tunnel was open ${recoveries.map(Math.round).join(', ')} ms after the hop was back`,
        );
        assert.deepEqual(
          lost.map(({ asked, opened, failure }) => [asked, opened, failure]),
          [],
        );
        // Within a second; where the machine is so slow that a process takes longer to start, within that time.
        const allowed = Math.max(1_000, median(away));
        assert.ok(median(recoveries) < allowed, `half of them took more than ${median(recoveries)} ms`);
        for (const [index, recovery] of recoveries.entries()) {
          const most = 10_000 + 3 * (away[index] ?? 0);
          assert.ok(recovery < most, `${recovery} ms after ${away[index]} ms`);
        }

        const loaded = await settledStanding(entry, (now) => carriers(now) <= carriers(beside));
        t.diagnostic(describeStanding('after the load', loaded));
        // Whichever version won last.
        assert.ok(carriers(loaded) <= carriers(beside), 'one connection to the hop is left');

        // A QUIC connection to a hop that is gone is over when its idle time is.
        await hop.kill();
        const kinds = ['descriptors', 'sockets', 'udpSockets'] as const;
        const after = await settledStanding(
          entry,
          (now) =>
            kinds.every((kind) => now[kind] <= before[kind]) &&
            Object.entries(now.objects).every(([name, count]) => count <= (before.objects[name] ?? 0)),
        );
        t.diagnostic(describeStanding('after, without the hop', after));
        assert.equal((await entry.info()).tunnels.open, 0);
        for (const [name, count] of Object.entries(after.objects)) {
          assert.ok(count <= (before.objects[name] ?? 0), `${count} of ${name}`);
        }
        for (const kind of kinds) {
          assert.ok(after[kind] <= before[kind], `${after[kind]} ${kind}`);
        }
        await client.close();
        await echo.close();
        assert.equal(await entry.close(), 0);
      },
    );
  }
});
