import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  readSocks5Address,
  readSocks5DatagramHead,
  readSocks5Greeting,
  readSocks5Login,
  readSocks5Request,
  type Socks5Read,
  socks4Refusal,
  socks5Choice,
  socks5LoginAnswer,
  socks5Reply,
} from '../../src/protocol/socks5.js';

type Reader<T> = (bytes: Uint8Array, start: number, end: number) => Socks5Read<T>;

/** Reads hex that lies somewhere in a larger buffer. */
function read<T>(reader: Reader<T>, hex: string): Socks5Read<T> {
  const message = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  const bytes = Buffer.concat([Buffer.alloc(3, 0xee), message, Buffer.alloc(5, 0xee)]);
  const result = reader(bytes, 3, 3 + message.length);
  return result.kind === 'message' ? { ...result, end: result.end - 3 } : result;
}

/** Each beginning of the message is incomplete, and what follows it is left alone. */
function whole<T>(reader: Reader<T>, hex: string, message: T): void {
  const bytes = hex.replaceAll(' ', '');
  for (let cut = 0; cut < bytes.length; cut += 2) {
    assert.equal(read(reader, bytes.slice(0, cut)).kind, 'incomplete', `after ${cut / 2} bytes`);
  }
  const end = bytes.length / 2;
  assert.deepEqual(read(reader, bytes), { kind: 'message', message, end });
  assert.deepEqual(read(reader, `${bytes}ffff`), { kind: 'message', message, end });
}

const hexOf = (text: string): string => Buffer.from(text).toString('hex');

test('the greeting lists methods (RFC 1928 section 3)', () => {
  whole(readSocks5Greeting, '05 01 00', [0]);
  whole(readSocks5Greeting, '05 03 00 01 02', [0, 1, 2]);
  whole(readSocks5Greeting, '05 00', []);
  assert.equal(read(readSocks5Greeting, '04 01').kind, 'malformed');
  assert.equal(read(readSocks5Greeting, hexOf('GET')).kind, 'malformed');
});

test('name and password (RFC 1929 section 2)', () => {
  whole(readSocks5Login, `01 02 ${hexOf('me')} 03 ${hexOf('abc')}`, { name: 'me', password: 'abc' });
  whole(readSocks5Login, `01 03 ${hexOf('mä')} 00`, { name: 'mä', password: '' });
  whole(readSocks5Login, `01 ff ${'61'.repeat(255)} ff ${'62'.repeat(255)}`, {
    name: 'a'.repeat(255),
    password: 'b'.repeat(255),
  });
  assert.equal(read(readSocks5Login, '05 01 61 01 62').kind, 'malformed');
  assert.equal(read(readSocks5Login, '01 01 0a 01 62').kind, 'malformed');
});

test('a request names a command and an address of three types (RFC 1928 sections 4 and 5)', () => {
  const address = (host: string, port: number) => ({ command: 'connect' as const, address: { host, port } });
  whole(readSocks5Request, '05 01 00 01 c0 00 02 01 01 bb', address('192.0.2.1', 443));
  whole(readSocks5Request, `05 01 00 03 09 ${hexOf('a.example')} 00 50`, address('a.example', 80));
  whole(readSocks5Request, `05 01 00 03 00 00 50`, address('', 80));
  whole(
    readSocks5Request,
    '05 01 00 04 2001 0db8 0000 0000 0000 0000 0000 0001 ff ff',
    address('2001:db8::1', 65_535),
  );
  whole(readSocks5Request, '05 02 00 01 7f 00 00 01 00 01', {
    command: 'bind',
    address: { host: '127.0.0.1', port: 1 },
  });
  whole(readSocks5Request, '05 03 00 01 00 00 00 00 00 00', {
    command: 'udp-associate',
    address: { host: '0.0.0.0', port: 0 },
  });
});

test('an unknown command or type of address is told as such, another version is malformed', () => {
  whole(readSocks5Request, '05 09 00 01 7f 00 00 01 00 01', {
    command: undefined,
    address: { host: '127.0.0.1', port: 1 },
  });
  whole(readSocks5Request, '05 01 00 02', { command: 'connect', address: undefined });
  assert.equal(read(readSocks5Request, '04 01 00 01').kind, 'malformed');
});

test('the head of a datagram (RFC 1928 section 7)', () => {
  const head = (hex: string) => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    const found = readSocks5DatagramHead(bytes, 0, bytes.length);
    return (
      found && [
        found.fragment,
        readSocks5Address(bytes, found.addressStart, found.payloadStart),
        bytes.subarray(found.payloadStart).toString('latin1'),
      ]
    );
  };
  assert.deepEqual(head(`0000 00 01 c0000201 0035 ${hexOf('hi')}`), [
    0,
    { host: '192.0.2.1', port: 53 },
    'hi',
  ]);
  assert.deepEqual(head(`0000 07 03 01 61 0035`), [7, { host: 'a', port: 53 }, '']);
  assert.deepEqual(head(`0000 00 04 ${'0'.repeat(31)}1 0035 ff`), [0, { host: '::1', port: 53 }, '\xff']);
  for (const bad of ['', '0000', '0000 00', '0000 00 05 00', '0000 00 01 c00002', '0000 00 03 05 61 0035']) {
    assert.equal(head(bad), undefined, bad);
  }
});

test('answers', () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  assert.equal(hex(socks5Choice(2)), '0502');
  assert.equal(hex(socks5LoginAnswer(true)), '0100');
  assert.equal(hex(socks5LoginAnswer(false)), '0101');
  assert.equal(hex(socks5Reply(5)), '05050001000000000000');
  assert.equal(hex(socks5Reply(0, { host: '127.0.0.1', port: 4660 })), '050000017f0000011234');
  assert.equal(hex(socks5Reply(0, { host: '::1', port: 1 })), `05000004${'0'.repeat(31)}10001`);
  assert.equal(hex(socks4Refusal()), '005b000000000000');
  assert.throws(() => socks5Reply(0, { host: 'name', port: 1 }), RangeError);
});

test('any bytes: no reader throws, or ends outside of what it was given', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.constantFrom(1, 4, 5), (bytes, first) => {
      bytes[0] = first;
      for (const reader of [readSocks5Greeting, readSocks5Login, readSocks5Request]) {
        const result = reader(bytes, 0, bytes.length);
        if (result.kind === 'message') assert.ok(result.end <= bytes.length);
      }
      const head = readSocks5DatagramHead(bytes, 0, bytes.length);
      if (head) assert.ok(head.payloadStart <= bytes.length);
    }),
  );
});
