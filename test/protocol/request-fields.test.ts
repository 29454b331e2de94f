import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkCapsuleRequest, checkCapsuleResponse } from '../../src/protocol/capsule-message.js';
import { checkTrailers, contentLength } from '../../src/protocol/field-syntax.js';
import type { Fields } from '../../src/protocol/fields.js';
import { MalformedMessageError } from '../../src/protocol/malformed-message.js';
import type { RequestHead } from '../../src/protocol/request.js';
import { decodeRequest, encodeRequest } from '../../src/protocol/request-fields.js';
import { decodeResponse, encodeResponse } from '../../src/protocol/response-fields.js';

const malformed = (run: () => unknown, what: unknown): void => {
  assert.throws(run, (error) => error instanceof MalformedMessageError && error.status === 400, String(what));
};

const udp: Fields = [
  [':method', 'CONNECT'],
  [':protocol', 'connect-udp'],
  [':scheme', 'https'],
  [':authority', 'proxy.example'],
  [':path', '/.well-known/masque/udp/192.0.2.6/443/'],
];
const classic: Fields = [
  [':method', 'CONNECT'],
  [':authority', 'example.com:443'],
];
const get: Fields = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'example.com'],
  [':path', '/'],
];
const without = (lines: Fields, name: string): Fields => lines.filter(([key]) => key !== name);
const replaced = (lines: Fields, name: string, value: string): Fields =>
  lines.map((line) => (line[0] === name ? [name, value] : line));

test('the three kinds of request', () => {
  assert.deepEqual(decodeRequest([...udp, ['capsule-protocol', '?1']]), {
    kind: 'extended',
    protocol: 'connect-udp',
    scheme: 'https',
    authority: 'proxy.example',
    path: '/.well-known/masque/udp/192.0.2.6/443/',
    fields: [['capsule-protocol', '?1']],
  });
  assert.deepEqual(decodeRequest(classic), { kind: 'connect', authority: 'example.com:443', fields: [] });
  assert.deepEqual(decodeRequest(get), {
    kind: 'plain',
    method: 'GET',
    scheme: 'https',
    authority: 'example.com',
    path: '/',
    fields: [],
  });
});

test('pseudo-headers that are missing, doubled, unknown, late or out of place', () => {
  for (const name of [':method', ':scheme', ':authority', ':path']) {
    malformed(() => decodeRequest(without(udp, name)), name);
    malformed(() => decodeRequest(without(get, name)), name);
  }
  for (const line of [...udp, [':status', '200'], [':other', '1'], [':', '1'], [':Path', '/']] as Fields) {
    malformed(() => decodeRequest([...udp, line]), line);
  }
  malformed(() => decodeRequest([...classic, [':scheme', 'https']]), 'classic with scheme');
  malformed(() => decodeRequest([...classic, [':path', '/']]), 'classic with path');
  malformed(() => decodeRequest(without(classic, ':authority')), 'classic without authority');
  malformed(() => decodeRequest([...get, [':protocol', 'websocket']]), ':protocol with GET');
  malformed(() => decodeRequest([['accept', '*/*'], ...get]), 'after a field');
  malformed(() => decodeRequest([]), 'nothing');
});

test('values of pseudo-headers that are none', () => {
  const cases: [string, string[]][] = [
    [':method', ['', 'CON NECT', 'GET\r\n', 'G/T']],
    [':scheme', ['', '1', 'ht tp', 'https:']],
    [':authority', ['', 'a b', 'user@host', 'user:pw@host', 'h\u00f6st', 'a\tb', 'a"b', 'a#b']],
    [':path', ['', 'x', '*', '/a b', '/a#b', '/\u00e9', '/\x7f', ' /', '/\n']],
  ];
  for (const [name, given] of cases) {
    for (const value of given) malformed(() => decodeRequest(replaced(get, name, value)), `${name} ${value}`);
  }
  for (const value of ['', 'a b', '/', 'a/', 'a,b']) {
    malformed(() => decodeRequest(replaced(udp, ':protocol', value)), value);
  }
  assert.equal(decodeRequest(replaced(replaced(get, ':method', 'OPTIONS'), ':path', '*')).kind, 'plain');
});

