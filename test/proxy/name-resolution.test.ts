import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import type { DnsAnswer } from '../../src/proxy/dns-query.js';
import { createHosts, parseHosts } from '../../src/proxy/hosts-file.js';
import { createNameResolution, type NameResolutionOptions } from '../../src/proxy/name-resolution.js';
import { records } from './core-pair.js';

const signal = new AbortController().signal;

function setUp(options: Partial<NameResolutionOptions> = {}) {
  const clock = createVirtualClock();
  const asked: string[] = [];
  const answers = new Map<string, Promise<DnsAnswer>>();
  const names = createNameResolution({
    clock,
    hosts: { lookup: async () => [] },
    query: (name, family) => {
      asked.push(`${name} ${family}`);
      return answers.get(`${name} ${family}`) ?? Promise.resolve({ kind: 'error', rcode: 'NXDOMAIN' });
    },
    timeout: 5_000,
    maxPending: 3,
    maxPendingOfOwner: 2,
    ...options,
  });
  const answer = (name: string, family: 4 | 6, given: DnsAnswer): void =>
    void answers.set(`${name} ${family}`, Promise.resolve(given));
  const silence = (name: string): void => {
    for (const family of [4, 6]) answers.set(`${name} ${family}`, new Promise(() => undefined));
  };
  return { clock, asked, names, answer, silence };
}

describe('name resolution', { timeout: 600_000 }, () => {
  test('addresses of both families take turns, IPv6 first', async () => {
    const { names, answer } = setUp();
    answer('a.test', 6, records('2001:db8::1', '2001:db8::2'));
    answer('a.test', 4, records('192.0.2.1', '192.0.2.2', '192.0.2.3'));
    assert.deepEqual(await names.resolve('A.test.', 'x', signal), {
      kind: 'addresses',
      addresses: ['2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2', '192.0.2.3'],
    });
  });

  test('requests for one name share a look-up, and the answer is kept for its time to live', async () => {
    const { clock, names, answer, asked } = setUp();
    answer('a.test', 4, { kind: 'addresses', records: [{ address: '192.0.2.1', ttl: 10 }] });
    await Promise.all([1, 2, 3].map(() => names.resolve('a.test', 'x', signal)));
    assert.equal(asked.length, 2);
    clock.advance(9_000);
    await names.resolve('a.test', 'x', signal);
    assert.equal(asked.length, 2);
    clock.advance(2_000);
    await names.resolve('a.test', 'x', signal);
    assert.equal(asked.length, 4);
    assert.equal(names.pending, 0);
  });

  test('failures are not kept', async () => {
    const { names, answer } = setUp();
    assert.deepEqual(await names.resolve('a.test', 'x', signal), { kind: 'error', rcode: 'NXDOMAIN' });
    answer('a.test', 4, records('192.0.2.1'));
    assert.equal((await names.resolve('a.test', 'x', signal)).kind, 'addresses');
  });

  test('no address of either family is NOERROR; one family is enough', async () => {
    const { names, answer } = setUp();
    answer('none.test', 4, { kind: 'error', rcode: 'NOERROR' });
    answer('none.test', 6, { kind: 'error', rcode: 'NOERROR' });
    assert.deepEqual(await names.resolve('none.test', 'x', signal), { kind: 'error', rcode: 'NOERROR' });
    answer('four.test', 4, records('192.0.2.1'));
    answer('four.test', 6, { kind: 'error', rcode: 'SERVFAIL' });
    assert.equal((await names.resolve('four.test', 'x', signal)).kind, 'addresses');
  });

  test('a silent server is a timeout, and what it holds up is bounded for each and for all', async () => {
    const { clock, names, silence, answer } = setUp();
    for (const name of ['a.test', 'b.test', 'c.test', 'd.test', 'e.test']) silence(name);
    const first = names.resolve('a.test', 'x', signal);
    const second = names.resolve('b.test', 'x', signal);
    await clock.advanceAsync(0);
    assert.deepEqual(await names.resolve('c.test', 'x', signal), { kind: 'busy' });
    const other = names.resolve('d.test', 'y', signal);
    await clock.advanceAsync(0);
    assert.deepEqual(await names.resolve('e.test', 'y', signal), { kind: 'busy' });
    await clock.advanceAsync(5_100);
    for (const result of await Promise.all([first, second, other]))
      assert.deepEqual(result, { kind: 'timeout' });
    assert.equal(names.pending, 0);
    assert.equal(clock.pending, 0);
    answer('f.test', 4, records('192.0.2.1'));
    assert.equal((await names.resolve('f.test', 'x', signal)).kind, 'addresses');
  });

  test('an aborted request leaves the look-up to the others', async () => {
    const { clock, names, silence } = setUp();
    silence('a.test');
    const abort = new AbortController();
    const gone = names.resolve('a.test', 'x', abort.signal);
    const stays = names.resolve('a.test', 'x', signal);
    await clock.advanceAsync(100);
    abort.abort();
    assert.deepEqual(await gone, { kind: 'timeout' });
    await clock.advanceAsync(5_000);
    assert.deepEqual(await stays, { kind: 'timeout' });
  });
});

describe('the hosts file', () => {
  test('is read as hosts(5) has it', () => {
    const names = parseHosts(
      '127.0.0.1 localhost\n# a comment\n192.0.2.1\tA.test b.test # more\n::2 a.test\nbad x\n',
    );
    assert.deepEqual(names.get('a.test'), ['192.0.2.1', '::2']);
    assert.deepEqual(names.get('b.test'), ['192.0.2.1']);
    assert.equal(names.has('x'), false);
  });

  test('is read again when it changed; localhost is always loopback', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hosts-'));
    try {
      const file = join(folder, 'hosts');
      const clock = createVirtualClock();
      const hosts = createHosts(clock, file);
      assert.deepEqual(await hosts.lookup('a.test'), []);
      await writeFile(file, '192.0.2.1 a.test\n');
      clock.advance(6_000);
      assert.deepEqual(await hosts.lookup('a.test'), ['192.0.2.1']);
      await writeFile(file, '192.0.2.22 a.test localhost\n');
      clock.advance(6_000);
      assert.deepEqual(await hosts.lookup('a.test'), ['192.0.2.22']);
      assert.deepEqual(await hosts.lookup('localhost'), ['::1', '127.0.0.1']);
      assert.deepEqual(await hosts.lookup('x.localhost'), ['::1', '127.0.0.1']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
