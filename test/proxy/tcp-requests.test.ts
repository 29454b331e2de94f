import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestHead, ResponseHead } from '../../src/http/request.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { Fields } from '../../src/protocol/fields.js';
import type { TunnelRequest } from '../../src/proxy/decision.js';
import type { TcpProblem } from '../../src/quic/tcp-socket.js';
import { type AskedTcp, type AskTcpOptions, askTcp, bothForms, classic, templated } from './ask-tcp.js';
import { type CorePair, createCorePair, records, request } from './core-pair.js';
import { createScriptedTcp, type ScriptedTcp } from './scripted-tcp.js';

const PUBLIC = '8.8.8.8';
const limit = { timeout: 120_000 };

interface TcpPair extends CorePair {
  readonly tcp: ScriptedTcp;
  ask(target: string, port: number, options?: Partial<AskTcpOptions>): AskedTcp;
  pass(milliseconds?: number): Promise<void>;
}

/** A proxy whose targets answer at once, unless the test wants something else. */
function createTcpPair(options: Parameters<typeof createCorePair>[0] = {}): TcpPair {
  const tcp = createScriptedTcp();
  tcp.onConnect = (attempt) => attempt.up();
  const pair = createCorePair({ ...options, tcpSockets: tcp.face });
  const connection = pair.connect();
  return {
    ...pair,
    tcp,
    ask: (host, port, more) =>
      askTcp(connection.client, host, port, { clock: pair.clock, form: classic, ...more }),
    pass: (milliseconds = 50) => pair.clock.advanceAsync(milliseconds),
  };
}

async function refusedBy({ tunnel }: AskedTcp): Promise<BautaError> {
  return tunnel.ready.then(
    () => assert.fail('it was accepted'),
    (error: unknown) => (error instanceof BautaError ? error : assert.fail(String(error))),
  );
}

/** How the client's side is over. */
const overOf = ({ seen }: AskedTcp): string | undefined => seen.over?.kind;
const proxyStatus = (head: ResponseHead): string => new Map(head.fields).get('proxy-status') ?? '';
const proxyBasic = (name: string, password: string): Fields => [
  ['proxy-authorization', `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`],
];

