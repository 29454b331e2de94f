import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestHead } from '../../src/http/request.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { Fields } from '../../src/protocol/fields.js';
import { parseProxyStatus } from '../../src/protocol/proxy-status.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import { createFakeChain, exitSocket, type HopSpec, udpCounters } from './fake-chain.js';

const PUBLIC = '8.8.8.8/53';
const options = { timeout: 120_000 };

const refusedBy = async (ready: Promise<unknown>): Promise<BautaError> =>
  ready.then(
    () => assert.fail('it was accepted'),
    (error: unknown) => (error instanceof BautaError ? error : assert.fail(String(error))),
  );
const fieldsOf = (head: RequestHead | undefined): Map<string, string> => new Map(head?.fields ?? []);
const ended = (events: readonly ProxyEvent[]) => {
  const event = events.find(({ event }) => event === 'tunnel-closed');
  return event?.event === 'tunnel-closed' ? `${event.reason}: ${event.detail}` : undefined;
};

describe('a chain of proxies', { ...options, timeout: 600_000 }, () => {
  const versions = ['h3', 'h2'] as const;
  for (const first of versions) {
    for (const second of versions) {
      for (const third of versions) {
        test(`C1: UDP over ${first}, ${second} and ${third}, both ways`, options, async () => {
          const chain = createFakeChain({ version: first }, { version: second }, { version: third });
          const tunnel = chain.ask(chain.connect(), PUBLIC);
          assert.equal(tunnel.sendText('before any answer'), 'sent');
          await chain.pass();
          assert.equal((await tunnel.ready).status, 200);
          const socket = exitSocket(chain.hop(2));
          assert.deepEqual(socket.remote, { address: '8.8.8.8', port: 53 });
          for (const size of [0, 1, 1_200]) {
            const payload = Buffer.alloc(size, size % 251);
            tunnel.send(payload, 0, size);
            socket.deliver(payload);
          }
          await chain.pass();
          const sizes = (payloads: readonly Buffer[]) => payloads.map(({ length }) => length);
          assert.equal(String(socket.sent[0]), 'before any answer');
          assert.deepEqual(sizes(socket.sent.slice(1)), [0, 1, 1_200]);
          assert.deepEqual(sizes(tunnel.payloads), [0, 1, 1_200]);
          assert.equal(chain.hop(0).sockets.opened.length + chain.hop(1).sockets.opened.length, 0);
        });
      }
    }
  }

  test('C1: a context that nobody agreed on is dropped on the way', options, async () => {
    const chain = createFakeChain({}, {});
    const pair = chain.connect();
    const tunnel = chain.ask(pair, PUBLIC);
    await chain.pass();
    await tunnel.ready;
    const received: Buffer[] = [];
    const stream = pair.client.open(
      {
        kind: 'extended',
        protocol: 'connect-udp',
        scheme: 'https',
        authority: 'hop-0.test',
        path: '/.well-known/masque/udp/8.8.8.8/54/',
        fields: fieldsWithPassword(),
      },
      {
        response: () => undefined,
        data: () => undefined,
        end: () => undefined,
        datagram: (bytes, start, end) => received.push(Buffer.from(bytes.slice(start, end))),
        drain: () => undefined,
        closed: () => undefined,
      },
    );
    await chain.pass();
    stream.sendDatagram(Uint8Array.of(2), Buffer.from('unknown'), 0, 7);
    stream.sendDatagram(Uint8Array.of(0), Buffer.from('known'), 0, 5);
    await chain.pass();
    assert.deepEqual(exitSocket(chain.hop(1)).sent.map(String), ['known']);
    assert.equal(udpCounters(chain.hop(0)).droppedInUnknownContext, 0);
    assert.equal(udpCounters(chain.hop(0), 1).droppedInUnknownContext, 1);
  });

  test('C1: a datagram of the hop that holds no payload is dropped and counted', options, async () => {
    const { chain, tunnel } = await open({}, {});
    const [answered] = chain.hop(1).streams;
    answered?.sendDatagram(Uint8Array.of(2), Buffer.from('unknown'), 0, 7);
    answered?.sendDatagram(new Uint8Array(0), new Uint8Array(0), 0, 0);
    answered?.sendDatagram(Uint8Array.of(0), Buffer.from('known'), 0, 5);
    await chain.pass();
    assert.deepEqual(tunnel.payloads.map(String), ['known']);
    const { droppedOutNoPayload, payloadsOut } = udpCounters(chain.hop(0));
    assert.deepEqual([droppedOutNoPayload, payloadsOut], [2, 1]);
  });

  test('C1: capsules that are passed on keep a tunnel from being idle', options, async () => {
    const chain = createFakeChain({ limits: { udpIdleTimeout: 20_000 } }, {});
    const pair = chain.connect();
    let over = false;
    const stream = pair.client.open(
      {
        kind: 'extended',
        protocol: 'connect-udp',
        scheme: 'https',
        authority: 'hop-0.test',
        path: '/.well-known/masque/udp/8.8.8.8/53/',
        fields: fieldsWithPassword(),
      },
      {
        response: () => undefined,
        data: () => undefined,
        end: () => undefined,
        datagram: () => undefined,
        drain: () => undefined,
        closed() {
          over = true;
        },
      },
    );
    await chain.pass();
    for (let count = 0; count < 6; count++) {
      // Type 0x29, two bytes.
      stream.write(Uint8Array.of(0x29, 2, 0, 0), 0, 4);
      await chain.pass(15_000);
      assert.equal(over, false);
    }
    await chain.pass(40_000);
    assert.match(ended(chain.hop(0).events) ?? '', /^idle: /);
  });

  test('C1: capsules of unknown types pass through, long ones are skipped', options, async () => {
    const chain = createFakeChain({ version: 'h2' }, { version: 'h3' });
    const pair = chain.connect();
    const seen: string[] = [];
    const stream = pair.client.open(
      {
        kind: 'extended',
        protocol: 'connect-udp',
        scheme: 'https',
        authority: 'hop-0.test',
        path: '/.well-known/masque/udp/8.8.8.8/53/',
        fields: fieldsWithPassword(),
      },
      {
        response: (head) => seen.push(String(head.status)),
        data: () => undefined,
        end: () => undefined,
        datagram: () => undefined,
        drain: () => undefined,
        closed: () => undefined,
      },
    );
    const hop = chain.hop(1);
    await chain.pass();
    assert.deepEqual(seen, ['200']);
    const capsule = (length: number): Buffer =>
      Buffer.concat([
        // Type 0x29, then the length in four bytes.
        Buffer.from([0x29, 0x80, length >> 16, (length >> 8) & 0xff, length & 0xff]),
        Buffer.alloc(length, 7),
      ]);
    const before = await hop.pairs[0]?.client.statistics();
    for (const length of [0, 300, 16_384, 16_385, 60_000]) {
      const bytes = capsule(length);
      stream.write(bytes, 0, bytes.length);
    }
    await chain.pass(2_000);
    const after = await hop.pairs[0]?.client.statistics();
    const arrived = (after?.bytesSent ?? 0) - (before?.bytesSent ?? 0);
    const forwarded = 300 + 16_384;
    assert.ok(arrived > forwarded && arrived < forwarded + 16_000, `${arrived} bytes`);
    stream.write(Buffer.from([0, 3, 0, 104, 105]), 0, 5);
    await chain.pass();
    assert.deepEqual(exitSocket(hop).sent.map(String), ['hi']);
  });

  test(
    'C2: the refusal of the last hop comes back with its status and an entry of each hop',
    options,
    async () => {
      const chain = createFakeChain({ version: 'h2' }, {}, { targets: { deny: ['8.8.8.0/24'] } });
      const error = await refusal(chain, PUBLIC);
      assert.equal(error.status, 403);
      assert.equal(error.code, 'ERR_TARGET_DENIED');
      const entries = parseProxyStatus(error.proxyStatus ?? '');
      assert.deepEqual(
        entries.map((entry) => [entry.error, entry.receivedStatus, entry.nextHop, entry.nextProtocol]),
        [
          ['http_request_denied', undefined, undefined, undefined],
          [undefined, 403, 'hop-2.test:443', 'h3'],
          [undefined, 403, 'hop-1.test:443', 'h3'],
        ],
      );
      assert.match(entries[0]?.details ?? '', /denied by 8\.8\.8\.0\/24/);
      for (const index of [0, 1, 2]) {
        const refused = chain.hop(index).events.find(({ event }) => event === 'request-refused');
        assert.ok(refused?.event === 'request-refused' && refused.status === 403, `hop ${index}`);
      }
    },
  );

  test('C2: errors of the target keep their status and names through the chain', options, async () => {
    const chain = createFakeChain({}, {}, {});
    const missing = await refusal(chain, 'missing.test/53');
    assert.deepEqual([missing.status, missing.code], [502, 'ERR_TARGET_NAME']);
    assert.equal(parseProxyStatus(missing.proxyStatus ?? '')[0]?.rcode, 'NXDOMAIN');
    chain.hop(2).sockets.failing.set('8.8.8.8', 'no-ports');
    const exhausted = await refusal(chain, PUBLIC);
    assert.deepEqual([exhausted.status, exhausted.code], [503, 'ERR_PORTS_EXHAUSTED']);
  });

  test('C2: what was accepted names all next hops, the one nearest the target first', options, async () => {
    const chain = createFakeChain({}, {}, {});
    const tunnel = chain.ask(chain.connect(), PUBLIC);
    await chain.pass();
    const text = fieldsOf({ kind: 'plain', fields: (await tunnel.ready).fields } as RequestHead);
    assert.deepEqual(
      parseProxyStatus(text.get('proxy-status') ?? '').map(({ nextHop }) => nextHop),
      ['8.8.8.8:53', 'hop-2.test:443', 'hop-1.test:443'],
    );
  });

  test('C2: a hop that is down is 502, one that is silent 504, each with its error', options, async () => {
    const chain = createFakeChain({ limits: { openTimeout: 4_000 } }, {});
    chain.hop(1).reach = 'down';
    const down = await refusal(chain, PUBLIC);
    assert.equal(down.status, 502);
    const [entry] = parseProxyStatus(down.proxyStatus ?? '');
    assert.equal(entry?.nextHop, 'hop-1.test:443');
    assert.equal(entry?.error, 'destination_unavailable');

    const silent = createFakeChain({ limits: { openTimeout: 4_000 } }, {});
    const first = silent.ask(silent.connect(), PUBLIC);
    await silent.pass();
    await first.ready;
    silent.hop(1).pairs[0]?.cut();
    silent.hop(1).reach = 'silent';
    const late = await refusal(silent, PUBLIC, 6_000);
    assert.equal(late.status, 504);
    assert.equal(parseProxyStatus(late.proxyStatus ?? '')[0]?.error, 'connection_timeout');
  });

  test('C5: a connection that died in silence costs a new tunnel less than a second', options, async () => {
    const { chain, pair, tunnel } = await open({}, {});
    chain.hop(1).pairs[0]?.cut();
    const next = chain.ask(pair, PUBLIC);
    await chain.pass(900);
    assert.equal((await next.ready).status, 200);
    assert.equal(chain.hop(1).pairs.length, 2);
    // What ran through the dead one is told soon, too.
    await chain.pass(6_000);
    const outcome = await tunnel.closed;
    assert.ok(outcome.kind === 'reset' && outcome.reason === 'internal-error');
    assert.match(ended(chain.hop(0).events) ?? '', /^hop: lost, /);
    next.end();
    await chain.pass();
    assert.deepEqual(await next.closed, { kind: 'ended' });
  });

  test(
    'C5: a tunnel waits for a hop that answered a moment ago, no longer than three seconds',
    options,
    async () => {
      const { chain, pair } = await open({}, {});
      const hop = chain.hop(1);
      hop.pairs[0]?.crashServer();
      hop.reach = 'down';
      const waiting = chain.ask(pair, PUBLIC);
      await chain.pass(1_500);
      hop.reach = 'up';
      await chain.pass(1_500);
      assert.equal((await waiting.ready).status, 200);
      hop.pairs.at(-1)?.crashServer();
      hop.reach = 'down';
      const late = chain.ask(pair, PUBLIC);
      const refused = refusedBy(late.ready);
      await chain.pass(8_000);
      assert.equal((await refused).status, 502);
    },
  );

  test('C5: a hop that is slow to answer keeps its connection', options, async () => {
    const chain = createFakeChain({}, { limits: { openTimeout: 8_000 } });
    chain.hop(1).sockets.hold();
    const tunnel = chain.ask(chain.connect(), PUBLIC);
    await chain.pass(5_000);
    chain.hop(1).sockets.release();
    await chain.pass();
    assert.equal((await tunnel.ready).status, 200);
    assert.equal(chain.hop(1).pairs.length, 1);
    assert.equal(chain.hop(1).requests.length, 1);
  });

  test('C3: a request that comes back to a proxy gets 508', options, async () => {
    const chain = createFakeChain({}, {}, { next: 0, link: 'https://hop-user:secret-2@hop-2.test/' });
    const error = await refusal(chain, PUBLIC);
    assert.equal(error.status, 508);
    assert.equal(error.code, 'ERR_LOOP');
    const entries = parseProxyStatus(error.proxyStatus ?? '');
    assert.equal(entries[0]?.error, 'proxy_loop_detected');
    assert.deepEqual(
      entries.slice(1).map(({ receivedStatus }) => receivedStatus),
      [508, 508, 508],
    );
    assert.equal(chain.hop(0).requests.length, 2);
    assert.equal(chain.hop(1).requests.length, 1);
  });

  test('C3: a proxy that is its own next hop, and a chain without an end', options, async () => {
    const own = createFakeChain({ next: 0 });
    assert.equal((await refusal(own, PUBLIC)).status, 508);
    const chain = createFakeChain({}, {});
    const via = Array.from({ length: 40 }, (_, index) => `3 other-${index}`).join(', ');
    const long = await refusal(chain, PUBLIC, 200, [...fieldsWithPassword(), ['via', via]]);
    assert.equal(long.status, 508);
    assert.equal(chain.hop(1).requests.length, 0);
  });

  test('C3: members of Via are passed on, comments and what is malformed are not', options, async () => {
    const chain = createFakeChain({ version: 'h2' }, {}, {});
    const via = '1.1 front.test (made, by) , 3 p-0123, nonsense';
    const tunnel = chain.ask(chain.connect(), PUBLIC, [...fieldsWithPassword(), ['via', via]]);
    await chain.pass();
    await tunnel.ready;
    const second = fieldsOf(chain.hop(1).requests[0]).get('via') ?? '';
    assert.match(second, /^1\.1 front\.test, 3 p-0123, 2 p-[0-9a-f]{24}$/);
    const third = fieldsOf(chain.hop(2).requests[0]).get('via') ?? '';
    assert.ok(third.startsWith(`${second}, 3 p-`));
  });

  test('C5: an end by the client is an end at the exit', options, async () => {
    const { chain, tunnel } = await open({}, {}, {});
    tunnel.end();
    await chain.pass();
    assert.deepEqual(await tunnel.closed, { kind: 'ended' });
    for (const { events } of chain.hops) assert.equal(ended(events), 'client: ');
    assert.equal(exitSocket(chain.hop(2)).closed, true);
  });

  test('C5: a reset by the client is a reset at the exit, with its reason', options, async () => {
    for (const reason of ['cancelled', 'excessive-load', 'internal-error'] as const) {
      const { chain, tunnel } = await open({}, { version: 'h2' }, {});
      tunnel.reset(reason);
      await chain.pass();
      for (const { events } of chain.hops) assert.equal(ended(events), `client: ${reason}`);
    }
  });

  test('C5: the loss of the client is neither an end nor its reset', options, async () => {
    const { chain, pair } = await open({}, {}, {});
    pair.cut();
    await chain.pass(90_000);
    assert.match(ended(chain.hop(0).events) ?? '', /^lost: /);
    for (const index of [1, 2]) assert.equal(ended(chain.hop(index).events), 'client: internal-error');
  });

  test('C5: an end by the exit is an end for the client', options, async () => {
    const { chain, tunnel } = await open({}, {}, {});
    void chain.hop(2).core.drain(0);
    await chain.pass(1_000);
    assert.deepEqual(await tunnel.closed, { kind: 'ended' });
    assert.equal(ended(chain.hop(0).events), 'hop: ended');
  });

  test('C5: the target that fails is a reset for the client, with its reason', options, async () => {
    const { chain, tunnel } = await open({ version: 'h2' }, {}, {});
    exitSocket(chain.hop(2)).fail('refused', 'ECONNREFUSED');
    await chain.pass();
    const outcome = await tunnel.closed;
    assert.ok(outcome.kind === 'reset' && outcome.by === 'peer' && outcome.reason === 'connect-error');
    assert.equal(ended(chain.hop(0).events), 'hop: reset, connect-error');
    assert.equal(ended(chain.hop(1).events), 'hop: reset, connect-error');
    assert.equal(ended(chain.hop(2).events), 'target: ECONNREFUSED');
  });

  test('C5: a reset by a hop is a reset for the client, with its reason', options, async () => {
    for (const reason of ['cancelled', 'excessive-load', 'internal-error'] as const) {
      const { chain, tunnel } = await open({}, {}, { version: 'h2' });
      for (const running of chain.hop(2).core.tunnels.running()) running.reset(reason);
      await chain.pass();
      const outcome = await tunnel.closed;
      assert.ok(outcome.kind === 'reset' && outcome.by === 'peer' && outcome.reason === reason, reason);
    }
  });

  test(
    'C5: the loss of a hop is told as such here, and as an internal error to the client',
    options,
    async () => {
      const { chain, tunnel } = await open({}, {}, {});
      chain.hop(1).pairs[0]?.crashServer();
      tunnel.sendText('into the void');
      await chain.pass(40_000);
      const outcome = await tunnel.closed;
      assert.ok(outcome.kind === 'reset' && outcome.reason === 'internal-error');
      assert.match(ended(chain.hop(0).events) ?? '', /^hop: lost, /);
    },
  );

  test('C7: the credentials and fields of the client stay with the first hop', options, async () => {
    const chain = createFakeChain({}, {}, {});
    const fields: Fields = [
      ...fieldsWithPassword(),
      ['proxy-authorization', 'Basic c3RyYW5nZTpvdGhlcg=='],
      ['cookie', 'session=1'],
      ['x-client', 'me'],
    ];
    const tunnel = chain.ask(chain.connect(), PUBLIC, fields);
    await chain.pass();
    await tunnel.ready;
    for (const index of [1, 2]) {
      const sent = fieldsOf(chain.hop(index).requests[0]);
      const expected = Buffer.from(`hop-user:secret-${index}`).toString('base64');
      assert.equal(sent.get('authorization'), `Basic ${expected}`);
      assert.deepEqual([...sent.keys()].toSorted(), ['authorization', 'capsule-protocol', 'via']);
    }
  });

  test('C7: a hop that refuses this proxy is not a challenge for the client', options, async () => {
    const chain = createFakeChain({}, { link: 'https://hop-user:wrong@hop-1.test/' });
    const error = await refusal(chain, PUBLIC);
    assert.deepEqual([error.status, error.code], [502, 'ERR_HOP_CREDENTIALS']);
    const [entry] = parseProxyStatus(error.proxyStatus ?? '');
    assert.deepEqual([entry?.error, entry?.receivedStatus], ['proxy_configuration_error', 401]);
  });

  test('C8: names are resolved by the last hop only, and its rules judge the address', options, async () => {
    const chain = createFakeChain({}, {}, {});
    const tunnel = chain.ask(chain.connect(), 'name.test/53');
    await chain.pass();
    await tunnel.ready;
    assert.deepEqual(exitSocket(chain.hop(2)).remote, { address: '8.8.4.4', port: 53 });
    assert.deepEqual([chain.hop(0).queries, chain.hop(1).queries], [[], []]);
    assert.ok(chain.hop(2).queries.includes('name.test'));
    const strict = createFakeChain({}, { targets: { deny: ['8.8.4.4'] } });
    assert.equal((await refusal(strict, 'name.test/53')).status, 403);
    assert.equal(strict.hop(1).queries.length > 0, true);
  });

  test('C8: literal addresses and rules on names are judged by each hop', options, async () => {
    const judged: readonly (readonly [HopSpec['targets'], string])[] = [
      [{}, '10.0.0.1/53'],
      [{}, '%3A%3A1/53'],
      [{}, '169.254.169.254/80'],
      [{ deny: ['8.8.8.8'] }, PUBLIC],
      [{ deny: ['*.test'] }, 'name.test/53'],
      [{ only: ['other.test'] }, 'name.test/53'],
      // A list of addresses cannot be kept for a name that is not resolved here.
      [{ only: ['8.8.4.0/24'] }, 'name.test/53'],
    ];
    for (const [targets, target] of judged) {
      const chain = createFakeChain(
        { targets: targets ?? {} },
        { targets: { allow: ['0.0.0.0/0', '::/0'] } },
      );
      assert.equal((await refusal(chain, target)).status, 403, target);
      assert.equal(chain.hop(1).requests.length, 0, target);
    }
    const named = createFakeChain({ targets: { only: ['name.test'] } }, {});
    const tunnel = named.ask(named.connect(), 'name.test/53');
    await named.pass();
    assert.equal((await tunnel.ready).status, 200);
  });

  test('C8: decide sends each tunnel its way', options, async () => {
    const chain = createFakeChain(
      {
        decide: ({ target }) => {
          if (target.port === 1) return { action: 'direct' };
          if (target.port === 2) return { action: 'refuse', status: 429, error: 'http_request_denied' };
          return { action: 'via', hop: 'https://hop-user:secret-1@hop-1.test/' };
        },
      },
      {},
    );
    const pair = chain.connect();
    const [direct, refused, via] = ['8.8.8.8/1', '8.8.8.8/2', '8.8.8.8/3'].map((at) => chain.ask(pair, at));
    await chain.pass();
    assert.equal((await direct?.ready)?.status, 200);
    assert.equal((await via?.ready)?.status, 200);
    assert.equal((await refusedBy(refused?.ready ?? Promise.resolve())).status, 429);
    assert.deepEqual(
      chain.hop(0).sockets.opened.map(({ remote }) => remote?.port),
      [1],
    );
    assert.deepEqual(
      chain.hop(1).sockets.opened.map(({ remote }) => remote?.port),
      [3],
    );
  });

  test('connections to the hop are shared, told of, and gone when the relay closes', options, async () => {
    const chain = createFakeChain({}, {});
    const pair = chain.connect();
    const tunnels = Array.from({ length: 50 }, () => chain.ask(pair, PUBLIC));
    await chain.pass();
    await Promise.all(tunnels.map(({ ready }) => ready));
    assert.equal(chain.hop(1).pairs.length, 1);
    const [stats] = chain.hop(0).relay.stats();
    assert.deepEqual([stats?.connections, stats?.streams, stats?.dials], [1, 50, 1]);
    for (const tunnel of tunnels) tunnel.end();
    await chain.pass();
    assert.equal(chain.hop(0).relay.stats()[0]?.streams, 0);
    void chain.hop(0).relay.close();
    await chain.pass();
    const told = chain
      .hop(0)
      .events.flatMap((event) => (event.event.startsWith('hop-') ? [event.event] : []));
    assert.deepEqual(told, ['hop-connected', 'hop-closed']);
    assert.equal(chain.hop(1).core.connections, 0);
  });
});

function fieldsWithPassword(): Fields {
  return [['authorization', `Basic ${Buffer.from('client:secret-0').toString('base64')}`]];
}

async function refusal(
  chain: ReturnType<typeof createFakeChain>,
  target: string,
  wait = 1_000,
  fields?: Fields,
): Promise<BautaError> {
  const tunnel = chain.ask(chain.connect(), target, fields);
  const refused = refusedBy(tunnel.ready);
  await chain.pass(wait);
  return refused;
}

async function open(...specs: readonly HopSpec[]) {
  const chain = createFakeChain(...specs);
  const pair = chain.connect();
  const tunnel = chain.ask(pair, PUBLIC);
  await chain.pass();
  await tunnel.ready;
  return { chain, pair, tunnel };
}
