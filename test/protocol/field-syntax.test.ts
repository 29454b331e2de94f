import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFieldValue, isToken } from '../../src/protocol/field-syntax.js';

const characters = Array.from({ length: 300 }, (_, code) => String.fromCharCode(code));

test('a token has the characters of RFC 9110 section 5.6.2 and is not empty', () => {
  const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
  for (const character of characters) {
    for (const text of [character, `a${character}`, `${character}Z9`]) {
      assert.equal(isToken(text), token.test(text), JSON.stringify(text));
    }
  }
  assert.equal(isToken(''), false);
});

test('a field value has the characters of RFC 9110 section 5.5, and blanks only in between', () => {
  const value = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
  for (const character of characters) {
    for (const text of [character, `a${character}`, `${character}b`, `a${character}b`, `a ${character}\t`]) {
      assert.equal(isFieldValue(text), value.test(text), JSON.stringify(text));
    }
  }
  assert.equal(isFieldValue(''), true);
  assert.equal(isFieldValue('two words'), true);
});