describe('requests for TCP tunnels', { ...limit, timeout: 600_000 }, () => {
  for (const [name, form] of bothForms) {
    test(`${name}: a tunnel carries bytes; S27: Proxy-Status names the next hop`, async () => {
      const pair = createTcpPair();
      const { tunnel, send, seen } = pair.ask(PUBLIC, 443, { form });
      await pair.pass();
      const head = await tunnel.ready;
      assert.equal(head.status, 200);
      assert.equal(proxyStatus(head), 'proxy;next-hop="8.8.8.8:443"');
      const [target] = pair.tcp.attempts;
      assert.deepEqual(target?.remote, { address: PUBLIC, port: 443 });
      send('question');
      await pair.pass();
      assert.equal(String(Buffer.concat(target.written)), 'question');
      target.tell('answer');
      await pair.pass();
      assert.equal(seen.text(), 'answer');
      const [open] = pair.core.tunnels.running();
      assert.deepEqual(open?.counters(), {
        kind: 'tcp',
        dataPath: 'js',
        statistics: { bytesIn: 8, bytesOut: 6 },
      });
      assert.deepEqual(
        [open.description.kind, open.description.target],
        ['tcp', { host: PUBLIC, port: 443 }],
      );
      tunnel.end();
      await pair.pass();
      assert.equal(target.ended, true);
      target.handler.end();
      target.handler.closed({ kind: 'ended' });
      await pair.pass();
      assert.deepEqual(seen.over, { kind: 'ended' });
      const end = pair.events.find((event) => event.event === 'tunnel-closed');
      assert.ok(end?.event === 'tunnel-closed' && end.kind === 'tcp');
      assert.deepEqual([end.reason, end.statistics.bytesIn], ['ended', 8]);
      assert.equal(pair.core.tunnels.places, 0);
    });

    test(`${name}: the answer comes only once the connection is up`, async () => {
      const pair = createTcpPair();
      pair.tcp.onConnect = undefined;
      const { tunnel } = pair.ask(PUBLIC, 443, { form });
      let answered = false;
      tunnel.ready.then(() => {
        answered = true;
      });
      await pair.pass(3_000);
      assert.equal(answered, false);
      pair.tcp.attempts[0]?.up();
      await pair.pass();
      assert.equal(answered, true);
    });

    test(`${name}: each failure to connect has its status and its Proxy-Status`, async () => {
      const cases: [problem: TcpProblem, status: number, error: string][] = [
        ['refused', 502, 'connection_refused'],
        ['reset', 502, 'connection_terminated'],
        ['timeout', 504, 'connection_timeout'],
        ['host-unreachable', 502, 'destination_ip_unroutable'],
        ['network-unreachable', 502, 'destination_ip_unroutable'],
        ['no-ports', 503, 'connection_limit_reached'],
        ['no-descriptors', 503, 'connection_limit_reached'],
      ];
      for (const [problem, status, error] of cases) {
        const pair = createTcpPair();
        pair.tcp.onConnect = (attempt) => attempt.fail(problem, 'ESOMETHING');
        const asked = pair.ask(PUBLIC, 443, { form });
        await pair.pass();
        const refused = await refusedBy(asked);
        assert.equal(refused.status, status, problem);
        assert.equal(refused.proxyStatus, `proxy;error=${error};details="ESOMETHING"`, problem);
        assert.equal(pair.core.tunnels.places, 0);
      }
    });

    test(`${name}: a target that never answers is 504 after the connect time`, async () => {
      const pair = createTcpPair();
      pair.tcp.onConnect = undefined;
      const asked = pair.ask(PUBLIC, 443, { form });
      await pair.pass(9_900);
      assert.equal(pair.tcp.attempts[0]?.aborted, false);
      await pair.pass(200);
      const refused = await refusedBy(asked);
      assert.deepEqual([refused.status, refused.code], [504, 'ERR_TARGET_TIMEOUT']);
      assert.match(refused.proxyStatus ?? '', /error=connection_timeout/);
      assert.equal(pair.tcp.attempts[0]?.aborted, true);
    });

    test(`${name}: a client that leaves takes its attempt to connect with it`, async () => {
      const pair = createTcpPair();
      pair.tcp.onConnect = undefined;
      const { tunnel } = pair.ask(PUBLIC, 443, { form });
      await pair.pass();
      assert.equal(pair.core.tunnels.places, 1);
      tunnel.reset('cancelled');
      await pair.pass();
      assert.equal(pair.tcp.attempts[0]?.aborted, true);
      assert.equal(pair.core.tunnels.places, 0);
    });

    test(`${name}: a connection that is up only after the client has left is reset`, async () => {
      const pair = createTcpPair();
      pair.tcp.onConnect = undefined;
      const { tunnel } = pair.ask(PUBLIC, 443, { form });
      await pair.pass();
      const [attempt] = pair.tcp.attempts;
      attempt?.up();
      tunnel.reset('cancelled');
      await pair.pass();
      assert.equal(attempt?.reset, true);
    });

    test(`${name}: TCP port 25 is refused, and allowed where an address is`, async () => {
      const pair = createTcpPair();
      const asked = pair.ask(PUBLIC, 25, { form });
      await pair.pass();
      const refused = await refusedBy(asked);
      assert.deepEqual([refused.status, refused.code], [403, 'ERR_TARGET_REFUSED']);
      assert.equal(pair.tcp.attempts.length, 0);
      const lifting = createTcpPair({ targets: { allow: ['8.8.8.0/24'] } });
      const allowed = lifting.ask(PUBLIC, 25, { form });
      await lifting.pass();
      assert.equal((await allowed.tunnel.ready).status, 200);
    });

    test(`${name}: private addresses, and names that lead there, are refused`, async () => {
      const pair = createTcpPair();
      pair.names.set('inside.test 4', records('10.0.0.1'));
      pair.names.set('both.test 4', records('169.254.169.254', PUBLIC));
      for (const host of ['127.0.0.1', '::1', '::ffff:10.0.0.1', '169.254.169.254', 'inside.test']) {
        const asked = pair.ask(host, 443, { form });
        await pair.pass();
        assert.equal((await refusedBy(asked)).status, 403, host);
      }
      assert.equal(pair.tcp.attempts.length, 0);
      const asked = pair.ask('both.test', 443, { form });
      await pair.pass(200);
      assert.equal((await asked.tunnel.ready).status, 200);
      assert.deepEqual(
        pair.tcp.attempts.map(({ remote }) => remote.address),
        [PUBLIC],
      );
    });

    test(`${name}: a name that does not exist is 502 with dns_error and its rcode`, async () => {
      const pair = createTcpPair();
      const asked = pair.ask('nowhere.test', 443, { form });
      await pair.pass(200);
      const refused = await refusedBy(asked);
      assert.equal(refused.status, 502);
      assert.match(refused.proxyStatus ?? '', /error=dns_error;rcode="NXDOMAIN"/);
    });

    test(`${name}: the limits of tunnels count TCP too`, async () => {
      const pair = createTcpPair({ limits: { tunnelsPerConnection: 2 } });
      const first = pair.ask(PUBLIC, 443, { form });
      pair.ask(PUBLIC, 444, { form });
      const third = pair.ask(PUBLIC, 445, { form });
      await pair.pass();
      assert.equal((await refusedBy(third)).status, 429);
      first.tunnel.reset('cancelled');
      await pair.pass();
      const fourth = pair.ask(PUBLIC, 446, { form });
      await pair.pass();
      assert.equal((await fourth.tunnel.ready).status, 200);
    });

    test(`${name}: decide is asked for tcp, and its refusal is the answer`, async () => {
      const asked: TunnelRequest[] = [];
      const pair = createTcpPair({
        decide(tunnel) {
          asked.push(tunnel);
          if (tunnel.target.port === 443) return { action: 'direct' };
          return { action: 'refuse', status: 429, error: 'http_request_denied' };
        },
      });
      const allowed = pair.ask(PUBLIC, 443, { form });
      const refused = pair.ask(PUBLIC, 80, { form });
      await pair.pass();
      assert.equal((await allowed.tunnel.ready).status, 200);
      assert.equal((await refusedBy(refused)).status, 429);
      assert.deepEqual(
        asked.map(({ kind, target }) => [kind, target.port]),
        [
          ['tcp', 443],
          ['tcp', 80],
        ],
      );
    });

    test(`${name}: draining lets a tunnel run for its time and then resets it; new ones get 503`, async () => {
      const pair = createTcpPair();
      const running = pair.ask(PUBLIC, 443, { form });
      await pair.pass();
      await running.tunnel.ready;
      const drained = pair.core.drain(5_000);
      await pair.pass(4_000);
      assert.equal(pair.tcp.attempts[0]?.reset, false);
      running.send('still here');
      await pair.pass();
      assert.equal(String(Buffer.concat(pair.tcp.attempts[0]?.written ?? [])), 'still here');
      await pair.pass(2_000);
      await drained;
      assert.equal(pair.tcp.attempts[0]?.reset, true);
      assert.equal(overOf(running), 'reset');
      const end = pair.events.find((event) => event.event === 'tunnel-closed');
      assert.equal(end?.event === 'tunnel-closed' && end.reason, 'drained');
    });

    test(`${name}: a quiet tunnel ends after the idle time, a half-closed one sooner`, async () => {
      const pair = createTcpPair({ limits: { tcpIdleTimeout: 100_000, tcpHalfClosedTimeout: 10_000 } });
      const quiet = pair.ask(PUBLIC, 443, { form });
      const half = pair.ask(PUBLIC, 444, { form });
      await pair.pass();
      half.tunnel.end();
      await pair.pass(20_000);
      assert.equal(overOf(half), 'reset');
      assert.equal(overOf(quiet), undefined);
      await pair.pass(120_000);
      assert.equal(overOf(quiet), 'reset');
      const ends = pair.events.filter((event) => event.event === 'tunnel-closed');
      assert.deepEqual(
        ends.map((end) => end.event === 'tunnel-closed' && [end.reason, end.detail]),
        [
          ['idle', 'half closed'],
          ['idle', ''],
        ],
      );
    });
  }

  test('happy eyeballs: families in turn, 250 ms apart, the first that is up wins and the rest are given up', async () => {
    const pair = createTcpPair();
    pair.tcp.onConnect = undefined;
    pair.names.set('two.test 4', records('8.8.4.4', '8.8.8.8'));
    pair.names.set('two.test 6', records('2001:4860:4860::8888', '2001:4860:4860::8844'));
    const asked = pair.ask('two.test', 443);
    await pair.pass(100);
    const tried = (): string[] => pair.tcp.attempts.map(({ remote }) => remote.address);
    assert.deepEqual(tried(), ['2001:4860:4860::8888']);
    await pair.pass(250);
    assert.deepEqual(tried(), ['2001:4860:4860::8888', '8.8.4.4']);
    // A failure starts the next at once.
    pair.tcp.attempts[1]?.fail('refused', 'ECONNREFUSED');
    await pair.pass(10);
    assert.deepEqual(tried().slice(2), ['2001:4860:4860::8844']);
    pair.tcp.attempts[2]?.up();
    await pair.pass();
    assert.equal((await asked.tunnel.ready).status, 200);
    assert.equal(pair.tcp.attempts[0]?.aborted, true);
    // One that comes up too late is not kept.
    await pair.pass(1_000);
    assert.equal(pair.tcp.attempts.length, 3);
    asked.send('to the one that won');
    await pair.pass();
    assert.equal(String(Buffer.concat(pair.tcp.attempts[2]?.written ?? [])), 'to the one that won');
  });

  test('a target that ends and is gone before the client has its answer is told in full', async () => {
    const pair = createTcpPair();
    pair.tcp.onConnect = (attempt) => {
      attempt.up();
      attempt.handler.end();
    };
    const asked = pair.ask(PUBLIC, 443);
    await pair.pass();
    assert.equal((await asked.tunnel.ready).status, 200);
    assert.equal(asked.seen.ended, true);
    assert.equal(overOf(asked), undefined, 'the way to the target is open');
  });

  for (const authority of [
    'example.com',
    'example.com:0',
    'example.com:65536',
    'example.com:x',
    'user@example.com:443',
    'user:pw@example.com:443',
    '[fe80::1%25eth0]:443',
    '[::1',
    '::1:443',
    'a..b:443',
  ]) {
    test(`CONNECT to ${authority} is malformed`, async () => {
      const pair = createTcpPair();
      const answer = await request(pair, pair.connect(), { kind: 'connect', authority, fields: [] });
      const refused = answer.head === undefined ? 'reset' : answer.head.status;
      assert.ok(refused === 400 || refused === 'reset', String(refused));
      assert.equal(pair.tcp.attempts.length, 0);
    });
  }

  test('CONNECT to an IPv6 address in brackets', async () => {
    const pair = createTcpPair();
    const { tunnel } = pair.ask('2606:4700::1111', 443);
    await pair.pass();
    assert.equal(proxyStatus(await tunnel.ready), 'proxy;next-hop="[2606:4700::1111]:443"');
  });

  test('a path that no template has is 404, also with a token of connect-tcp', async () => {
    const pair = createTcpPair();
    const asked = pair.ask(PUBLIC, 443, { form: templated, literally: '/elsewhere/8.8.8.8/443/' });
    await pair.pass();
    assert.equal((await refusedBy(asked)).status, 404);
  });

  test('S5: connect-tcp with a content field is malformed', async () => {
    const pair = createTcpPair();
    const asked = pair.ask(PUBLIC, 443, { form: templated, fields: [['content-length', '5']] });
    await pair.pass();
    assert.equal((await refusedBy(asked)).status, 400);
  });

  test('Expect: 100-continue is answered once the request is granted, and before the target is', async () => {
    const pair = createTcpPair();
    pair.tcp.onConnect = undefined;
    const informed: number[] = [];
    const connection = pair.connect();
    const { path } = { path: '/.well-known/masque/tcp/8.8.8.8/443/' };
    const stream = connection.client.open(
      {
        kind: 'extended',
        protocol: 'connect-tcp-12',
        scheme: 'https',
        authority: 'proxy.test',
        path,
        fields: [['expect', '100-continue']],
      },
      {
        informational: ({ status }) => informed.push(status),
        response: ({ status }) => informed.push(status),
        data: () => undefined,
        end: () => undefined,
        datagram: () => undefined,
        drain: () => undefined,
        closed: () => undefined,
      },
    );
    await pair.pass();
    assert.deepEqual(informed, [100]);
    pair.tcp.attempts[0]?.up();
    await pair.pass();
    assert.deepEqual(informed, [100, 200]);
    stream.reset('cancelled');
    const refused = createTcpPair();
    const asked = refused.ask('10.0.0.1', 443, { form: templated, fields: [['expect', '100-continue']] });
    await refused.pass();
    assert.equal((await refusedBy(asked)).status, 403);
  });
});

