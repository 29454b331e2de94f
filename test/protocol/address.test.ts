import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cidrContains,
  formatAddress,
  formatCidr,
  parseAddress,
  parseCidr,
  parseIpv4,
  parseIpv6,
  unmapAddress,
} from '../../src/protocol/address.js';

const canonical = (text: string): string | undefined => {
  const address = parseAddress(text);
  return address && formatAddress(address);
};

test('only canonical dotted quads are IPv4 addresses', () => {
  assert.deepEqual(parseIpv4('192.0.2.255'), new Uint8Array([192, 0, 2, 255]));
  for (const text of [
    '',
    '1',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.',
    '.1.2.3.4',
    '1..3.4',
    ' 1.2.3.4',
    '1.2.3.4 ',
    '+1.2.3.4',
    '1.2.3.-4',
    '1e1.2.3.4',
    '\uff11\uff12\uff17.0.0.1',
    '1.2.3.4\n',
    '1.2.3.4/8',
    '١.2.3.4',
  ]) {
    assert.equal(parseIpv4(text), undefined, JSON.stringify(text));
  }
});

test('IPv6 in every legal spelling comes out as RFC 5952 has it', () => {
  const pairs: [string, string][] = [
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['2001:0DB8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['::ffff:102:304', '::ffff:1.2.3.4'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ];
  for (const [text, expected] of pairs) assert.equal(canonical(text), expected, text);
});

test('what is no IPv6 address', () => {
  for (const text of [
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1::',
    '1::2::3',
    '12345::',
    'g::',
    ':1',
    '1:',
    '::1.2.3',
    '::1.2.3.4:5',
    '1.2.3.4::',
    '::01.2.3.4',
    'fe80::1%eth0',
    '[::1]',
    '::1/128',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1 ',
    '\uff11::',
    '::00001',
  ]) {
    assert.equal(parseIpv6(text), undefined, JSON.stringify(text));
  }
});

test('the same addresses as the operating system takes, and a round trip', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.ipV4(), fc.ipV6(), fc.ipV4Extended(), fc.string(), fc.stringMatching(/^[0-9a-f:.]{2,20}$/)),
      (text) => {
        const address = parseAddress(text);
        assert.equal(
          address !== undefined,
          isIPv4(text) || isIPv6(text.split('%')[0] === text ? text : ''),
          text,
        );
        if (address) assert.deepEqual(parseAddress(formatAddress(address)), address);
      },
    ),
    { numRuns: 1_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      assert.deepEqual(parseIpv6(formatAddress({ version: 6, bytes })), bytes);
    }),
  );
});

test('mapped addresses are IPv4 addresses', () => {
  const mapped = parseAddress('::ffff:10.0.0.1');
  assert.ok(mapped);
  assert.deepEqual(unmapAddress(mapped), parseAddress('10.0.0.1'));
  const other = parseAddress('::10.0.0.1');
  assert.ok(other);
  assert.equal(unmapAddress(other), other);
});

test('ranges hold what is in them and nothing else', () => {
  const cases: [string, string[], string[]][] = [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255'], ['9.255.255.255', '11.0.0.0', '::ffff:10.0.0.1']],
    ['192.168.4.0/22', ['192.168.4.0', '192.168.7.255'], ['192.168.3.255', '192.168.8.0']],
    ['192.0.2.7', ['192.0.2.7'], ['192.0.2.6', '192.0.2.8']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255'], ['::']],
    ['fe80::/10', ['fe80::', 'febf:ffff::'], ['fec0::', 'fe7f::']],
    ['::1', ['::1'], ['::', '::2']],
    ['::/0', ['::', 'ffff::'], ['1.2.3.4']],
  ];
  for (const [range, inside, outside] of cases) {
    const cidr = parseCidr(range);
    assert.ok(cidr);
    for (const text of [...inside, ...outside]) {
      const address = parseAddress(text);
      assert.ok(address);
      assert.equal(cidrContains(cidr, address), inside.includes(text), `${text} in ${range}`);
    }
  }
});

test('ranges are written without the bits behind the prefix', () => {
  const written = (text: string): string | undefined => {
    const cidr = parseCidr(text);
    return cidr && formatCidr(cidr);
  };
  assert.equal(written('192.168.1.5/24'), '192.168.1.0/24');
  assert.equal(written('2001:db8::ffff/33'), '2001:db8::/33');
  assert.equal(written('1.2.3.4'), '1.2.3.4/32');
  for (const text of [
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '::/129',
    '10/8',
    '::/-1',
  ]) {
    assert.equal(written(text), undefined, text);
  }
});