test('Host stands for the authority and must not contradict it', () => {
  const fromHost = decodeRequest([...without(get, ':authority'), ['host', 'example.com'], ['accept', '*/*']]);
  assert.deepEqual([fromHost.authority, fromHost.fields], ['example.com', [['accept', '*/*']]]);
  assert.deepEqual(decodeRequest([...get, ['host', 'example.com']]).fields, []);
  malformed(() => decodeRequest([...get, ['host', 'other.example']]), 'differs');
  malformed(() => decodeRequest([...without(get, ':authority'), ['host', 'a'], ['host', 'b']]), 'two hosts');
  malformed(() => decodeRequest([...without(get, ':authority'), ['host', '']]), 'empty');
});

test('W11: connection-specific fields are refused, and never sent', () => {
  const fields: Fields = [
    ['connection', 'close'],
    ['keep-alive', '1'],
    ['proxy-connection', 'keep-alive'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'connect-udp'],
  ];
  for (const field of fields) {
    malformed(() => decodeRequest([...get, field]), field);
    malformed(() => decodeResponse([[':status', '200'], field]), field);
    malformed(() => checkTrailers([field]), field);
  }
  assert.deepEqual(encodeResponse({ status: 200, fields: [...fields, ['x', '1']] }), [
    [':status', '200'],
    ['x', '1'],
  ]);
  const head: RequestHead = {
    kind: 'connect',
    authority: 'a:1',
    fields: [...fields, ['host', 'a:1'], ['x', '1']],
  };
  assert.deepEqual(encodeRequest(head), [
    [':method', 'CONNECT'],
    [':authority', 'a:1'],
    ['x', '1'],
  ]);
});

test('TE is trailers or nothing', () => {
  assert.equal(decodeRequest([...get, ['te', 'trailers']]).fields.length, 1);
  malformed(() => decodeRequest([...get, ['te', 'gzip']]), 'gzip');
});

test('names and values with forbidden characters are neither taken nor sent', () => {
  for (const name of ['', 'A', 'Accept', 'a b', 'a:', 'a\0', 'a\r\n', 'caf\u00e9', 'a\x7f']) {
    malformed(() => decodeRequest([...get, [name, '1']]), name);
    malformed(() => encodeRequest({ kind: 'connect', authority: 'a:1', fields: [[name, '1']] }), name);
  }
  for (const value of ['a\0b', 'a\r\nb', 'a\nb', ' a', 'a ', '\ta', 'a\x7f', 'a\x01', '\u0100', ' ']) {
    malformed(
      () =>
        decodeResponse([
          [':status', '200'],
          ['x', value],
        ]),
      JSON.stringify(value),
    );
    malformed(() => encodeResponse({ status: 200, fields: [['x', value]] }), JSON.stringify(value));
  }
  for (const value of ['', 'a', 'a b', 'a\tb', '\u00e9\u00ff']) {
    assert.deepEqual(
      decodeResponse([
        [':status', '200'],
        ['x', value],
      ]).fields,
      [['x', value]],
    );
  }
});

test('nothing is smuggled through what is encoded', () => {
  const head: RequestHead = {
    kind: 'extended',
    protocol: 'connect-udp',
    scheme: 'https',
    authority: 'a',
    path: '/',
    fields: [],
  };
  for (const bad of ['a\r\nb', 'a\0', 'a b', '']) {
    malformed(() => encodeRequest({ ...head, path: bad }), bad);
    malformed(() => encodeRequest({ ...head, scheme: bad }), bad);
    if (bad !== '') malformed(() => encodeRequest({ ...head, authority: bad }), bad);
    malformed(
      () =>
        encodeRequest({ kind: 'plain', method: bad, scheme: 'https', authority: 'a', path: '/', fields: [] }),
      bad,
    );
  }
});

