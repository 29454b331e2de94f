import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { nativeWorld, plenty, TcpPeer, until } from './tcp-world.js';

const run = promisify(execFile);
const limit = { timeout: 120_000 };
const native = new URL('../../src/quic/native/index.js', import.meta.url).href;
const linux = process.platform === 'linux';

const prelude = `
  import { createNativeEngine } from '${native}';
  const engine = createNativeEngine();
  const told = [];
  const handler = (name) => ({
    data() {},
    end() { told.push(name + ' end'); },
    drain() {},
    closed(end) { told.push(name + ' ' + (end.errno ?? end.kind)); },
  });
  const signal = () => new AbortController().signal;
  const local = { address: '127.0.0.1', port: 0 };
  const accepted = [];
  const listen = () => engine.tcp.listen({ local }, (socket) => {
    accepted.push(socket);
    return handler('server');
  });
  const until = async (condition) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
  };
`;

async function program(body: string, wrap: readonly string[] = []): Promise<string> {
  const [command = process.execPath, ...rest] = [
    ...wrap,
    process.execPath,
    '--input-type=module',
    '-e',
    prelude + body,
  ];
  const { stdout } = await run(command, rest, { timeout: 60_000 });
  return stdout.trim();
}

/** A network of its own, whose loopback can be taken down; why there is none otherwise. */
function noNetwork(): string | false {
  if (!linux) return 'network namespaces are those of Linux';
  const made = spawnSync('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']);
  return made.status === 0 ? false : 'no network namespace can be made here (unshare -rn)';
}

describe('the life of TCP sockets', () => {
  const world = nativeWorld();
  after(() => world.close());

  test('the process ends when all is closed, or with the engine', limit, async () => {
    assert.equal(
      await program(`
        const listener = await listen();
        const client = await engine.tcp.connect({ remote: listener.localAddress }, handler('client'), signal());
        await until(() => accepted.length === 1);
        client.end();
        accepted[0].end();
        listener.close();
        console.log('closed one by one');`),
      'closed one by one',
    );
    assert.equal(
      await program(`
        const listener = await listen();
        await engine.tcp.connect({ remote: listener.localAddress }, handler('client'), signal());
        const aborting = new AbortController();
        await engine.close();
        console.log(told.includes('client ECANCELED'));`),
      'true',
    );
  });

  test('the process stays while a TCP socket or listener is open', limit, async () => {
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `${prelude}
        const listener = await listen();
        console.log('listening');`,
    ]);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const gone = new Promise<string>((resolve) =>
      child.once('exit', (_code, signal) => resolve(`${signal}`)),
    );
    await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 500))]);
    child.kill('SIGKILL');
    assert.equal(await gone, 'SIGKILL');
  });

  test('a process that is killed resets its connections', limit, async () => {
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `${prelude}
        const listener = await listen();
        console.log(listener.localAddress.port);`,
    ]);
    const port = await new Promise<number>((resolve) =>
      child.stdout.once('data', (chunk) => resolve(Number(String(chunk)))),
    );
    const peer = new TcpPeer(plenty);
    const remote = { address: '127.0.0.1', port };
    peer.attach(await world.client.connect({ remote }, peer, new AbortController().signal));
    child.kill('SIGKILL');
    await until(world, () => peer.over !== undefined);
    assert.deepEqual(peer.events, ['reset by peer: ECONNRESET']);
  });

  test('the death of the engine ends all that is open, and its peers see a reset', {
    ...limit,
    skip: !linux && 'the way to break the engine is that of Linux',
  }, async () => {
    const answer = await program(`
      import { closeSync, readdirSync, readlinkSync } from 'node:fs';
      const link = (fd) => {
        try {
          return readlinkSync('/proc/self/fd/' + fd);
        } catch {
          return '';
        }
      };
      const polls = () => readdirSync('/proc/self/fd').filter((fd) => link(fd) === 'anon_inode:[eventpoll]');
      const other = createNativeEngine();
      const before = polls();
      const dying = createNativeEngine();
      const listener = await listen();
      const own = await dying.tcp.listen({ local }, () => handler('never'));
      await dying.tcp.connect({ remote: listener.localAddress }, handler('client'), signal());
      await until(() => accepted.length === 1);
      const [poll] = polls().filter((fd) => !before.includes(fd));
      closeSync(Number(poll));
      const late = await dying.tcp
        .connect({ remote: listener.localAddress }, handler('late'), signal())
        .then((socket) => 'connected', (error) => error.problem);
      await dying.failed;
      own.close();
      await until(() => told.includes('server ECONNRESET'));
      const after = await dying.tcp.listen({ local }, () => handler('never')).catch((error) => error.errno);
      await dying.close();
      await engine.close();
      await other.close();
      console.log(JSON.stringify({ late: typeof late, client: told.includes('client ECANCELED'), after }));`);
    assert.deepEqual(JSON.parse(answer), { late: 'string', client: true, after: 'ECANCELED' });
  });

  test('a peer that is silently gone is found out by probes', { ...limit, skip: noNetwork() }, async () => {
    const answer = await program(
      `
      import { execFileSync } from 'node:child_process';
      const ip = (...words) => execFileSync('ip', words);
      ip('link', 'set', 'lo', 'up');
      const listener = await engine.tcp.listen({ local, keepAlive: 0 }, () => handler('server'));
      const { localAddress: remote } = listener;
      await engine.tcp.connect({ remote, keepAlive: 1000 }, handler('client'), signal());
      ip('link', 'set', 'lo', 'down');
      await until(() => told.length > 0);
      console.log(told.join());
      await engine.close();`,
      ['unshare', '-rn'],
    );
    assert.equal(answer, 'client ETIMEDOUT');
  });
});
