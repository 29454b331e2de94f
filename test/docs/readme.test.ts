import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { selfSigned } from '../../src/quic/native/index.js';
import { freePort } from '../free-port.js';
import { bautaMain, type RunningCommand, startBauta } from '../interop/command.js';
import { type EchoTarget, startEchoTarget } from '../interop/echo-target.js';
import { startNameServer } from '../interop/name-server.js';
import { requireCommand, runProgram } from '../interop/program.js';

const options = { timeout: 120_000, ...requireCommand('dig'), ...requireCommand('dnsmasq') };
const build = fileURLToPath(new URL('../../', import.meta.url));
const text = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');

/** The blocks of the README that are marked `run=NAME`. */
const blocks = new Map<string, string>();
for (const match of text.matchAll(/```\w+ run=(\w+)\n(.*?)```/gs)) blocks.set(match[1] ?? '', match[2] ?? '');

interface Started {
  /** What became of it and what it printed. */
  told(): string;
  /** Its exit code and signal. */
  stop(): Promise<unknown>;
}

describe('the examples of the README', { ...options, timeout: 600_000 }, () => {
  let folder: string;
  let names: { port: number; stop: () => void };
  let echo: EchoTarget;
  let proxy: RunningCommand;
  let link: string;
  let localPort: number;
  let pagePort: number;
  const page = createServer((request, response) => response.end(`a page at ${request.url}`));
  const children: ChildProcess[] = [];

  /** A block as this machine can run it: the proxy, name server and ports of this test in the places of the README's. */
  const block = (name: string): string => {
    const found = blocks.get(name);
    assert.ok(found, `the README has no block run=${name}`);
    return found
      .replaceAll('NAME:PASSWORD', 'ann:example')
      .replaceAll('localhost:4433', new URL(link).host)
      .replaceAll('~/.local/state/bauta', join(folder, 'state'))
      .replaceAll('npx bauta', `${process.execPath} ${bautaMain}`)
      .replaceAll('LINK', link)
      .replaceAll('1.1.1.1:53', `127.0.0.1:${names.port}`)
      .replaceAll('127.0.0.1:7', `127.0.0.1:${echo.port}`)
      .replaceAll('https://example.com', `http://127.0.0.1:${pagePort}/`)
      .replaceAll('127.0.0.1:80', `127.0.0.1:${pagePort}`)
      .replaceAll(/ (?:1080|8080=)/g, (local) => local.replace(/\d+/, '0'))
      .replaceAll(/535[34]/g, String(localPort))
      .replaceAll(/--listen :443[34]/g, '--listen :0')
      .trim();
  };
  const run = (name: string) => runProgram('bash', ['-c', `cd '${folder}' && ${block(name)}`], 30_000);
  /** Starts a block that runs until it is told to end, and waits until it printed `sign`. */
  const start = async (name: string, sign: RegExp, more = ''): Promise<Started> => {
    const child = spawn('bash', ['-c', `cd '${folder}' && exec env ${block(name)}${more}`], {
      env: { ...process.env, XDG_STATE_HOME: folder },
    });
    children.push(child);
    let printed = '';
    await new Promise<void>((done, fail) => {
      const hear = (chunk: Buffer): void => {
        printed += chunk.toString();
        if (sign.test(printed)) done();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => fail(new Error(`${name} ended with ${code}: ${printed}`)));
    });
    return {
      told: () => `${child.exitCode ?? child.signalCode ?? 'runs'}: ${printed}`,
      stop() {
        const exit = once(child, 'exit');
        child.kill('SIGTERM');
        return exit;
      },
    };
  };

  before(async () => {
    await mkdir(resolve(build, '../.cache'), { recursive: true });
    folder = await mkdtemp(resolve(build, '../.cache/readme-'));
    const own = selfSigned(['localhost'], 2);
    await writeFile(join(folder, 'chain.pem'), own.cert);
    await writeFile(join(folder, 'key.pem'), own.key);
    await writeFile(join(folder, 'users'), 'ann:example\n', { mode: 0o600 });
    // The package as a program that installed it would find it, in this build.
    await mkdir(join(folder, 'node_modules/bauta'), { recursive: true });
    const manifest = JSON.parse(await readFile(resolve(build, '../package.json'), 'utf8')) as object;
    await writeFile(join(folder, 'node_modules/bauta/package.json'), JSON.stringify(manifest));
    await symlink(build, join(folder, 'node_modules/bauta/dist'));
    names = await startNameServer();
    echo = await startEchoTarget('127.0.0.1');
    localPort = await freePort('udp');
    page.listen(0, '127.0.0.1');
    await once(page, 'listening');
    pagePort = (page.address() as AddressInfo).port;
    proxy = await startBauta([
      ...['proxy', '--listen', '127.0.0.1:0', '--state-dir', join(folder, 'state')],
      ...['--user', 'ann:example', '--allow-target', '127.0.0.0/8'],
    ]);
    const made = new URL(String(proxy.first['link']));
    made.username = 'ann';
    made.password = 'example';
    link = made.href;
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    names?.stop();
    echo?.close();
    page.close();
    page.closeAllConnections();
    await proxy?.stop();
    await rm(folder, { recursive: true });
  });

  test('bauta doctor', options, async () => {
    const { code, stdout, stderr } = await run('doctor');
    assert.equal(code, 0, stdout + stderr);
  });

  test('bauta bench', options, async () => {
    const { code, stdout, stderr } = await run('bench');
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /UDP round trip/);
  });

  for (const name of ['forward', 'environment', 'nested']) {
    test(`bauta client: ${name}`, options, async () => {
      const { told, stop } = await start(name, new RegExp(`:${localPort}.* leads to `));
      const { stdout } = await run('dig');
      assert.equal(stdout.trim(), '192.0.2.7', `${stdout}\n${told()}`);
      assert.deepEqual(await stop(), [0, null]);
    });
  }

  test('bauta exec', options, async () => {
    const { code, stdout, stderr } = await run('exec');
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 'a page at /');
  });

  test('curl with the proxy itself', options, async () => {
    const { code, stdout, stderr } = await run('curl');
    assert.equal(code, 0, stderr);
    assert.equal(stdout, 'a page at /');
  });

  for (const name of ['client', 'lossy']) {
    test(`bauta client: ${name}`, options, async () => {
      // Another program of this machine may have port 1080.
      const { stop } = await start(name, /SOCKS5 and HTTP proxy/, ' --mixed localhost:0');
      assert.deepEqual(await stop(), [0, null]);
    });
  }

  test('bauta client: ports', options, async () => {
    const { stop } = await start('ports', /SOCKS5 proxy[\s\S]*leads to 127\.0\.0\.1/);
    assert.deepEqual(await stop(), [0, null]);
  });

  for (const name of ['server', 'certificate', 'relay', 'bbr']) {
    test(`bauta proxy: ${name}`, options, async () => {
      const { stop } = await start(name, /listening on[^\n]*\n[\s\S]*link +https:/);
      assert.deepEqual(await stop(), [0, null]);
    });
  }

  test('bauta proxy --check', options, async () => {
    const { code, stdout } = await run('check');
    assert.equal(code, 0);
    assert.match(stdout, /10\.1\.2\.3/);
  });

  test('the library', options, async () => {
    await writeFile(join(folder, 'library.mjs'), block('library'));
    const {
      code: exit,
      stdout,
      stderr,
    } = await runProgram(process.execPath, [join(folder, 'library.mjs')], 30_000);
    assert.equal(exit, 0, stderr);
    assert.equal(stdout.trim(), 'hello over h3');
  });

  test('TCP from the library', options, async () => {
    await writeFile(join(folder, 'tcp.mjs'), block('tcp'));
    const {
      code: exit,
      stdout,
      stderr,
    } = await runProgram(process.execPath, [join(folder, 'tcp.mjs')], 30_000);
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n[\s\S]*a page at \/by-hand\n200 a page at \/by-agent\n$/);
  });

  test('a proxy inside a program', options, async () => {
    await writeFile(join(folder, 'embed.mjs'), block('embed'));
    const { code, stdout, stderr } = await runProgram('bash', [
      '-c',
      `cd '${folder}' && ${process.execPath} embed.mjs`,
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^port \d+/);
  });
});
