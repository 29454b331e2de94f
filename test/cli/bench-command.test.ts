import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failures } from '../../src/protocol/failures.js';
import { startTestProxy } from '../client/test-proxy.js';
import { runBauta, startBauta } from './run-bauta.js';

const limit = { timeout: 120_000 };

type Line = Record<string, unknown>;
const linesOf = (out: string): Line[] =>
  out
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
const find = (lines: readonly Line[], wanted: Line): Line => {
  const found = lines.find((line) => Object.entries(wanted).every(([name, value]) => line[name] === value));
  assert.ok(found, `no ${JSON.stringify(wanted)} in ${JSON.stringify(lines)}`);
  return found;
};

test(
  'bench: set-up, round trips and the highest rate over each version, to a far end of its own',
  limit,
  async () => {
    await using proxy = await startTestProxy();
    const { exit, out, err } = await runBauta([
      ...['bench', proxy.link, '--versions', '3,2,1', '--only', 'setup', '--only', 'udp'],
      ...['--duration', '0.5', '--rate', '100', '--size', '900', '--json'],
    ]);
    assert.equal(exit, 0, out + err);
    const lines = linesOf(out);
    assert.equal(find(lines, { event: 'target' })['own'], true);
    for (const version of ['h3', 'h2', 'h1']) {
      const setUp = find(lines, { event: 'set-up', version });
      const { count, p50, p99 } = setUp['connectionAndTunnel'] as Record<string, number>;
      assert.ok(Number(count) >= 3 && Number(p50) > 0 && Number(p99) >= Number(p50), JSON.stringify(setUp));
      assert.equal(setUp['tunnel'] === undefined, version === 'h1');
      const latency = find(lines, { event: 'udp-latency', version, size: 900 });
      assert.ok(Number(latency['received']) > 0, JSON.stringify(latency));
      assert.equal(Number(latency['received']) + Number(latency['lost']), latency['sent']);
      for (const direction of ['up', 'down']) {
        const rate = find(lines, { event: 'udp-rate', version, direction });
        assert.ok(Number(rate['loss']) <= 0.001, JSON.stringify(rate));
        assert.ok(['loss', 'sender'].includes(String(rate['limit'])));
      }
    }
    assert.deepEqual(lines.at(-1), { event: 'summary', exit: 0 });
  },
);

test('bench --to a far end of another process, in words', limit, async () => {
  await using proxy = await startTestProxy();
  await using far = startBauta(['bench', '--serve', '127.0.0.1:0']);
  await far.said(/answering speed tests on 127\.0\.0\.1:\d+/);
  const port = /127\.0\.0\.1:(\d+)/.exec(far.out())?.[1];
  const { exit, out, err } = await runBauta([
    ...['bench', proxy.link, '--to', `127.0.0.1:${port}`, '--only', 'udp', '--duration', '0.5'],
  ]);
  assert.equal(exit, 0, out + err);
  assert.match(out, new RegExp(`^far end +127.0.0.1:${port}$`, 'm'));
  assert.match(out, /^HTTP\/3 +UDP round trip +[\d.]+ ms, p90/m);
  assert.match(out, /^HTTP\/3 +UDP down +/m);
  far.child.kill('SIGTERM');
  assert.equal((await far.finished).exit, 0);
});

test('bench: a proxy that refuses this machine: the option that would permit it', limit, async () => {
  await using proxy = await startTestProxy({ targets: {} });
  const { exit, out, err } = await runBauta(['bench', proxy.link, '--json', '--duration', '0.5']);
  assert.equal(exit, failures.ERR_TARGET_REFUSED.exit, out + err);
  const { error } = find(linesOf(out), { event: 'failed' }) as { error: { code: string; hint: string } };
  assert.equal(error.code, 'ERR_TARGET_REFUSED');
  assert.match(error.hint, /--allow-target 127\.0\.0\.1\/32.*--serve 4500.*--to HOST:4500/);
});

test('bench: a target that is no far end', limit, async () => {
  await using proxy = await startTestProxy();
  await using far = startBauta(['bench', '--serve', '127.0.0.1:0', '--json']);
  const [address] = (await far.event('serving'))['addresses'] as { port: number }[];
  far.child.kill('SIGTERM');
  assert.equal((await far.finished).exit, 0);
  const { exit, out, err } = await runBauta([
    ...['bench', proxy.link, '--to', `127.0.0.1:${address?.port}`, '--only', 'udp'],
  ]);
  assert.equal(exit, failures.ERR_TARGET_TIMEOUT.exit, out + err);
  assert.match(out, /no responder of bauta bench answers there/);
  assert.match(out, new RegExp(`try: On that machine: bauta bench --serve ${address?.port}`));
});

test('bench: mistakes on the command line, and a port in use', limit, async () => {
  for (const args of [
    ['--serve', 'nowhere:1'],
    ['--serve', '4500', 'https://127.0.0.1:1'],
    ['https://127.0.0.1:1', '--only', 'speed'],
    ['https://127.0.0.1:1', '--duration', '0.1'],
    ['https://127.0.0.1:1', '--rate', '0'],
  ]) {
    const { exit, err } = await runBauta(['bench', ...args]);
    assert.equal(exit, failures.ERR_USAGE.exit, `${args.join(' ')}: ${err}`);
    assert.ok(err.includes('ERR_USAGE'), err);
  }
  await using far = startBauta(['bench', '--serve', '127.0.0.1:0', '--json']);
  const [address] = (await far.event('serving'))['addresses'] as { port: number }[];
  const { exit, err } = await runBauta(['bench', '--serve', `127.0.0.1:${address?.port}`]);
  assert.equal(exit, failures.ERR_PORT_IN_USE.exit, err);
});
