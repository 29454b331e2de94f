import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { echo, send, serve } from '../tcp/peers.js';
import { textClient, upgradeText } from '../tcp/text-client.js';

const limit = { timeout: 120_000 };
const refuse = (status: number, content = 'no'): Parameters<typeof serve>[1] => {
  return (stream, seen) => {
    seen.data = () => undefined;
    stream.respond({ status, fields: [] });
    send(stream, content);
    stream.end();
  };
};

test('S11: an upgrade is answered with 101 and carries bytes', limit, async (t) => {
  const served = await serve(t, echo);
  const client = await textClient(t, served.listener.localAddress);
  client.send(upgradeText('Capsule-Protocol: ?1\r\n', 'Connect-UDP'));
  const head = await client.until((text) => text.includes('\r\n\r\n'));
  assert.match(head, /^HTTP\/1\.1 101 /);
  assert.match(head, /\r\nconnection: Upgrade\r\n/i);
  assert.match(head, /\r\nupgrade: Connect-UDP\r\n/i);
  assert.doesNotMatch(head, /content-length|transfer-encoding/i);
  client.send('bytes');
  await client.until((text) => text.endsWith('bytes'));
  assert.deepEqual(served.streams[0]?.stream.request, {
    kind: 'extended',
    protocol: 'connect-udp',
    scheme: 'https',
    authority: 'localhost',
    path: '/.well-known/masque/udp/192.0.2.1/443/',
    fields: [['capsule-protocol', '?1']],
  });
});

test('a tunnel that has ended is no stream of its connection any more', limit, async (t) => {
  const served = await serve(t, echo);
  const client = await textClient(t, served.listener.localAddress);
  client.send(upgradeText());
  await client.until((text) => text.includes('101'));
  const [connection] = served.connections;
  assert.equal(connection?.streams, 1);
  client.socket.end();
  assert.deepEqual(await served.streams[0]?.stream.closed, { kind: 'ended' });
  assert.equal(connection?.streams, 0);
  assert.equal((await connection?.closed)?.reason, 'closed');
});

test('S11: the target may be in absolute form', limit, async (t) => {
  const served = await serve(t, echo);
  const client = await textClient(t, served.listener.localAddress);
  client.send(upgradeText().replace('GET /', 'GET https://example.org:8443/'));
  assert.match(await client.until((text) => text.includes('\r\n\r\n')), /^HTTP\/1\.1 101 /);
  const request = served.streams[0]?.stream.request;
  assert.equal(request?.authority, 'example.org:8443');
});

const malformed: [string, string][] = [
  ['two Hosts', upgradeText('Host: other\r\n')],
  ['no Host', upgradeText().replace('Host: localhost\r\n', '')],
  ['an empty Host', upgradeText().replace('Host: localhost', 'Host:')],
  ['another method', upgradeText().replace('GET', 'POST')],
  ['HTTP/1.0', upgradeText().replace('HTTP/1.1', 'HTTP/1.0')],
  ['two tokens', upgradeText('', 'connect-udp, connect-tcp')],
  ['two Upgrade fields', upgradeText('Upgrade: connect-tcp\r\n')],
  ['content', upgradeText('Content-Length: 3\r\n')],
  ['chunked content', upgradeText('Transfer-Encoding: chunked\r\n')],
];
for (const [what, text] of malformed) {
  test(`S11: an upgrade with ${what} is refused with 400`, limit, async (t) => {
    const served = await serve(t, echo);
    const client = await textClient(t, served.listener.localAddress);
    client.send(text);
    const answer = await client.until(() => false);
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.equal(served.streams.filter(({ stream }) => stream.request.kind === 'extended').length, 0);
  });
}

test('a CONNECT with content is refused with 400', limit, async (t) => {
  const served = await serve(t, echo);
  const client = await textClient(t, served.listener.localAddress);
  client.send('CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nContent-Length: 9\r\n\r\nabc');
  assert.match(await client.until(() => false), /^HTTP\/1\.1 400 /);
  assert.equal(served.streams.length, 0);
});

