import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatProxyStatus,
  nextHopOf,
  type ProxyStatus,
  parseProxyStatus,
} from '../../src/protocol/proxy-status.js';

test('S27: error, next-hop, next-protocol, received-status, details, rcode and info-code', () => {
  assert.equal(
    formatProxyStatus({
      name: 'proxy',
      error: 'dns_error',
      rcode: 'NXDOMAIN',
      infoCode: 9,
      details: 'no such name',
    }),
    'proxy;error=dns_error;rcode="NXDOMAIN";info-code=9;details="no such name"',
  );
  assert.equal(
    formatProxyStatus({ name: 'proxy.example', nextProtocol: 'h3', receivedStatus: 503 }),
    'proxy.example;next-protocol=h3;received-status=503',
  );
  assert.equal(formatProxyStatus({ name: 'p', nextProtocol: '3x\u00e9' }), 'p;next-protocol=:M3jp:');
  assert.equal(formatProxyStatus({ name: '10.0.0.1' }), '"10.0.0.1"');
  assert.equal(formatProxyStatus({ name: 'near' }, { name: 'far' }), 'near, far');
});

test('W2: next-hop is a String with address and port, error a Token', () => {
  assert.equal(
    formatProxyStatus({ name: 'proxy', nextHop: '192.0.2.6:443' }),
    'proxy;next-hop="192.0.2.6:443"',
  );
  assert.equal(
    formatProxyStatus({ name: 'proxy', nextHop: '[2001:db8::1]:53' }),
    'proxy;next-hop="[2001:db8::1]:53"',
  );
  assert.equal(formatProxyStatus({ name: 'proxy', nextHop: 'host' }), 'proxy;next-hop="host"');
});

test('S27: unknown parameters and those of a wrong type are ignored', () => {
  assert.deepEqual(
    parseProxyStatus(
      'a;error=connection_refused;future=1;x="y", "b c";received-status="200";info-code=1.5;error=7',
    ),
    [{ name: 'a', error: 'connection_refused' }, { name: 'b c' }],
  );
  assert.deepEqual(parseProxyStatus('a; error="dns_error"; next-hop=host'), [
    { name: 'a', error: 'dns_error', nextHop: 'host' },
  ]);
  assert.deepEqual(parseProxyStatus('(a b);error=x, 7;error=y, c'), [{ name: 'c' }]);
  assert.deepEqual(parseProxyStatus('a;next-protocol=:M3jp:'), [{ name: 'a', nextProtocol: '3x\u00e9' }]);
});

test('a field that is no list has no members', () => {
  for (const field of ['', 'a b', 'a;', ',', 'a,', ';error=x', '\u00e9', 'a;error=', '"']) {
    assert.deepEqual(parseProxyStatus(field), [], field);
  }
});

test('the address that was dialled', () => {
  assert.equal(
    nextHopOf('origin-side;next-hop="192.0.2.6:443", user-side;next-hop="10.0.0.1:4433"'),
    '192.0.2.6:443',
  );
  assert.equal(nextHopOf('a, b;next-hop="[::1]:1"'), '[::1]:1');
  assert.equal(nextHopOf('a'), undefined);
});

test('details with any characters cannot break out of the field', () => {
  const value = formatProxyStatus({ name: 'a,b\r\n', details: 'x"\\\r\ny: z\u00e9\0' });
  assert.match(value, /^[\x20-\x7e]*$/);
  assert.deepEqual(parseProxyStatus(value), [{ name: 'a,b??', details: 'x"\\??y: z??' }]);
});

test('a round trip', () => {
  const text = fc.stringMatching(/^[\x20-\x7e]{1,20}$/);
  const status: fc.Arbitrary<ProxyStatus> = fc.record(
    {
      name: text,
      error: fc.constantFrom('dns_error', 'connection_refused', 'http_request_denied'),
      nextHop: text,
      nextProtocol: fc.stringMatching(/^[\x20-\xff]{1,10}$/),
      receivedStatus: fc.integer({ min: 100, max: 599 }),
      details: text,
      rcode: text,
      infoCode: fc.nat(65_535),
    },
    { requiredKeys: ['name'] },
  );
  fc.assert(
    fc.property(fc.array(status, { minLength: 1, maxLength: 4 }), (members) => {
      assert.deepEqual(
        parseProxyStatus(formatProxyStatus(...members)),
        members.map((member) => ({ ...member })),
      );
    }),
  );
});

test('any text is read without an exception', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseProxyStatus(text)));
});
