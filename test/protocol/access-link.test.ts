import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AccessLink,
  formatAccessLink,
  parseAccessLink,
  redactAccessLink,
  redactLinks,
} from '../../src/protocol/access-link.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { canonicalPin } from '../../src/protocol/pin.js';

const pin = `sha256-${Buffer.alloc(32, 0xfb).toString('base64url')}`;
const other = `sha256-${Buffer.alloc(32, 1).toString('base64url')}`;

test('a link with everything', () => {
  const text = `https://ann:p%40ss%3Aw%2Frd@[2001:DB8::1]:4433/m{?target_host,target_port}#pin=${pin}&pin=${other}`;
  assert.deepEqual(parseAccessLink(text), {
    host: '2001:db8::1',
    port: 4433,
    user: { name: 'ann', password: 'p@ss:w/rd' },
    pins: [pin, other],
    template: '/m{?target_host,target_port}',
  });
});

test('what may be left out', () => {
  const bare: AccessLink = {
    host: 'proxy.example',
    port: 443,
    user: undefined,
    pins: [],
    template: undefined,
  };
  for (const text of [
    'https://proxy.example',
    'HTTPS://Proxy.Example./',
    'https://proxy.example:443/#',
    'https://proxy.example/.well-known/masque/udp/{target_host}/{target_port}/',
  ]) {
    assert.deepEqual(parseAccessLink(text), bare, text);
  }
  assert.equal(formatAccessLink(bare), 'https://proxy.example:443/');
});

test('pins in other base64, and twice', () => {
  const standard = `sha256-${Buffer.alloc(32, 0xfb).toString('base64')}`;
  assert.notEqual(standard, pin);
  assert.deepEqual(parseAccessLink(`https://a/#pin=${standard}&pin=${pin}`).pins, [pin]);
  assert.deepEqual(parseAccessLink(`https://a/#pin=${encodeURIComponent(standard)}`).pins, [pin]);
  assert.equal(canonicalPin(pin.slice(0, -1)), undefined);
  assert.equal(canonicalPin(pin.replace('sha256', 'sha512')), undefined);
});

test('wrong links are ERR_LINK, and no secret is in the message', () => {
  const secret = 'hunter2secret';
  for (const text of [
    '',
    'proxy.example',
    `http://ann:${secret}@a`,
    `https:/ann:${secret}@a`,
    `https://ann:${secret}@`,
    `https://ann:${secret}@:443`,
    `https://ann:${secret}@a:0`,
    `https://ann:${secret}@a:65536`,
    `https://ann:${secret}@a:`,
    `https://${secret}@a`,
    `https://:${secret}@a`,
    `https://ann:@a`,
    `https://ann:${secret}@b@a`,
    `https://ann:${secret}/x@a`,
    `https://ann:${secret}#x@a`,
    `https://ann:${secret}?x@a`,
    `https://ann:${secret}%@a`,
    `https://ann:${secret}%ff@a`,
    `https://ann:${secret}%00@a`,
    `https://an%3An:${secret}@a`,
    `https://ann:${secret}@2001:db8::1`,
    `https://ann:${secret}@a/path`,
    `https://ann:${secret}@a?x`,
    `https://ann:${secret}@a/{target_host}`,
    `https://ann:${secret}@a/{+target_host}/{target_port}`,
    `https://ann:${secret}@a/#pin`,
    `https://ann:${secret}@a/#pin=`,
    `https://ann:${secret}@a/#pin=sha256-abc`,
    `https://ann:${secret}@a/#pin=sha1-${pin.slice(7)}`,
    `https://ann:${secret}@a/#pins=${pin}`,
    `https://ann:${secret}@a/#${pin}`,
    `https://ann:${secret} @a`,
    `https://ann:${secret}\u00e9@a`,
  ]) {
    assert.throws(
      () => parseAccessLink(text),
      (error) => {
        assert.ok(error instanceof BautaError && error.code === 'ERR_LINK', text);
        assert.ok(!`${error.message} ${error.hint} ${error.stack} ${error.cause}`.includes(secret), text);
        return true;
      },
      text,
    );
  }
});

test('a link without its password, to show and to log', () => {
  const link = parseAccessLink(`https://ann:hunter2@a:4433/#pin=${pin}`);
  assert.equal(redactAccessLink(link), `https://ann:***@a:4433/#pin=${pin}`);
  assert.equal(redactAccessLink({ ...link, user: undefined }), `https://a:4433/#pin=${pin}`);
  assert.equal(redactLinks('dialling https://ann:hunter2@a:1 now'), 'dialling https://***@a:1 now');
  assert.equal(redactLinks('https://ann:hun/ter@2@a'), 'https://***@a');
  assert.equal(redactLinks('https://a:1/'), 'https://a:1/');
  assert.equal(redactLinks('me@home //x'), 'me@home //x');
  redactLinks('/'.repeat(100_000));
});

test('a round trip', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((part) => !/\p{Cc}/u.test(part));
  const link = fc.record({
    host: fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::1', '::1'), fc.domain()),
    port: fc.integer({ min: 1, max: 65_535 }),
    user: fc.option(fc.record({ name: text.filter((part) => !part.includes(':')), password: text }), {
      nil: undefined,
    }),
    pins: fc.uniqueArray(
      fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .map((bytes) => `sha256-${Buffer.from(bytes).toString('base64url')}`),
    ),
    template: fc.constantFrom(undefined, '/{target_host}/{target_port}', '/m{?target_port,target_host}'),
  });
  fc.assert(
    fc.property(link, (given) => {
      const written = formatAccessLink(given);
      assert.match(written, /^[\x21-\x7e]+$/);
      assert.deepEqual(parseAccessLink(written), { ...given, user: given.user && { ...given.user } });
      if (given.user && given.user.password.length > 8) {
        assert.ok(!redactAccessLink(given).includes(encodeURIComponent(given.user.password)));
      }
    }),
  );
});

test('any text throws nothing but ERR_LINK', () => {
  const part = fc.constantFrom(
    'https://',
    'a',
    ':',
    '@',
    '/',
    '#',
    'pin=',
    '{target_host}',
    '%',
    '[',
    ']',
    '1',
    '?',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(part).map((parts) => `https://${parts.join('')}`),
      ),
      (text) => {
        try {
          parseAccessLink(text);
        } catch (error) {
          assert.ok(error instanceof BautaError && error.code === 'ERR_LINK');
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
