import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Fields } from '../../src/protocol/fields.js';
import { askPlain, type Origin, rawConnection, startOrigin } from './plain-request.js';
import { createDialler, startProxy } from './real-proxy.js';
import { startTcpTarget, until } from './tcp-target.js';

const options = { timeout: 120_000 };

interface Seen extends Origin {
  readonly paths: string[];
}

async function recordingOrigin(): Promise<Seen> {
  const paths: string[] = [];
  const origin = await startOrigin((request, response) => {
    paths.push(request.url ?? '');
    request.resume();
    request.on('end', () => response.end('ok'));
  });
  return Object.assign(origin, { paths });
}

/** Framing that two parsers may read in two ways; AUTHORITY stands for the origin's. */
const ambiguous: readonly (readonly [name: string, text: string])[] = [
  [
    'Content-Length and Transfer-Encoding',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://AUTHORITY/smuggled HTTP/1.1\r\nHost: AUTHORITY\r\n\r\n',
  ],
  [
    'two Content-Lengths that differ',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde',
  ],
  [
    'a list as Content-Length',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nContent-Length: 4, 5\r\n\r\nabcde',
  ],
  [
    'a Content-Length with a sign',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nContent-Length: +4\r\n\r\nabcd',
  ],
  [
    'a Transfer-Encoding that is not chunked',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'a Transfer-Encoding whose last coding is not chunked',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
  ],
  [
    'two Transfer-Encodings',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n',
  ],
  [
    'a chunk size that is none',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nTransfer-Encoding: chunked\r\n\r\n4x\r\nabcd\r\n0\r\n\r\n',
  ],
  [
    'a chunk size beyond 64 bits',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000004\r\nabcd\r\n0\r\n\r\n',
  ],
  [
    'a folded line',
    'GET http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nX-Folded: one\r\n two\r\nTransfer-Encoding:\r\n chunked\r\n\r\n',
  ],
  [
    'a bare carriage return in a value',
    'GET http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nX-A: one\rX-B: two\r\n\r\n',
  ],
  ['a NUL in a value', 'GET http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nX-A: one\0two\r\n\r\n'],
  [
    'a blank before the colon',
    'POST http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nContent-Length : 4\r\n\r\nabcd',
  ],
  ['two Hosts', 'GET http://AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\nHost: other.test\r\n\r\n'],
  ['no Host', 'GET http://AUTHORITY/ HTTP/1.1\r\n\r\n'],
  ['a blank in the target', 'GET http://AUTHORITY/a b HTTP/1.1\r\nHost: AUTHORITY\r\n\r\n'],
  ['user information in the target', 'GET http://user:pw@AUTHORITY/ HTTP/1.1\r\nHost: AUTHORITY\r\n\r\n'],
  ['a version that there is not', 'GET http://AUTHORITY/ HTTP/1.2\r\nHost: AUTHORITY\r\n\r\n'],
];

