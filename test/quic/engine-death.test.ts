import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const skip = process.platform === 'linux' ? false : 'the way to break the engine is that of Linux';

/** Takes the engine's poll away under it, then gives it something to do. */
const script = `
  import { closeSync, readdirSync, readlinkSync } from 'node:fs';
  import { createNativeEngine, selfSigned } from '${new URL('../../src/quic/native/index.js', import.meta.url)}';
  const link = (fd) => {
    try {
      return readlinkSync('/proc/self/fd/' + fd);
    } catch {
      return '';
    }
  };
  const polls = () => readdirSync('/proc/self/fd').filter((fd) => link(fd) === 'anon_inode:[eventpoll]');
  const before = polls();
  const engine = createNativeEngine();
  const listener = await engine.listen(
    {
      local: { address: '127.0.0.1', port: 0 },
      tls: { certificates: [selfSigned(['localhost'], 1)], alpn: ['x'] },
    },
    () => ({}),
  );
  const [own] = polls().filter((fd) => !before.includes(fd));
  closeSync(Number(own));
  const handler = { packet() {}, problem() {} };
  const remote = { address: '127.0.0.1', port: 9 };
  const open = () => engine.udp.open({ remote }, handler).then(() => 'opened', (error) => error.errno);
  const first = await open();
  const reason = await engine.failed;
  await listener.close(0, '');
  const later = await open();
  await engine.close();
  console.log(JSON.stringify({ first: typeof first, reason: reason !== '', later }));
`;

test('an engine that dies says so, ends what waits for it, and lets the process end', {
  skip,
  timeout: 120_000,
}, () => {
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 90_000,
  });
  assert.equal(child.status, 0, child.stderr);
  assert.deepEqual(JSON.parse(child.stdout), { first: 'string', reason: true, later: 'ECANCELED' });
});

/** The same for one of three: what is on the others ends too. */
const shardScript = `
  import { closeSync, readdirSync, readlinkSync } from 'node:fs';
  import { createNativeEngine, selfSigned } from '${new URL('../../src/quic/native/index.js', import.meta.url)}';
  const link = (fd) => {
    try {
      return readlinkSync('/proc/self/fd/' + fd);
    } catch {
      return '';
    }
  };
  const polls = () => readdirSync('/proc/self/fd').filter((fd) => link(fd) === 'anon_inode:[eventpoll]');
  const clients = createNativeEngine();
  const before = polls();
  const engine = createNativeEngine({ shards: 3 });
  const closed = [];
  let accepted = 0;
  const handler = (told) => ({ stream() {}, datagram() {}, maxDatagramSize() {}, closed: (reason) => told.push(reason.kind) });
  const listener = await engine.listen(
    { local: { address: '127.0.0.1', port: 0 }, tls: { certificates: [selfSigned(['localhost'], 1)], alpn: ['x'] } },
    () => {
      accepted += 1;
      return handler(closed);
    },
  );
  const tls = { serverName: 'localhost', alpn: ['x'], trust: { mode: 'insecure' } };
  const atClients = [];
  const signal = new AbortController().signal;
  for (let count = 0; count < 24; count++) {
    await clients.connect({ remote: listener.localAddress, tls }, () => handler(atClients), signal);
  }
  while (accepted < 24) await new Promise((resolve) => setTimeout(resolve, 2));
  const own = polls().filter((fd) => !before.includes(fd));
  closeSync(Number(own[1]));
  const nothing = { packet() {}, problem() {} };
  const remote = { address: '127.0.0.1', port: 9 };
  // Something for each of them to do.
  await Promise.allSettled([1, 2, 3].map(() => engine.udp.open({ remote }, nothing)));
  const reason = await engine.failed;
  const atServer = closed.length;
  await listener.close(0, '');
  const later = await engine.udp.open({ remote }, nothing).then(() => 'opened', (error) => error.errno);
  await engine.close();
  await clients.close();
  console.log(JSON.stringify({ polls: own.length, reason: reason !== '', atServer, kinds: [...new Set(closed)], later }));
`;

test('of several threads none outlives another', { skip, timeout: 30_000 }, () => {
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', shardScript], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(child.status, 0, child.stderr);
  const expected = { polls: 3, reason: true, atServer: 24, kinds: ['engine'], later: 'ECANCELED' };
  assert.deepEqual(JSON.parse(child.stdout), expected);
});