test('S24: after a refused upgrade the connection serves the next request', limit, async (t) => {
  const served = await serve(t, (stream, seen) => {
    const first = served.streams.length === 1;
    refuse(first ? 403 : 200, first ? 'policy' : 'page')(stream, seen);
  });
  const client = await textClient(t, served.listener.localAddress);
  client.send(upgradeText());
  const refusal = await client.until((text) => text.endsWith('0\r\n\r\n'));
  assert.match(refusal, /^HTTP\/1\.1 403 /);
  assert.match(refusal, /policy/);
  client.send('GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await client.until((text) => text.includes('page') && text.endsWith('0\r\n\r\n'));
  assert.equal(served.streams[1]?.stream.request.kind, 'plain');
  assert.deepEqual(served.streams[0]?.seen.outcome, { kind: 'ended' });
  client.send(upgradeText());
  await client.until((text) => text.split('HTTP/1.1 200').length === 3);
  assert.equal(served.streams[2]?.stream.request.kind, 'extended');
});

test('S24: what comes behind a refused upgrade is the next request, whole', limit, async (t) => {
  const served = await serve(t, (stream, seen) => {
    setTimeout(() => refuse(served.streams.length === 1 ? 407 : 200, 'x')(stream, seen), 30);
  });
  const client = await textClient(t, served.listener.localAddress);
  client.send(`${upgradeText()}GET /one HTTP/1.1\r\nHost: localhost\r\n`);
  await pause(10);
  client.send('X-Late: 1\r\n\r\n');
  await client.until((text) => text.includes('HTTP/1.1 200'));
  const request = served.streams[1]?.stream.request;
  assert.equal(request?.kind === 'plain' && request.path, '/one');
  assert.ok(request?.fields.some(([name, value]) => name === 'x-late' && value === '1'));
});

test('W7: behind a refused CONNECT nothing is read and the connection closes', limit, async (t) => {
  const served = await serve(t, refuse(407));
  const client = await textClient(t, served.listener.localAddress);
  client.send(
    'CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n',
  );
  const answer = await client.until(() => false);
  assert.match(answer, /^HTTP\/1\.1 407 /);
  assert.match(answer, /\r\nconnection: close\r\n/i);
  assert.equal(answer.split('HTTP/1.1').length, 2);
  client.send('GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await served.connections[0]?.closed;
  assert.equal(served.streams.length, 1);
});

test('trap 6: an unknown upgrade is answered as an ordinary request, its content read', limit, async (t) => {
  const served = await serve(t, (stream, seen) => {
    stream.grant(1_000);
    seen.end = () => {
      stream.respond({ status: 200, fields: [] });
      send(stream, `read ${seen.bytes()}`);
      stream.end();
    };
  });
  const client = await textClient(t, served.listener.localAddress);
  const head = 'POST /page HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n';
  const settings = 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n';
  client.send(`${head}Connection: Upgrade, HTTP2-Settings\r\n${settings}Content-Length: 5\r\n\r\nab`);
  await pause(20);
  client.send('cde');
  await client.until((text) => text.includes('read abcde') && text.endsWith('0\r\n\r\n'));
  client.send(`${head}Connection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n`);
  await client.until((text) => text.includes('read xyz'));
  assert.deepEqual(
    served.streams.map(({ stream }) => stream.request.kind),
    ['plain', 'plain'],
  );
});

test('trap 6: an h2 CONNECT is one stream, and none of HTTP/1.1', limit, async (t) => {
  const served = await serve(t, echo);
  const { dialHttp2, recorder } = await import('../tcp/peers.js');
  const connection = await dialHttp2(t, served.listener.localAddress);
  const seen = recorder();
  const stream = connection.open({ kind: 'connect', authority: 'example.org:443', fields: [] }, seen);
  stream.grant(100);
  send(stream, 'x');
  stream.end();
  assert.deepEqual(await stream.closed, { kind: 'ended' });
  assert.equal(served.streams.length, 1);
  assert.equal(served.streams[0]?.stream.version, 'h2');
});

test('an upgrade behind an unanswered request waits for its turn', limit, async (t) => {
  const served = await serve(t, (stream, seen) => {
    if (stream.request.kind === 'extended') echo(stream, seen);
    else setTimeout(() => refuse(200, 'first')(stream, seen), 30);
  });
  const client = await textClient(t, served.listener.localAddress);
  client.send(`GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n${upgradeText()}`);
  const text = await client.until((given) => given.includes('101 Switching'));
  assert.ok(text.indexOf('first') < text.indexOf('101 Switching'));
});

const smuggled: [string, string][] = [
  [
    'both lengths',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd'],
  ['an unknown coding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n'],
  ['a space before the colon', 'GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n'],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['a bare CR', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n'],
];
for (const [what, text] of smuggled) {
  test(`a request with ${what} is refused and the connection closed`, limit, async (t) => {
    const served = await serve(t, refuse(200));
    const client = await textClient(t, served.listener.localAddress);
    client.send(`${text}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    const answer = await client.until(() => false);
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.equal(answer.split('HTTP/1.1').length, 2);
  });
}

test('a request head over the limit is answered with 431', limit, async (t) => {
  const served = await serve(t, refuse(200));
  const client = await textClient(t, served.listener.localAddress);
  client.send(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`);
  assert.match(await client.until(() => false), /^HTTP\/1\.1 431 /);
  assert.equal(served.streams.length, 0);
});

test('many small fields are all kept', limit, async (t) => {
  const served = await serve(t, refuse(200));
  const client = await textClient(t, served.listener.localAddress);
  const fields = Array.from({ length: 2_500 }, (_, index) => `x${index}: 1\r\n`).join('');
  client.send(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  await client.until((text) => text.includes('200 OK'));
  assert.equal(served.streams[0]?.stream.request.fields.length, 2_500);
});