describe('requests that could be read in two ways', { ...options, timeout: 600_000 }, () => {
  for (const [name, text] of ambiguous) {
    test(`${name}: 400, and nothing of it reaches the origin`, options, async () => {
      const origin = await recordingOrigin();
      const { proxy } = await startProxy();
      const raw = await rawConnection(proxy);
      raw.write(text.replaceAll('AUTHORITY', origin.authority));
      await until(() => raw.closed || raw.received().includes('\r\n\r\n'), 'the refusal');
      const [line = ''] = raw.received().split('\r\n');
      assert.match(line, /^(?:HTTP\/1\.1 400 Bad Request)?$/);
      // Whatever came behind it is not taken for a request either.
      raw.write(`GET http://${origin.authority}/next HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`);
      await until(() => raw.closed || raw.received().split('HTTP/1.1 ').length > 2, 'the end');
      assert.ok(!origin.paths.includes('/smuggled'));
      assert.ok(
        origin.paths.every((path) => path === '/next'),
        origin.paths.join(),
      );
    });
  }

  test(
    'bare line feeds are refused or read as the origin would read them, never in two ways',
    options,
    async () => {
      const origin = await recordingOrigin();
      const { proxy } = await startProxy();
      const raw = await rawConnection(proxy);
      raw.write(
        `GET http://${origin.authority}/one HTTP/1.1\nHost: ${origin.authority}\n\nGET /two HTTP/1.1\n\n`,
      );
      await until(() => raw.closed || raw.received().includes('\r\n\r\n'), 'an answer');
      assert.ok(
        origin.paths.every((path) => path === '/one'),
        origin.paths.join(),
      );
    },
  );

  test('the Host of an absolute form is the target, whatever Host says', options, async () => {
    const hosts: (string | undefined)[] = [];
    const origin = await startOrigin((request, response) => {
      hosts.push(request.headers.host);
      response.end();
    });
    const { proxy } = await startProxy();
    const raw = await rawConnection(proxy);
    raw.write(`GET http://${origin.authority}/ HTTP/1.1\r\nHost: other.test\r\n\r\n`);
    await until(() => raw.received().includes('\r\n\r\n'), 'the answer');
    assert.deepEqual(hosts, [origin.authority]);
  });

  test('fields that Connection names are of this connection only', options, async () => {
    const names: string[] = [];
    const origin = await startOrigin((request, response) => {
      names.push(...Object.keys(request.headers));
      response.end();
    });
    const { proxy } = await startProxy();
    const raw = await rawConnection(proxy);
    const fields = [
      'Connection: keep-alive, X-Mine',
      'X-Mine: 1',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'TE: trailers',
      'Upgrade: websocket',
      'X-Kept: 1',
    ];
    raw.write(
      `GET http://${origin.authority}/ HTTP/1.1\r\nHost: ${origin.authority}\r\n${fields.join('\r\n')}\r\n\r\n`,
    );
    await until(() => raw.received().includes('\r\n\r\n'), 'the answer');
    assert.ok(names.includes('x-kept'));
    for (const name of ['x-mine', 'keep-alive', 'proxy-connection', 'te', 'upgrade']) {
      assert.ok(!names.includes(name), name);
    }
  });

  for (const version of ['h3', 'h2'] as const) {
    const lengths: readonly (readonly [name: string, fields: Fields])[] = [
      ['shorter than its content', [['content-length', '2']]],
      ['longer than its content', [['content-length', '50']]],
      ['no number', [['content-length', '5x']]],
      [
        'said twice',
        [
          ['content-length', '5'],
          ['content-length', '6'],
        ],
      ],
    ];
    for (const [name, fields] of lengths) {
      test(`over ${version} a length that is ${name}`, options, async () => {
        const complete: string[] = [];
        const origin = await startOrigin((request, response) => {
          request.resume();
          request.on('end', () => {
            if (request.complete) complete.push(request.url ?? '');
            response.end();
          });
        });
        const { proxy } = await startProxy();
        const connection = await createDialler().dial(version, proxy);
        let refused = false;
        try {
          const answer = await askPlain(connection, {
            method: 'POST',
            authority: origin.authority,
            content: 'hello',
            fields,
          }).done();
          refused = answer.outcome?.kind !== 'ended' || answer.head?.status === 400;
        } catch {
          // The client's own side does not send such a thing.
          refused = true;
        }
        assert.ok(refused);
        assert.deepEqual(complete, []);
        await connection.close();
      });
    }
  }
});

describe('a refused CONNECT on HTTP/1.1', { ...options, timeout: 600_000 }, () => {
  for (const [name, head] of [
    ['without credentials', 'CONNECT 127.0.0.1:TARGET HTTP/1.1\r\nHost: 127.0.0.1:TARGET\r\n\r\n'],
    ['that is malformed', 'CONNECT user@127.0.0.1:TARGET HTTP/1.1\r\nHost: 127.0.0.1:TARGET\r\n\r\n'],
  ] as const) {
    test(`S24, W7: ${name} is closed, and what comes behind it is no request`, options, async () => {
      const origin = await recordingOrigin();
      const target = await startTcpTarget();
      const { proxy, events } = await startProxy({ authenticate: async () => null });
      const raw = await rawConnection(proxy);
      const behind = `GET http://${origin.authority}/behind HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`;
      raw.write(head.replaceAll('TARGET', String(target.port)) + behind);
      await until(() => raw.closed, 'the close');
      assert.equal(raw.received().split('HTTP/1.1 ').length, 2, 'one answer and no more');
      assert.match(raw.received(), /^HTTP\/1\.1 40[07] .*\r\n(?:.*\r\n)*?connection: close\r\n/i);
      assert.deepEqual(origin.paths, []);
      assert.equal(target.sides.length, 0);
      const refusals = events.filter(({ event }) => event === 'request-refused');
      assert.ok(refusals.length <= 1);
    });
  }

  test('a client that asks again with its password on a new connection gets through', options, async () => {
    const target = await startTcpTarget(({ socket }) => socket.end('hello'));
    const { proxy } = await startProxy({
      authenticate: async (credential) =>
        credential.scheme === 'basic' && credential.password === 'secret' ? { name: credential.name } : null,
    });
    const line = `CONNECT 127.0.0.1:${target.port} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\n`;
    const first = await rawConnection(proxy);
    first.write(`${line}\r\n`);
    await until(() => first.closed, 'the close');
    assert.match(first.received(), /^HTTP\/1\.1 407 [\s\S]*proxy-authenticate: Basic realm=/i);
    const second = await rawConnection(proxy);
    second.write(`${line}Proxy-Authorization: Basic ${Buffer.from('ada:secret').toString('base64')}\r\n\r\n`);
    await until(() => second.received().endsWith('hello'), 'the bytes of the target');
    assert.match(second.received(), /^HTTP\/1\.1 200 /);
  });
});