test('responses', () => {
  assert.deepEqual(
    decodeResponse([
      [':status', '200'],
      ['x', '1'],
    ]),
    { status: 200, fields: [['x', '1']] },
  );
  for (const status of ['', '20', '2000', '099', 'abc', '+20', '101']) {
    malformed(() => decodeResponse([[':status', status]]), status);
  }
  malformed(() => decodeResponse([]), 'nothing');
  malformed(
    () =>
      decodeResponse([
        [':status', '200'],
        [':status', '200'],
      ]),
    'twice',
  );
  malformed(
    () =>
      decodeResponse([
        [':status', '200'],
        [':path', '/'],
      ]),
    'request pseudo-header',
  );
  malformed(
    () =>
      decodeResponse([
        ['x', '1'],
        [':status', '200'],
      ]),
    'late',
  );
  malformed(() => encodeResponse({ status: 101, fields: [] }), '101');
});

test('trailers have no pseudo-headers', () => {
  checkTrailers([['x', '1']]);
  malformed(() => checkTrailers([[':path', '/']]), ':path');
});

test('Content-Length is one number', () => {
  assert.equal(contentLength([]), undefined);
  assert.equal(contentLength([['content-length', '10']]), 10);
  assert.equal(
    contentLength([
      ['content-length', '10, 10'],
      ['content-length', '10'],
    ]),
    10,
  );
  for (const value of ['', '-1', '1.0', '1,2', '1e3', '99999999999999999999', '0x1', ',']) {
    malformed(() => contentLength([['content-length', value]]), value);
  }
});

test('S5: Content-Length, Content-Type, Transfer-Encoding, 204, 205 and 206 on a message of capsules are malformed', () => {
  for (const name of ['content-length', 'content-type', 'transfer-encoding']) {
    malformed(() => checkCapsuleRequest([[name, '0']]), name);
    malformed(() => checkCapsuleResponse({ status: 200, fields: [[name, '0']] }), name);
    malformed(() => checkCapsuleResponse({ status: 101, fields: [[name, '0']] }), name);
    checkCapsuleResponse({ status: 403, fields: [[name, '0']] });
  }
  for (const status of [204, 205, 206]) malformed(() => checkCapsuleResponse({ status, fields: [] }), status);
  checkCapsuleRequest([['capsule-protocol', '?1']]);
  checkCapsuleResponse({ status: 200, fields: [['capsule-protocol', '?1']] });
});

const fieldName = fc
  .stringMatching(/^[a-z][a-z0-9-]{0,12}$/)
  .filter((name) => !['host', 'te', 'connection', 'upgrade'].includes(name));
const fieldValue = fc.stringMatching(/^[\x21-\x7e]([\t -~]{0,20}[\x21-\x7e])?$/);
const fields = fc.array(fc.tuple(fieldName, fieldValue));
const path = fc.stringMatching(/^\/[A-Za-z0-9/?=&%._~-]{0,30}$/);
const head: fc.Arbitrary<RequestHead> = fc.oneof(
  fc.record({ kind: fc.constant('connect' as const), authority: fc.constant('example.com:443'), fields }),
  fc.record({
    kind: fc.constant('extended' as const),
    protocol: fc.constantFrom('connect-udp', 'connect-tcp-07', 'websocket'),
    scheme: fc.constantFrom('http', 'https'),
    authority: fc.domain(),
    path,
    fields,
  }),
  fc.record({
    kind: fc.constant('plain' as const),
    method: fc.constantFrom('GET', 'HEAD', 'POST'),
    scheme: fc.constantFrom('http', 'https'),
    authority: fc.domain(),
    path,
    fields,
  }),
);

test('a round trip of requests and responses', () => {
  fc.assert(
    fc.property(head, (given) => {
      assert.deepEqual(decodeRequest(encodeRequest(given)), { ...given });
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 102, max: 599 }), fields, (status, given) => {
      assert.deepEqual(decodeResponse(encodeResponse({ status, fields: given })), { status, fields: given });
    }),
  );
});

test('any lines throw nothing but MalformedMessageError', () => {
  const name = fc.oneof(
    fc.constantFrom(':method', ':scheme', ':authority', ':path', ':protocol', ':status', 'host'),
    fc.string(),
  );
  const value = fc.oneof(fc.constantFrom('CONNECT', 'https', '/', 'a', '200'), fc.string());
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), (lines) => {
      for (const run of [decodeRequest, decodeResponse, checkTrailers]) {
        try {
          run(lines);
        } catch (error) {
          if (!(error instanceof MalformedMessageError)) throw error;
        }
      }
    }),
    { numRuns: 1_000 },
  );
});
