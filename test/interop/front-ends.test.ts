import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { createPasswordStore } from '../../src/proxy/index.js';
import { bautaMain, type RunningCommand, startBauta } from './command.js';
import { type CurlRun, curl, curlFile, requireCurl } from './curl-command.js';
import { startEchoTarget } from './echo-target.js';
import { type HttpsOrigin, patterned, patternedStream, sha256Of, startHttpsOrigin } from './https-origin.js';
import { openProxy, type ProxyUnderTest } from './open-proxy.js';
import { jsonLines, requireProgram, runProgram } from './program.js';

const python = '.cache/venv/bin/python';
const options = { timeout: 180_000, ...requireCurl() };
const withPython = { timeout: 120_000, ...requireProgram(python, 'scripts/test-tools.sh') };
const SIZE = 8 << 20;

async function linkOf(proxy: ProxyUnderTest): Promise<string> {
  const pin = publicKeyPin(await readFile(proxy.certFile, 'utf8'));
  return `https://ada:secret@${proxy.authority}/#pin=${pin}`;
}

const authenticate = () => createPasswordStore([['ada', 'secret']]).authenticate;

function succeeded(run: CurlRun): CurlRun {
  assert.equal(run.code, 0, `${run.code} ${run.signal} ${run.errors}`);
  return run;
}

for (const version of ['3', '2', '1']) {
  describe(`apps through bauta client --versions ${version}`, { ...options, timeout: 600_000 }, () => {
    let proxy: ProxyUnderTest;
    let client: RunningCommand;
    let origin: HttpsOrigin;
    let plain: http.Server;
    let local = '';
    let forward = 0;
    before(async () => {
      proxy = await openProxy({ authenticate: authenticate() });
      const tls = {
        cert: await readFile(proxy.certFile, 'utf8'),
        key: await readFile(proxy.keyFile, 'utf8'),
      };
      origin = await startHttpsOrigin(tls);
      plain = http.createServer((request, response) => {
        request.pipe(response);
      });
      plain.listen(0, '127.0.0.1');
      await once(plain, 'listening');
      client = await startBauta([
        ...['client', await linkOf(proxy), '--versions', version, '--mixed', '0'],
        ...['--tcp', `0=localhost:${origin.port}`],
      ]);
      // The first line may tell of versions that were tried.
      const { proxies, forwards } = client.first as unknown as {
        proxies: { local: { port: number } }[];
        forwards: { local: { port: number } }[];
      };
      local = `127.0.0.1:${proxies[0]?.local.port}`;
      forward = forwards[0]?.local.port ?? 0;
    });
    after(async () => {
      await client?.stop();
      origin?.close();
      plain?.close();
      plain?.closeAllConnections();
      await proxy?.close();
    });
    const https = (path: string): string => `https://localhost:${origin.port}${path}`;

    for (const [what, chosen] of [
      ['socks5-hostname', () => ['--socks5-hostname', local]],
      ['an HTTP proxy', () => ['--proxy', `http://${local}`]],
    ] as const) {
      test(`curl by ${what}: down and up, whole, and ten at once`, options, async () => {
        const trusted = ['--cacert', proxy.certFile];
        const down = succeeded(await curl([...chosen(), ...trusted, https(`/bytes/1/${SIZE}`)]));
        assert.equal(down.sha256, sha256Of(patterned(1, SIZE)));
        const upload = ['--upload-file', '-', https('/up')];
        const up = succeeded(await curl([...chosen(), ...trusted, ...upload], patternedStream(2, SIZE)));
        assert.equal(up.text, sha256Of(patterned(2, SIZE)));
        const many = await Promise.all(
          Array.from({ length: 10 }, () => curl([...chosen(), ...trusted, https('/')])),
        );
        for (const run of many) assert.equal(succeeded(run).text, 'hello');
      });
    }

    test('curl by an HTTP proxy: http:// in absolute form, with content', options, async () => {
      const { port } = plain.address() as AddressInfo;
      const upload = ['--proxy', `http://${local}`, '--upload-file', '-', `http://localhost:${port}/`];
      const run = succeeded(await curl(upload, patternedStream(3, 1 << 20)));
      assert.equal(run.sha256, sha256Of(patterned(3, 1 << 20)));
    });

    test('curl: failures are told apart', options, async () => {
      const socks = await curl(['--socks5-hostname', local, 'https://nobody.invalid/']);
      assert.equal(socks.code, 97, socks.errors);
      const refused = await curl(['--proxy', `http://${local}`, 'https://10.0.0.1/']);
      assert.match(refused.errors, /403/);
      const plainly = await curl(['--include', '--proxy', `http://${local}`, 'http://nobody.invalid/']);
      assert.match(plainly.text, /^HTTP\/1\.1 502 [\s\S]*error=dns_error/);
    });

    test('curl by a TCP forward', options, async () => {
      const run = await curl(['--cacert', proxy.certFile, `https://localhost:${forward}/`]);
      assert.equal(succeeded(run).text, 'hello');
    });

    test('PySocks: UDP ASSOCIATE to two targets, by address and by name', withPython, async () => {
      // localhost may be resolved to either family.
      const targets = [await startEchoTarget('127.0.0.1'), await startEchoTarget('::')];
      const [first, second] = targets.map(({ port }) => port);
      const run = await runProgram(
        python,
        [
          ...['test/interop/pysocks/associate.py', '--proxy', local],
          ...['--target', `127.0.0.1:${first}`, '--target', `localhost:${second}`],
        ],
        100_000,
      );
      for (const target of targets) target.close();
      assert.equal(run.code, 0, run.stderr);
      assert.deepEqual(jsonLines(run.stdout), [
        { target: `127.0.0.1:${first}`, echoed: 3, source: ['127.0.0.1', first] },
        { target: `localhost:${second}`, echoed: 3, source: ['localhost', second] },
      ]);
    });
  });
}

test('bauta exec LINK -- curl: the words of the README', options, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bauta-exec-'));
  const proxy = await openProxy({ authenticate: authenticate() });
  const [cert, key] = await Promise.all(
    [proxy.certFile, proxy.keyFile].map((file) => readFile(file, 'utf8')),
  );
  const origin = await startHttpsOrigin({ cert: cert ?? '', key: key ?? '' });
  const file = join(folder, 'got');
  const args = [
    '--disable',
    '-sS',
    '--cacert',
    proxy.certFile,
    '-o',
    file,
    '-w',
    '%{proxy_used}%{http_connect}',
  ];
  for (const version of ['3', '2', '1']) {
    const run = await runProgram(process.execPath, [
      ...[bautaMain, 'exec', await linkOf(proxy), '--versions', version, '--'],
      ...[curlFile, ...args, `https://localhost:${origin.port}/bytes/4/${SIZE}`],
    ]);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /200$/);
    assert.equal(sha256Of([await readFile(file)]), sha256Of(patterned(4, SIZE)));
  }
  origin.close();
  await proxy.close();
  await rm(folder, { recursive: true });
});
