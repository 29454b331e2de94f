import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { createTargetRoute } from '../../src/proxy/target-route.js';
import { ask, basic, createCorePair, NXDOMAIN, records, request } from './core-pair.js';

const PUBLIC = '8.8.8.8';

interface Refused {
  readonly status: number | undefined;
  readonly proxyStatus: string | undefined;
  readonly code: string;
}

async function refusedBy(ready: Promise<unknown>): Promise<Refused> {
  try {
    await ready;
  } catch (error) {
    assert.ok(error instanceof BautaError);
    return { status: error.status, proxyStatus: error.proxyStatus, code: error.code };
  }
  throw new Error('it was accepted');
}

describe('requests for UDP tunnels', { timeout: 600_000 }, () => {
  test('a tunnel to an address carries payloads; W2: Proxy-Status names the next hop as a string', async () => {
    const pair = createCorePair();
    const connection = pair.connect();
    const tunnel = ask(pair, connection, `${PUBLIC}/53`);
    await pair.clock.advanceAsync(50);
    const head = await tunnel.ready;
    assert.equal(head.status, 200);
    const fields = new Map(head.fields);
    assert.match(fields.get('proxy-status') ?? '', /^[a-z]+; ?next-hop="8\.8\.8\.8:53"$/);
    assert.equal(fields.get('capsule-protocol'), '?1');
    assert.deepEqual(pair.sockets.opened[0]?.remote, { address: PUBLIC, port: 53 });
    tunnel.send(Buffer.from('question'), 0, 8);
    await pair.clock.advanceAsync(50);
    assert.deepEqual(pair.sockets.opened[0]?.sent.map(String), ['question']);
    pair.sockets.opened[0]?.deliver(Buffer.from('answer'));
    await pair.clock.advanceAsync(50);
    assert.deepEqual(tunnel.payloads.map(String), ['answer']);
  });

  test('S9: an IPv6 target has its colons percent-encoded; plain ones are malformed', async () => {
    const pair = createCorePair();
    const connection = pair.connect();
    const good = ask(pair, connection, '2606%3A4700%3A%3A1111/443');
    const bad = ask(pair, connection, '2606:4700::1111/443');
    await pair.clock.advanceAsync(50);
    const value = new Map((await good.ready).fields).get('proxy-status');
    assert.match(value ?? '', /next-hop="\[2606:4700::1111\]:443"/);
    assert.equal((await refusedBy(bad.ready)).status, 400);
  });

  for (const target of [
    '/53',
    'fe80%3A%3A1%25eth0/53',
    '8.8.8.8/0',
    '8.8.8.8/65536',
    '8.8.8.8/x',
    'a..b/1',
  ]) {
    test(`S9: ${target} is malformed`, async () => {
      const pair = createCorePair();
      const tunnel = ask(pair, pair.connect(), target);
      await pair.clock.advanceAsync(50);
      assert.equal((await refusedBy(tunnel.ready)).status, 400);
      assert.equal(pair.sockets.opened.length, 0);
    });
  }

  test('S8: a template without its variables is refused when it is configured', () => {
    for (const template of [
      '/udp/{target_host}/',
      '/udp/{target_host}/{target_port}/{+path}',
      '/udp/{target_host*}/{target_port}',
      'https://{target_host}:{target_port}/',
      'udp/{target_host}/{target_port}/',
      '/ü/{target_host}/{target_port}/',
    ]) {
      assert.throws(
        () => createTargetRoute(template),
        (error: unknown) => error instanceof BautaError && error.code === 'ERR_TEMPLATE',
        template,
      );
    }
  });

  test('S8: a template of the operator is used instead of the default', async () => {
    const pair = createCorePair({ template: '/u{?target_host,target_port}' });
    const connection = pair.connect();
    const head = {
      kind: 'extended',
      protocol: 'connect-udp',
      scheme: 'https',
      authority: 'proxy.test',
      fields: [],
    } as const;
    const path = '/u?target_host=8.8.8.8&target_port=53';
    assert.equal((await request(pair, connection, { ...head, path })).head?.status, 200);
    const old = '/.well-known/masque/udp/8.8.8.8/53/';
    assert.equal((await request(pair, connection, { ...head, path: old })).head?.status, 404);
  });

  test('S25: an unknown :protocol is answered with 501', async () => {
    const pair = createCorePair();
    const answer = await request(pair, pair.connect(), {
      kind: 'extended',
      protocol: 'connect-something',
      scheme: 'https',
      authority: 'proxy.test',
      path: '/.well-known/masque/udp/8.8.8.8/53/',
      fields: [],
    });
    assert.equal(answer.head?.status, 501);
  });

  test('S25: a protocol that is not known is not offered: 501', async () => {
    const pair = createCorePair();
    const answer = await request(pair, pair.connect(), {
      kind: 'extended',
      protocol: 'connect-ip',
      scheme: 'https',
      authority: 'proxy.test',
      path: '/.well-known/masque/ip/*/*/',
      fields: [],
    });
    assert.equal(answer.head?.status, 501);
  });

  test('S5: a request with content fields cannot carry capsules: 400', async () => {
    const pair = createCorePair();
    const tunnel = ask(pair, pair.connect(), `${PUBLIC}/53`, [['content-length', '5']]);
    await pair.clock.advanceAsync(50);
    assert.equal((await refusedBy(tunnel.ready)).status, 400);
  });

  test('S10: a name is resolved before the answer, and the address found is dialled', async () => {
    const pair = createCorePair();
    pair.names.set('dns.test 4', records('8.8.8.8'));
    const tunnel = ask(pair, pair.connect(), 'dns.test/53');
    await pair.clock.advanceAsync(200);
    await tunnel.ready;
    assert.deepEqual(pair.sockets.opened[0]?.remote, { address: '8.8.8.8', port: 53 });
    assert.deepEqual(pair.queries, ['dns.test 6', 'dns.test 4']);
  });

  test('S10, S27: a name that does not exist is 502 with dns_error and its rcode', async () => {
    const pair = createCorePair();
    const tunnel = ask(pair, pair.connect(), 'nowhere.test/53');
    await pair.clock.advanceAsync(200);
    const refused = await refusedBy(tunnel.ready);
    assert.equal(refused.status, 502);
    assert.equal(refused.code, 'ERR_TARGET_NAME');
    assert.match(refused.proxyStatus ?? '', /error=dns_error/);
    assert.match(refused.proxyStatus ?? '', /rcode="NXDOMAIN"/);
  });

  test('S27: a silent name server is 504 with dns_timeout, and holds up nobody else', async () => {
    const pair = createCorePair();
    pair.names.set('slow.test 4', 'never');
    pair.names.set('slow.test 6', 'never');
    const connection = pair.connect();
    const slow = ask(pair, connection, 'slow.test/53');
    const quick = ask(pair, connection, `${PUBLIC}/53`);
    await pair.clock.advanceAsync(20);
    assert.equal((await quick.ready).status, 200);
    await pair.clock.advanceAsync(5_100);
    const refused = await refusedBy(slow.ready);
    assert.equal(refused.status, 504);
    assert.match(refused.proxyStatus ?? '', /error=dns_timeout/);
  });

  test('look-ups of one user are bounded, and those of others go on', async () => {
    const pair = createCorePair({
      authenticate: async (credential) => (credential.scheme === 'basic' ? { name: credential.name } : null),
    });
    const connection = pair.connect();
    const flood = Array.from({ length: 12 }, (_, index) => {
      pair.names.set(`slow${index}.test 4`, 'never');
      pair.names.set(`slow${index}.test 6`, 'never');
      return ask(pair, connection, `slow${index}.test/53`, basic('flood', 'x'));
    });
    pair.names.set('quick.test 4', records(PUBLIC));
    const other = ask(pair, pair.connect(), 'quick.test/53', basic('other', 'x'));
    await pair.clock.advanceAsync(200);
    assert.equal((await other.ready).status, 200);
    assert.equal((await refusedBy(flood.at(-1)?.ready ?? Promise.resolve())).status, 429);
  });

  test('both families: IPv6 first, and without a route to it IPv4', async () => {
    const pair = createCorePair();
    pair.names.set('both.test 6', records('2606:4700::1'));
    pair.names.set('both.test 4', records(PUBLIC));
    const connection = pair.connect();
    const six = ask(pair, connection, 'both.test/443');
    await pair.clock.advanceAsync(100);
    await six.ready;
    pair.sockets.failing.set('2606:4700::1', 'network-unreachable');
    const four = ask(pair, connection, 'both.test/443');
    await pair.clock.advanceAsync(100);
    await four.ready;
    assert.deepEqual(
      pair.sockets.opened.map(({ remote }) => remote?.address),
      ['2606:4700::1', PUBLIC],
    );
  });

  test('one family that answers does not wait for the other', async () => {
    const pair = createCorePair();
    pair.names.set('half.test 6', 'never');
    pair.names.set('half.test 4', records(PUBLIC));
    const tunnel = ask(pair, pair.connect(), 'half.test/443');
    await pair.clock.advanceAsync(100);
    assert.equal((await tunnel.ready).status, 200);
  });

  const problems = [
    ['network-unreachable', 502, 'destination_ip_unroutable'],
    ['refused', 502, 'connection_refused'],
    ['no-ports', 503, 'connection_limit_reached'],
    ['no-descriptors', 503, 'connection_limit_reached'],
  ] as const;
  for (const [problem, status, error] of problems) {
    test(`S27: a socket that cannot be opened (${problem}) is ${status} with ${error}`, async () => {
      const pair = createCorePair();
      pair.sockets.failing.set(PUBLIC, problem);
      const tunnel = ask(pair, pair.connect(), `${PUBLIC}/53`);
      await pair.clock.advanceAsync(50);
      const refused = await refusedBy(tunnel.ready);
      assert.equal(refused.status, status);
      assert.match(refused.proxyStatus ?? '', new RegExp(`error=${error}`));
    });
  }

  test('a tunnel that does not open in time is 504, and a late socket is closed', async () => {
    const pair = createCorePair({ limits: { openTimeout: 1_000 } });
    pair.sockets.hold();
    const tunnel = ask(pair, pair.connect(), `${PUBLIC}/53`);
    await pair.clock.advanceAsync(1_100);
    assert.equal((await refusedBy(tunnel.ready)).status, 504);
    pair.sockets.release();
    await pair.clock.advanceAsync(50);
    assert.equal(pair.sockets.opened[0]?.closed, true);
    assert.equal(pair.core.tunnels.places, 0);
  });

  test('refused targets: the verdict is on the address that is dialled, whatever its name', async () => {
    const pair = createCorePair();
    pair.names.set('inside.test 4', records('10.0.0.1'));
    pair.names.set('metadata.test 4', records('169.254.169.254'));
    const connection = pair.connect();
    for (const target of [
      '127.0.0.1',
      'inside.test',
      'metadata.test',
      'localhost',
      '%3A%3Affff%3A10.0.0.1',
    ]) {
      const tunnel = ask(pair, connection, `${target}/53`);
      await pair.clock.advanceAsync(100);
      const refused = await refusedBy(tunnel.ready);
      assert.equal(refused.status, 403, target);
      assert.equal(refused.code, 'ERR_TARGET_REFUSED');
      assert.match(refused.proxyStatus ?? '', /error=destination_ip_prohibited/);
    }
    assert.equal(pair.sockets.opened.length, 0);
  });

  test('of several addresses only the allowed ones are dialled', async () => {
    const pair = createCorePair();
    pair.names.set('mixed.test 4', records('10.0.0.1', PUBLIC, '127.0.0.1'));
    const tunnel = ask(pair, pair.connect(), 'mixed.test/53');
    await pair.clock.advanceAsync(100);
    await tunnel.ready;
    assert.deepEqual(
      pair.sockets.opened.map(({ remote }) => remote?.address),
      [PUBLIC],
    );
  });

  test('decide may refuse, and cannot lift a refusal', async () => {
    const asked: string[] = [];
    const pair = createCorePair({
      decide: ({ target, user, version }) => {
        asked.push(`${target.host} ${user.name} ${version}`);
        return target.port === 25
          ? { action: 'refuse', status: 429, error: 'connection_limit_reached' }
          : { action: 'direct' };
      },
    });
    const connection = pair.connect();
    const refused = ask(pair, connection, `${PUBLIC}/25`);
    const inside = ask(pair, connection, '10.0.0.1/53');
    const fine = ask(pair, connection, `${PUBLIC}/53`);
    await pair.clock.advanceAsync(100);
    assert.equal((await refusedBy(refused.ready)).status, 429);
    assert.equal((await refusedBy(inside.ready)).status, 403);
    assert.equal((await fine.ready).status, 200);
    assert.deepEqual(asked, [`${PUBLIC} anyone h3`, '10.0.0.1 anyone h3', `${PUBLIC} anyone h3`]);
  });

  test('a decide that throws is 500, and says nothing of why to a stranger or a user', async () => {
    const pair = createCorePair({
      decide: () => {
        throw new Error('secret reason');
      },
    });
    const tunnel = ask(pair, pair.connect(), `${PUBLIC}/53`);
    await pair.clock.advanceAsync(100);
    const refused = await refusedBy(tunnel.ready);
    assert.equal(refused.status, 500);
    assert.doesNotMatch(refused.proxyStatus ?? '', /secret/);
    assert.ok(pair.events.some((event) => event.event === 'request-refused' && /secret/.test(event.detail)));
  });

  test('the end of a tunnel is told with its counters, once', async () => {
    const pair = createCorePair();
    const connection = pair.connect();
    const tunnel = ask(pair, connection, `${PUBLIC}/53`);
    await pair.clock.advanceAsync(50);
    tunnel.send(Buffer.from('hello'), 0, 5);
    await pair.clock.advanceAsync(50);
    assert.equal(pair.core.tunnels.open, 1);
    tunnel.end();
    await pair.clock.advanceAsync(50);
    const ends = pair.events.filter((event) => event.event === 'tunnel-closed');
    assert.equal(ends.length, 1);
    const [end] = ends;
    assert.ok(end?.event === 'tunnel-closed');
    assert.equal(end.reason, 'client');
    assert.deepEqual([end.kind, end.statistics.bytesIn], ['udp', 5]);
    assert.equal(pair.core.tunnels.open, 0);
    assert.equal(pair.core.tunnels.places, 0);
  });

  test('a name server that fails is dns_error with SERVFAIL', async () => {
    const pair = createCorePair();
    pair.names.set('broken.test 4', { kind: 'error', rcode: 'SERVFAIL' });
    pair.names.set('broken.test 6', NXDOMAIN);
    const tunnel = ask(pair, pair.connect(), 'broken.test/53');
    await pair.clock.advanceAsync(100);
    assert.match((await refusedBy(tunnel.ready)).proxyStatus ?? '', /rcode="SERVFAIL"/);
  });
});