describe('credentials for TCP tunnels', { ...limit, timeout: 600_000 }, () => {
  const authenticated = (): TcpPair =>
    createTcpPair({
      authenticate: async (credential) =>
        credential.scheme === 'basic' && credential.password === 'secret' ? { name: credential.name } : null,
    });
  const answerTo = async (pair: TcpPair, head: RequestHead): Promise<ResponseHead> => {
    let answered: ResponseHead | undefined;
    pair.connect().client.open(head, {
      response(given) {
        answered = given;
      },
      data: () => undefined,
      end: () => undefined,
      datagram: () => undefined,
      drain: () => undefined,
      closed: () => undefined,
    });
    await pair.pass(100);
    return answered ?? assert.fail('no answer');
  };
  const connect = (fields: Fields): RequestHead => ({
    kind: 'connect',
    authority: `${PUBLIC}:443`,
    fields,
  });
  const extended = (fields: Fields): RequestHead => ({
    kind: 'extended',
    protocol: 'connect-tcp-07',
    scheme: 'https',
    authority: 'proxy.test',
    path: `/.well-known/masque/tcp/${PUBLIC}/443/`,
    fields,
  });

  test('a CONNECT without, or with wrong ones, is 407 with Proxy-Authenticate and nothing else', async () => {
    const pair = authenticated();
    for (const fields of [
      [],
      proxyBasic('ada', 'wrong'),
      [['authorization', proxyBasic('ada', 'secret')[0]?.[1] ?? '']] as const,
    ]) {
      const head = await answerTo(pair, connect(fields));
      assert.equal(head.status, 407);
      const names = new Map(head.fields);
      assert.match(names.get('proxy-authenticate') ?? '', /^Basic realm="/);
      assert.equal(names.has('www-authenticate'), false);
      assert.equal(names.has('proxy-status'), false);
    }
    assert.equal(pair.tcp.attempts.length, 0);
  });

  test('a CONNECT with the right ones is a tunnel', async () => {
    const pair = authenticated();
    const { tunnel } = pair.ask(PUBLIC, 443, { fields: proxyBasic('ada', 'secret') });
    await pair.pass(100);
    assert.equal((await tunnel.ready).status, 200);
    const [open] = pair.core.tunnels.running();
    assert.equal(open?.description.user, 'ada');
  });

  test('connect-tcp without is 401 with WWW-Authenticate, and either field lets in', async () => {
    const pair = authenticated();
    const head = await answerTo(pair, extended([]));
    assert.equal(head.status, 401);
    assert.equal(new Map(head.fields).has('www-authenticate'), true);
    assert.equal(new Map(head.fields).has('proxy-authenticate'), false);
    const value = proxyBasic('ada', 'secret')[0]?.[1] ?? '';
    for (const name of ['authorization', 'proxy-authorization']) {
      const { tunnel } = pair.ask(PUBLIC, 443, { form: templated, fields: [[name, value]] });
      await pair.pass(100);
      assert.equal((await tunnel.ready).status, 200, name);
    }
  });

  test('a stranger learns nothing of the target: 407 comes before the name is looked up', async () => {
    const pair = authenticated();
    const head = await answerTo(pair, { kind: 'connect', authority: 'a..b:99999', fields: [] });
    assert.ok(head.status === 407 || head.status === 400);
    const asked = pair.ask('nowhere.test', 443);
    await pair.pass(100);
    assert.equal((await refusedBy(asked)).status, 407);
    assert.deepEqual(pair.queries, []);
  });
});
