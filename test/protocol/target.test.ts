import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { formatTarget, makeTarget, parseTarget, type Target } from '../../src/protocol/target.js';

const refused = (run: () => Target, what: string): void => {
  assert.throws(run, (error) => error instanceof BautaError && error.code === 'ERR_TARGET_SYNTAX', what);
};

const summary = ({ kind, host, port }: Target): string => `${kind} ${host} ${port}`;

test('S9: targets as a template gives them', () => {
  assert.equal(summary(makeTarget('192.0.2.6', '443')), 'ipv4 192.0.2.6 443');
  assert.equal(summary(makeTarget('2001:DB8::42', '53')), 'ipv6 2001:db8::42 53');
  assert.equal(summary(makeTarget('Example.COM.', 65_535)), 'name example.com 65535');
  assert.equal(summary(makeTarget('_dns.resolver-1.test', '1')), 'name _dns.resolver-1.test 1');
});

test('S9: an empty host, a zone id, and ports outside 1 to 65535 are refused', () => {
  for (const host of ['', 'fe80::1%eth0', 'fe80::1%25eth0', '[::1]', ':', '::1::', 'a:b', '192.0.2.6:80']) {
    refused(() => makeTarget(host, '443'), host);
  }
  for (const port of [
    '',
    '0',
    '65536',
    '-1',
    '+1',
    '080',
    '1e3',
    ' 80',
    '80 ',
    '8.0',
    '0x50',
    '99999',
    '\uff18\uff10',
  ]) {
    refused(() => makeTarget('example.com', port), port);
  }
});

test('what is no host name', () => {
  for (const host of [
    '.',
    'a..b',
    '.a',
    'a b',
    'a\tb',
    'a\r\nb',
    'a/b',
    'a?b',
    'a#b',
    'user@host',
    '-a.b',
    'a-.b',
    'a\0b',
    'a,b',
    '*',
    `${'a'.repeat(64)}.test`,
    `${'abcdefg.'.repeat(32)}test`,
    'a\u00adb/',
    '\ud800',
    '127.0.0.1\u00ad',
  ]) {
    refused(() => makeTarget(host, 80), JSON.stringify(host));
  }
});

test('spellings that some resolvers take for an IPv4 address are names, and say so', () => {
  for (const host of [
    '127.1',
    '0x7f.1',
    '0177.0.0.1',
    '2130706433',
    '0x7f000001',
    '127.0.0.01',
    '1.2.3.4.5',
    '1.2.3.256',
    'a.1',
    'a.0x',
  ]) {
    const target = makeTarget(host, 80);
    assert.deepEqual([target.kind, target.disguisedAddress], ['name', true], host);
  }
  for (const host of ['1.2.3.4', '::1']) assert.equal(makeTarget(host, 80).disguisedAddress, false);
  for (const host of ['a1', '1a.test', '0xg', 'localhost', '1.test']) {
    assert.deepEqual(makeTarget(host, 80).disguisedAddress, false, host);
  }
});

test('digits of other scripts are refused rather than read', () => {
  for (const host of [
    '\uff11\uff12\uff17.0.0.1',
    '127\u30020\u30020\u30021',
    '127.0.0.\u2460',
    '127.0.0.\u00ad1',
    '\uff10x7f.1',
  ]) {
    refused(() => makeTarget(host, 80), host);
  }
});

test('names in other letters become A-labels', () => {
  assert.equal(makeTarget('M\u00fcnchen.example', 80).host, 'xn--mnchen-3ya.example');
  assert.equal(makeTarget('\u4f8b\u3048\u3002\u30c6\u30b9\u30c8', 80).host, 'xn--r8jz45g.xn--zckzah');
});

test('targets as people write them', () => {
  const pairs: [string, string][] = [
    ['example.com:443', 'name example.com 443'],
    ['192.0.2.6:80', 'ipv4 192.0.2.6 80'],
    ['[2001:db8::1]:8080', 'ipv6 2001:db8::1 8080'],
    ['[::FFFF:1.2.3.4]:1', 'ipv6 ::ffff:1.2.3.4 1'],
  ];
  for (const [text, expected] of pairs) assert.equal(summary(parseTarget(text)), expected);
  assert.equal(summary(parseTarget('example.com', 443)), 'name example.com 443');
  assert.equal(summary(parseTarget('[::1]', 443)), 'ipv6 ::1 443');
  for (const text of [
    '',
    ':443',
    'example.com',
    'example.com:',
    '2001:db8::1',
    '2001:db8::1:80',
    '[::1]',
    '[::1]80',
    '[192.0.2.6]:80',
    '[]:80',
    '[::1%lo]:80',
    'a:b:c',
    'http://a:80',
    '[::1:80',
    '::1]:80',
  ]) {
    refused(() => parseTarget(text), text);
  }
});

test('a round trip through the text', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), (name, port) => {
      const target = makeTarget(name, port);
      assert.deepEqual(parseTarget(formatTarget(target)), target);
    }),
  );
});

test('any text throws nothing but BautaError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' })), (text) => {
      for (const run of [
        () => parseTarget(text, 1),
        () => makeTarget(text, 1),
        () => makeTarget('a', text),
      ]) {
        try {
          const { host, kind } = run();
          assert.match(host, /^[\x21-\x7e]+$/);
          assert.ok(kind !== 'name' || !/[:%[\]/?#@\\]/.test(host));
        } catch (error) {
          if (!(error instanceof BautaError)) throw error;
        }
      }
    }),
    { numRuns: 1_000 },
  );
});
