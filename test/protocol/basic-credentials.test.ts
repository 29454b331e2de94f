import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBasicCredentials, parseBasicCredentials } from '../../src/protocol/basic-credentials.js';

test('the examples of RFC 7617', () => {
  const aladdin = { name: 'Aladdin', password: 'open sesame' };
  assert.equal(formatBasicCredentials(aladdin), 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==');
  assert.deepEqual(parseBasicCredentials('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='), aladdin);
  assert.deepEqual(parseBasicCredentials('bAsIc  dGVzdDoxMjPCow=='), { name: 'test', password: '123\u00a3' });
});

test('a colon belongs to the password, empty parts are parts', () => {
  assert.deepEqual(parseBasicCredentials(`Basic ${btoa('a:b:c')}`), { name: 'a', password: 'b:c' });
  assert.deepEqual(parseBasicCredentials(`Basic ${btoa(':')}`), { name: '', password: '' });
});

test('what is none', () => {
  for (const value of [
    '',
    'Basic',
    'Basic ',
    'Bearer YTpi',
    'BasicYTpi',
    'Basic YTpi x',
    'Basic Y!Tpi',
    ' Basic YTpi',
    `Basic ${btoa('no colon')}`,
    `Basic ${btoa('a:\xff')}`,
    `Basic ${btoa('a:b\0')}`,
    `Basic ${btoa('a\n:b')}`,
  ]) {
    assert.equal(parseBasicCredentials(value), undefined, value);
  }
});

test('what cannot be sent', () => {
  for (const [name, password] of [
    ['a:b', 'c'],
    ['a\0', 'c'],
    ['a', 'c\n'],
  ] as const) {
    assert.throws(() => formatBasicCredentials({ name, password }), RangeError);
  }
});

test('a round trip', () => {
  const text = fc.string({ unit: 'grapheme' });
  fc.assert(
    fc.property(text, text, (name, password) => {
      fc.pre(!/[\p{Cc}:]/u.test(name) && !/\p{Cc}/u.test(password));
      assert.deepEqual(parseBasicCredentials(formatBasicCredentials({ name, password })), { name, password });
    }),
  );
});
