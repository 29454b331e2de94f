import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import { createPasswordStore } from '../../src/proxy/index.js';
import { startBauta } from './command.js';
import { openProxy, type ProxyUnderTest } from './open-proxy.js';
import { requireCommand, runProgram } from './program.js';

// A cold start of the browser on a machine that is busy takes its time.
const options = { timeout: 240_000, ...requireCommand('chromium') };
const PARTS = 20;

/** A page whose parts are scripts, each of which adds a paragraph of its own. */
async function startPage(tls: { readonly cert: string; readonly key: string }) {
  const asked: string[] = [];
  const server = createServer(tls, (request, response) => {
    const { url = '' } = request;
    asked.push(url);
    const part = /^\/part-(\d+)\.js$/.exec(url)?.[1];
    if (part !== undefined) {
      response.setHeader('content-type', 'text/javascript');
      response.end(
        `{ const p = document.createElement('p'); p.id = 'part-${part}'; p.textContent = ${part} * ${part}; document.body.append(p); }`,
      );
    } else if (url === '/') {
      const scripts = Array.from(
        { length: PARTS },
        (_, index) => `<script src="/part-${index}.js"></script>`,
      );
      response.setHeader('content-type', 'text/html');
      response.end(`<!doctype html><title>parts</title><body>${scripts.join('')}</body>`);
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

describe('Chromium loads a page of twenty parts', { ...options, timeout: 600_000 }, () => {
  let proxy: ProxyUnderTest;
  let withLogin: ProxyUnderTest;
  let page: Awaited<ReturnType<typeof startPage>>;
  let pin = '';
  const tunnels: ProxyEvent[] = [];
  const onEvent = (event: ProxyEvent): void => {
    if (event.event === 'tunnel-opened') tunnels.push(event);
  };
  before(async () => {
    proxy = await openProxy({ onEvent });
    const tls = {
      cert: await readFile(proxy.certFile, 'utf8'),
      key: await readFile(proxy.keyFile, 'utf8'),
    };
    withLogin = await openProxy({
      tls,
      onEvent,
      authenticate: createPasswordStore([['ada', 'secret']]).authenticate,
    });
    pin = publicKeyPin(tls.cert);
    page = await startPage(tls);
  });
  after(async () => {
    page?.close();
    await withLogin?.close();
    await proxy?.close();
  });

  const load = async (through: string): Promise<void> => {
    const profile = await mkdtemp(join(tmpdir(), 'bauta-chromium-'));
    tunnels.length = 0;
    page.asked.length = 0;
    // The field wants base64, the pin is base64url.
    const key = Buffer.from(pin.replace('sha256-', ''), 'base64url').toString('base64');
    const run = await runProgram(
      'chromium',
      [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
        ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
        `--user-data-dir=${profile}`,
        `--ignore-certificate-errors-spki-list=${key}`,
        `--proxy-server=${through}`,
        // W5: without it Chromium goes to loopback by itself.
        '--proxy-bypass-list=<-loopback>',
        ...['--timeout=60000', '--dump-dom', `https://127.0.0.1:${page.port}/`],
      ],
      200_000,
    );
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    assert.equal(run.code, 0, run.stderr);
    const parts = [...run.stdout.matchAll(/<p id="part-(\d+)">(\d+)<\/p>/g)].map(([, part, square]) => [
      Number(part),
      Number(square),
    ]);
    assert.deepEqual(
      parts,
      Array.from({ length: PARTS }, (_, index) => [index, index * index]),
      `${run.stdout}\n${run.stderr}`,
    );
    assert.equal(page.asked.filter((url) => url.startsWith('/part-')).length, PARTS);
    assert.ok(
      tunnels.some((event) => event.event === 'tunnel-opened' && event.target.port === page.port),
      'the page did not come through the proxy',
    );
  };

  test('W5: by the proxy itself, as an https:// proxy', options, () => load(`https://${proxy.authority}`));

  for (const scheme of ['socks5', 'http'] as const) {
    test(`by the ${scheme} front-end of bauta client`, options, async () => {
      const client = await startBauta([
        ...['client', `https://ada:secret@${withLogin.authority}/#pin=${pin}`, '--mixed', '0'],
      ]);
      try {
        const { proxies } = client.first as unknown as { proxies: { local: { port: number } }[] };
        await load(`${scheme}://127.0.0.1:${proxies[0]?.local.port}`);
      } finally {
        await client.stop();
      }
    });
  }
});
