import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  booleanField,
  capsuleProtocolField,
  saysCapsuleProtocol,
} from '../../src/protocol/capsule-protocol.js';

const says = (...values: string[]): boolean =>
  saysCapsuleProtocol(values.map((value) => ['capsule-protocol', value] as const));

test('S7: a Capsule-Protocol that is no Boolean, or is sent twice, counts as absent', () => {
  assert.equal(saysCapsuleProtocol([capsuleProtocolField]), true);
  assert.equal(says(), false);
  assert.equal(says('?0'), false);
  for (const value of ['', '1', 'true', '"?1"', '?2', '?', '?1, ?1', '(?1)', ':Pw==:', '1.0', '@1', '?1x']) {
    assert.equal(says(value), false, value);
  }
  assert.equal(says('?1', '?1'), false);
});

test('S7: parameters are ignored', () => {
  assert.equal(says('?1;a=1;b'), true);
  assert.equal(says(' ?1 '), true);
});

test('any other value is undefined', () => {
  assert.equal(booleanField([['connect-udp-bind', '?0']], 'connect-udp-bind'), false);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const value = booleanField([['x', text]], 'x');
      assert.ok(value === undefined || /^ *\?[01]/.test(text));
    }),
  );
});
