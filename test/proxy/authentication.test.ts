import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hash } from '@node-rs/argon2';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { Fields } from '../../src/protocol/fields.js';
import type { Authenticate } from '../../src/proxy/authenticate.js';
import { credentialField, parseCredential } from '../../src/proxy/credentials.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import { parseUsers } from '../../src/proxy/user-file.js';
import { ask, basic, createCorePair, request } from './core-pair.js';

const TARGET = '8.8.8.8/53';
const signal = new AbortController().signal;

const statusOf = async (ready: Promise<{ status: number }>): Promise<number | undefined> =>
  ready.then(
    (head) => head.status,
    (error: unknown) => (error instanceof BautaError ? error.status : undefined),
  );

/** Lets in `ada` with `secret`, and counts the checks. */
function countingStore(): { authenticate: Authenticate; checks: () => number } {
  let checks = 0;
  return {
    checks: () => checks,
    async authenticate(credential) {
      checks++;
      await Promise.resolve();
      if (credential.scheme !== 'basic') return null;
      return credential.name === 'ada' && credential.password === 'secret' ? { name: 'ada' } : null;
    },
  };
}

describe('who is let in', { timeout: 600_000 }, () => {
  test('without credentials it is 401 with a challenge, and no details', async () => {
    const pair = createCorePair({ authenticate: countingStore().authenticate });
    const answer = await request(pair, pair.connect(), {
      kind: 'extended',
      protocol: 'connect-udp',
      scheme: 'https',
      authority: 'proxy.test',
      path: `/.well-known/masque/udp/${TARGET}/`,
      fields: [],
    });
    assert.equal(answer.head?.status, 401);
    const fields = new Map(answer.head?.fields);
    assert.match(fields.get('www-authenticate') ?? '', /^Basic realm="/);
    assert.doesNotMatch(fields.get('proxy-status') ?? '', /details/);
  });

  test('Authorization and Proxy-Authorization both let in; a wrong password does not', async () => {
    const pair = createCorePair({ authenticate: countingStore().authenticate });
    const [line] = basic('ada', 'secret');
    const value = line?.[1] ?? '';
    for (const name of ['authorization', 'proxy-authorization']) {
      const tunnel = ask(pair, pair.connect(), TARGET, [[name, value]]);
      await pair.clock.advanceAsync(50);
      assert.equal(await statusOf(tunnel.ready), 200, name);
    }
    for (const fields of [
      basic('ada', 'wrong'),
      basic('eve', 'secret'),
      [['authorization', 'Basic !']] as const,
    ]) {
      const tunnel = ask(pair, pair.connect(), TARGET, fields);
      await pair.clock.advanceAsync(50);
      assert.equal(await statusOf(tunnel.ready), 401);
    }
  });

  test('W13: one check serves all the tunnels of a connection, also those that come at once', async () => {
    const store = countingStore();
    const pair = createCorePair({ authenticate: store.authenticate });
    const connection = pair.connect();
    const tunnels = Array.from({ length: 200 }, () => ask(pair, connection, TARGET, basic('ada', 'secret')));
    await pair.clock.advanceAsync(500);
    for (const { ready } of tunnels) assert.equal(await statusOf(ready), 200);
    const later = ask(pair, connection, TARGET, basic('ada', 'secret'));
    await pair.clock.advanceAsync(100);
    assert.equal(await statusOf(later.ready), 200);
    assert.equal(store.checks(), 1);
  });

  test('W13: what is remembered is forgotten after a minute, and when users are replaced', async () => {
    const store = countingStore();
    const pair = createCorePair({ authenticate: store.authenticate });
    const connection = pair.connect();
    const again = async (): Promise<number | undefined> => {
      const tunnel = ask(pair, connection, TARGET, basic('ada', 'secret'));
      await pair.clock.advanceAsync(100);
      return statusOf(tunnel.ready);
    };
    assert.equal(await again(), 200);
    await pair.clock.advanceAsync(61_000);
    assert.equal(await again(), 200);
    assert.equal(store.checks(), 2);
    const running = pair.core.tunnels.open;
    pair.core.setAuthenticate(async () => null);
    assert.equal(await again(), 401);
    assert.equal(pair.core.tunnels.open, running, 'running tunnels stay');
  });

  test('a connection without valid credentials is closed after 20 seconds', async () => {
    const pair = createCorePair({ authenticate: countingStore().authenticate });
    const stranger = pair.connect();
    const guest = pair.connect();
    const tunnel = ask(pair, guest, TARGET, basic('ada', 'secret'));
    const wrong = ask(pair, stranger, TARGET, basic('ada', 'wrong'));
    await pair.clock.advanceAsync(19_900);
    assert.equal(await statusOf(wrong.ready), 401);
    assert.equal(stranger.client.usable, true);
    await pair.clock.advanceAsync(200);
    assert.equal(stranger.client.usable, false);
    assert.equal(guest.client.usable, true);
    assert.equal(await statusOf(tunnel.ready), 200);
  });

  test('many wrong credentials close the connection at once', async () => {
    const pair = createCorePair({ authenticate: countingStore().authenticate });
    const connection = pair.connect();
    for (let attempt = 0; attempt < 12 && connection.client.usable; attempt++) {
      ask(pair, connection, TARGET, basic('ada', `guess ${attempt}`));
      await pair.clock.advanceAsync(50);
    }
    assert.equal(connection.client.usable, false);
  });

  test('a check that fails or hangs is 503, never a pass', async () => {
    const pair = createCorePair({
      authenticate: (credential) =>
        credential.scheme === 'bearer' ? Promise.reject(new Error('down')) : new Promise(() => undefined),
    });
    const connection = pair.connect();
    const failing = ask(pair, connection, TARGET, [['authorization', 'Bearer abc']]);
    const hanging = ask(pair, connection, TARGET, basic('ada', 'secret'));
    await pair.clock.advanceAsync(9_000);
    assert.equal(await statusOf(failing.ready), 503);
    assert.equal(await statusOf(hanging.ready), 503);
  });

  test('anyone is anyone', async () => {
    const pair = createCorePair();
    const connection = pair.connect();
    await pair.clock.advanceAsync(30_000);
    const tunnel = ask(pair, connection, TARGET);
    await pair.clock.advanceAsync(50);
    assert.equal(await statusOf(tunnel.ready), 200);
  });
});

describe('credentials', () => {
  test('Basic is read with colons and other letters in the password', () => {
    const value = `Basic ${Buffer.from('ada:pa:ss wörd').toString('base64')}`;
    assert.deepEqual(parseCredential(value), { scheme: 'basic', name: 'ada', password: 'pa:ss wörd' });
    assert.deepEqual(parseCredential('bearer  token'), { scheme: 'bearer', token: 'token' });
  });

  test('what is malformed is no credential', () => {
    for (const value of [
      '',
      'Basic',
      'Basic %%%',
      'Digest abc',
      `Basic ${Buffer.from('x').toString('base64')}`,
    ]) {
      assert.equal(parseCredential(value), undefined, value);
    }
    assert.equal(parseCredential(`Basic ${'A'.repeat(10_000)}`), undefined);
  });

  test('a template takes either field, a classic CONNECT the one for proxies only', () => {
    const both: Fields = [
      ['proxy-authorization', 'of the proxy'],
      ['authorization', 'of the origin'],
    ];
    assert.equal(credentialField(both, 'origin'), 'of the origin');
    assert.equal(credentialField(both.slice(0, 1), 'origin'), 'of the proxy');
    assert.equal(credentialField(both, 'proxy'), 'of the proxy');
    assert.equal(credentialField(both.slice(1), 'proxy'), undefined);
  });

  test('a repeated field is no credential', () => {
    assert.equal(
      credentialField(
        [
          ['authorization', 'a'],
          ['authorization', 'b'],
        ],
        'origin',
      ),
      undefined,
    );
  });
});

describe('the password store', { timeout: 600_000 }, () => {
  const check = (store: ReturnType<typeof createPasswordStore>, name: string, password: string) =>
    store.authenticate({ scheme: 'basic', name, password }, signal, '192.0.2.1');

  test('who goes away while a hash is waited for leaves his place to others', async () => {
    const store = createPasswordStore([['ada', await hash('secret')]]);
    const going = new AbortController();
    const guess = (password: number): Promise<unknown> =>
      store.authenticate(
        { scheme: 'basic', name: 'ada', password: String(password) },
        going.signal,
        '192.0.2.1',
      );
    // Two are computed, and 64 from one address may wait.
    let computed = 0;
    const guesses = Array.from({ length: 66 }, async (_, index) => {
      const outcome = await guess(index).catch((error: unknown) => error);
      if (outcome === null) computed++;
    });
    const refused = await guess(2_000).catch((error: unknown) => error);
    assert.ok(refused instanceof BautaError && refused.code === 'ERR_TOO_MANY');
    // Somebody else does not wait behind them.
    const elsewhere = await store.authenticate(
      { scheme: 'basic', name: 'ada', password: 'secret' },
      signal,
      '192.0.2.2',
    );
    assert.deepEqual(elsewhere, { name: 'ada' });
    const before = computed;
    assert.ok(before < 33, `${before} of 66 had their turn before him`);
    going.abort();
    const ada = store.authenticate({ scheme: 'basic', name: 'ada', password: 'secret' }, signal, '192.0.2.1');
    await Promise.all(guesses);
    assert.ok(computed - before <= 2, `${computed - before} after they had gone: two are under way at most`);
    assert.deepEqual(await ada, { name: 'ada' });
  });

  test('takes argon2 hashes and plain passwords', async () => {
    const store = createPasswordStore([
      ['ada', await hash('secret')],
      ['bob', 'plain'],
    ]);
    assert.deepEqual(await check(store, 'ada', 'secret'), { name: 'ada' });
    assert.deepEqual(await check(store, 'bob', 'plain'), { name: 'bob' });
    for (const [name, password] of [
      ['ada', 'plain'],
      ['bob', 'secret'],
      ['eve', 'secret'],
      ['', ''],
    ] as const) {
      assert.equal(await check(store, name, password), null);
    }
  });

  test('an unknown user takes as long as a wrong password', async () => {
    const store = createPasswordStore([
      ['ada', await hash('secret', { memoryCost: 32_768, timeCost: 3 })],
      ['bob', 'plain'],
    ]);
    // In processor time of this process, its threads included: how long it takes is the machine's affair.
    const cost = async (name: string, round: number): Promise<number> => {
      const began = process.cpuUsage();
      await check(store, name, `wrong ${round}`);
      const { user, system } = process.cpuUsage(began);
      return (user + system) / 1_000;
    };
    const names = ['ada', 'bob', 'nobody'] as const;
    const least = { ada: Infinity, bob: Infinity, nobody: Infinity };
    for (let round = 0; round < 8; round++) {
      for (const name of names) least[name] = Math.min(least[name], await cost(name, round));
    }
    const { ada: known, bob: plain, nobody: unknown } = least;
    for (const other of [plain, unknown]) {
      assert.ok(other > known * 0.4 && other < known * 2.5, `${known} ms against ${other} ms`);
    }
  });

  test('W13: a flood of right passwords costs few hashes and none is refused', async () => {
    const store = createPasswordStore([['ada', await hash('secret')]]);
    const first = await check(store, 'ada', 'secret');
    assert.deepEqual(first, { name: 'ada' });
    const began = process.cpuUsage();
    const all = await Promise.all(Array.from({ length: 2_000 }, () => check(store, 'ada', 'secret')));
    assert.ok(all.every((user) => user?.name === 'ada'));
    const { user, system } = process.cpuUsage(began);
    assert.ok(user + system < 2_000_000, `${user + system} microseconds of the processor`);
  });

  test('replacing users takes effect at once; a bad entry changes nothing', async () => {
    const store = createPasswordStore([['ada', 'secret']], createVirtualClock());
    assert.deepEqual(await check(store, 'ada', 'secret'), { name: 'ada' });
    for (const [name, secret] of [
      ['', 'x'],
      ['a:b', 'x'],
      ['ada', ''],
      ['ada', '$argon2id$v=19$m=19456,t=2,p=1$cut'],
    ] as const) {
      assert.throws(
        () => store.replace([[name, secret]]),
        (error: unknown) => error instanceof BautaError && error.code === 'ERR_USAGE',
        secret,
      );
    }
    assert.deepEqual(await check(store, 'ada', 'secret'), { name: 'ada' });
    store.replace([['bob', 'other']]);
    assert.equal(await check(store, 'ada', 'secret'), null);
    assert.deepEqual(await check(store, 'bob', 'other'), { name: 'bob' });
  });

  test('a user file has a name and a secret on each line', () => {
    assert.deepEqual(parseUsers('# users\nada:secret\r\n\nbob:a:b\n', 'file'), [
      ['ada', 'secret'],
      ['bob', 'a:b'],
    ]);
    assert.throws(
      () => parseUsers('ada:secret\nbob\n', 'file'),
      (error: unknown) =>
        error instanceof BautaError && /line 2/.test(error.message) && !/bob/.test(error.message),
    );
  });
});
