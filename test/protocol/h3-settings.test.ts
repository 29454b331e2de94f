import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { H3Error, h3ErrorName } from '../../src/protocol/h3-error.js';
import {
  decodeH3Settings,
  defaultH3Settings,
  encodeH3Settings,
  type H3Settings,
  takesConnectProtocolBack,
} from '../../src/protocol/h3-settings.js';
import { hex, toHex } from './bytes.js';

const decode = (text: string): H3Settings => {
  const bytes = hex(text);
  return decodeH3Settings(bytes, 0, bytes.length);
};

const fails = (text: string, codeName: string): void => {
  assert.throws(
    () => decode(text),
    (error) => error instanceof H3Error && error.codeName === codeName && error.scope === 'connection',
    text,
  );
};

test('what is absent is at its default, what is unknown is ignored', () => {
  assert.deepEqual(decode(''), defaultH3Settings);
  assert.deepEqual(decode('21ff00000000000000 ffffffffffffffff00 ffffffffffffffff01'), defaultH3Settings);
  assert.deepEqual(decode('0644b0 0120 0703 0801 3301'), {
    qpackMaxTableCapacity: 32,
    qpackBlockedStreams: 3,
    maxFieldSectionSize: 1_200,
    enableConnectProtocol: true,
    h3Datagram: true,
  });
});

test('S4: SETTINGS_H3_DATAGRAM other than 0 and 1 is H3_SETTINGS_ERROR', () => {
  assert.equal(decode('3300').h3Datagram, false);
  assert.equal(decode('334001').h3Datagram, true);
  fails('3302', 'H3_SETTINGS_ERROR');
  fails('33ffffffffffffffff', 'H3_SETTINGS_ERROR');
});

test('S25: SETTINGS_ENABLE_CONNECT_PROTOCOL is 0 or 1, and never goes back', () => {
  assert.equal(decode('0800').enableConnectProtocol, false);
  assert.equal(decode('0801').enableConnectProtocol, true);
  fails('0802', 'H3_SETTINGS_ERROR');
  assert.deepEqual(
    [
      takesConnectProtocolBack(true, false),
      takesConnectProtocolBack(true, true),
      takesConnectProtocolBack(false, true),
    ],
    [true, false, false],
  );
});

test('reserved and repeated settings, and settings cut short', () => {
  for (const id of ['00', '02', '03', '04', '05']) fails(`${id}00`, 'H3_SETTINGS_ERROR');
  for (const text of ['3301 3301', '2100 2101', '0801 0800']) fails(text, 'H3_SETTINGS_ERROR');
  for (const text of ['33', '40', '3340', '3301 08']) fails(text, 'H3_FRAME_ERROR');
});

test('only what differs from the default is written', () => {
  assert.equal(toHex(encodeH3Settings({})), '');
  assert.equal(toHex(encodeH3Settings(defaultH3Settings)), '');
  assert.equal(
    toHex(encodeH3Settings({ h3Datagram: true, enableConnectProtocol: true, maxFieldSectionSize: 65_536 })),
    '068001000008013301',
  );
});

test('a round trip', () => {
  const settings = fc.record({
    qpackMaxTableCapacity: fc.maxSafeNat(),
    qpackBlockedStreams: fc.maxSafeNat(),
    maxFieldSectionSize: fc.oneof(fc.maxSafeNat(), fc.constant(Number.POSITIVE_INFINITY)),
    enableConnectProtocol: fc.boolean(),
    h3Datagram: fc.boolean(),
  });
  fc.assert(
    fc.property(settings, (given) => {
      const bytes = encodeH3Settings(given);
      assert.deepEqual(decodeH3Settings(bytes, 0, bytes.length), { ...given });
    }),
  );
});

test('random bytes throw nothing but H3Error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
      try {
        decodeH3Settings(bytes, 0, bytes.length);
      } catch (error) {
        assert.ok(error instanceof H3Error);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('error codes have their names', () => {
  assert.equal(h3ErrorName(0x33), 'H3_DATAGRAM_ERROR');
  assert.equal(h3ErrorName(0x202), 'QPACK_DECODER_STREAM_ERROR');
  assert.equal(h3ErrorName(0x1234), '0x1234');
  assert.equal(new H3Error('H3_ID_ERROR', 'x').code, 0x108);
});
