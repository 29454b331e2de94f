import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createPasswordStore } from '../../src/proxy/index.js';
import { type CurlRun, curl, requireCurl } from './curl-command.js';
import { type HttpsOrigin, patterned, patternedStream, sha256Of, startHttpsOrigin } from './https-origin.js';
import { openProxy, type ProxyUnderTest } from './open-proxy.js';

const options = { timeout: 180_000, ...requireCurl() };
const SIZE = 100 << 20;
/** Shows what the proxy answered, over HTTP/2 as well. */
const TRACE = ['--verbose', '--trace-config', 'all'];
const saysStatus = (status: number): RegExp =>
  new RegExp(`CONNECT tunnel failed, response ${status}|status: HTTP/2 ${status}`);

for (const [version, chosen] of [
  ['HTTP/1.1', []],
  ['HTTP/2', ['--proxy-http2']],
] as const) {
  describe(`curl through the proxy over ${version}`, { ...options, timeout: 600_000 }, () => {
    let proxy: ProxyUnderTest;
    let origin: HttpsOrigin;
    let origin6: HttpsOrigin;
    before(async () => {
      proxy = await openProxy({ authenticate: createPasswordStore([['ada', 'secret']]).authenticate });
      const tls = {
        cert: await readFile(proxy.certFile, 'utf8'),
        key: await readFile(proxy.keyFile, 'utf8'),
      };
      origin = await startHttpsOrigin(tls);
      origin6 = await startHttpsOrigin(tls, '::1');
    });
    after(async () => {
      origin.close();
      origin6.close();
      await proxy.close();
    });

    const through = (args: readonly string[], user = 'ada:secret', input?: Parameters<typeof curl>[1]) =>
      curl(
        [
          ...chosen,
          ...['--proxy', `https://${user}@${proxy.authority}`, '--proxy-cacert', proxy.certFile],
          ...['--cacert', proxy.certFile, ...args],
        ],
        input,
      );
    const succeeded = (run: CurlRun): CurlRun => {
      assert.equal(run.code, 0, `${run.code} ${run.signal} ${run.errors}`);
      return run;
    };

    test('100 MB down, whole', options, async () => {
      const run = succeeded(await through([`https://127.0.0.1:${origin.port}/bytes/1/${SIZE}`]));
      assert.equal(run.bytes, SIZE);
      assert.equal(run.sha256, sha256Of(patterned(1, SIZE)));
      const versions = proxy.proxy.info();
      assert.ok(versions.tunnels.opened > 0);
    });

    test('100 MB up, whole', options, async () => {
      const run = succeeded(
        await through(
          ['--upload-file', '-', `https://127.0.0.1:${origin.port}/up`],
          'ada:secret',
          patternedStream(2, SIZE),
        ),
      );
      assert.equal(run.text, sha256Of(patterned(2, SIZE)));
    });

    test('50 at once, each with its own bytes', options, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'bauta-curl-'));
      try {
        const count = 1 << 20;
        const urls = Array.from({ length: 50 }, (_, seed) => [
          ...['--output', join(folder, String(seed))],
          `https://127.0.0.1:${origin.port}/bytes/${seed}/${count}`,
        ]);
        const parallel = [
          '--parallel',
          '--parallel-immediate',
          '--parallel-max',
          '50',
          '--no-progress-meter',
        ];
        succeeded(await through([...parallel, ...urls.flat()]));
        for (let seed = 0; seed < 50; seed++) {
          const got = createHash('sha256').update(await readFile(join(folder, String(seed))));
          assert.equal(got.digest('hex'), sha256Of(patterned(seed, count)), `number ${seed}`);
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    test('W4: a wrong password, or none, gets 407 and no tunnel', options, async () => {
      const before = proxy.proxy.info().tunnels.opened;
      for (const user of ['ada:wrong', 'nobody:secret']) {
        const run = await through([...TRACE, `https://127.0.0.1:${origin.port}/`], user);
        // curl does not ask again when it had shown a password.
        assert.equal(run.code, 56, run.errors);
        assert.match(run.errors, saysStatus(407));
        assert.match(run.errors, /proxy-authenticate: Basic realm="/i);
      }
      assert.equal(proxy.proxy.info().tunnels.opened, before);
    });

    test('an IPv6 target', options, async () => {
      const run = succeeded(await through([`https://[::1]:${origin6.port}/`]));
      assert.equal(run.text, 'hello');
    });

    test('a name that cannot be resolved: 502 with Proxy-Status', options, async () => {
      const run = await through([...TRACE, 'https://nowhere.invalid/']);
      assert.equal(run.code, 56, run.errors);
      assert.match(run.errors, saysStatus(502));
      assert.match(run.errors, /proxy-status: proxy;error=dns_error;/i);
    });

    test(
      'W6: what the target says before its FIN arrives, and its other direction stays open',
      options,
      async () => {
        const size = 3 << 20;
        // curl over HTTP/2 takes a stream as ended only once it has ended it itself: there it needs a length.
        const framing = version === 'HTTP/2' ? `Content-Length: ${size}\r\n` : '';
        let seen: 'open' | 'ended' | 'broken' = 'open';
        const target = createServer({ allowHalfOpen: true }, (socket: Socket) => {
          socket.once('data', () => {
            socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\n${framing}\r\n`);
            patternedStream(7, size).pipe(socket);
            socket.on('finish', () => socket.resume());
          });
          socket.on('end', () => {
            seen = 'ended';
          });
          socket.on('error', () => {
            seen = 'broken';
          });
        });
        await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
        const { port } = target.address() as AddressInfo;
        const run = succeeded(await through(['--proxytunnel', `http://127.0.0.1:${port}/`]));
        assert.equal(run.sha256, sha256Of(patterned(7, size)));
        for (let wait = 0; seen === 'open' && wait < 3_000; wait++)
          await new Promise((done) => setTimeout(done, 20));
        // Over HTTP/2 curl leaves by closing the connection under the tunnel, which is a loss and no end.
        if (version === 'HTTP/1.1') assert.equal(seen, 'ended', 'curl is done: a FIN, and no reset');
        target.close();
      },
    );

    test('a plain http:// page, in absolute form', {
      ...options,
      skip: version === 'HTTP/2' && 'curl asks over HTTP/1.1 then',
    }, async () => {
      const target = createServer((socket) => {
        socket.once('data', (head) => {
          const asked = head.toString('latin1').split('\r\n');
          const body = [asked[0], ...asked.filter((line) => /^(host|via|proxy-)/i.test(line))].join('\n');
          socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
        });
      });
      await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
      const { port } = target.address() as AddressInfo;
      const run = succeeded(await through([`http://127.0.0.1:${port}/page?x=1`]));
      assert.match(
        run.text,
        new RegExp(`^GET /page\\?x=1 HTTP/1.1\nhost: 127.0.0.1:${port}\nvia: 1.1 [!-~]+$`),
      );
      target.close();
    });
  });
}
