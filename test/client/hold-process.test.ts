import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startEcho } from './echo-server.js';
import { startTcpEcho } from './tcp-target.js';
import { startTestProxy } from './test-proxy.js';

const library = new URL('../../src/client/index.js', import.meta.url).href;

/** Runs a program and tells whether it ended by itself within the time. */
async function ends(
  program: string,
  environment: Record<string, string>,
  milliseconds: number,
): Promise<boolean> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
  const [exit] = await once(child, 'exit');
  clearTimeout(timer);
  return exit === 0;
}

for (const version of ['h3', 'h2', 'h1']) {
  test(`${version}: an open tunnel keeps the process running, one with unref does not`, {
    timeout: 120_000,
  }, async () => {
    await using echo = await startEcho();
    await using proxy = await startTestProxy();
    const environment = { LINK: proxy.link, TARGET: echo.target, VERSION: version };
    const open = `
      import { connect } from '${library}';
      const { LINK, TARGET, VERSION } = process.env;
      const client = await connect(LINK, { versions: [VERSION] });
      const tunnel = await client.openUdp(TARGET);`;
    const [held, released, again] = await Promise.all([
      ends(open, environment, 2_500),
      ends(`${open} tunnel.unref();`, environment, 10_000),
      ends(`${open} tunnel.unref().ref();`, environment, 2_500),
    ]);
    assert.deepEqual([held, released, again], [false, true, false]);
  });
}

test('C6: nested, an open tunnel keeps the process running, one with unref does not', {
  timeout: 120_000,
}, async () => {
  await using echo = await startEcho();
  await using near = await startTestProxy();
  await using far = await startTestProxy();
  const environment = { NEAR: near.link, FAR: far.link, TARGET: echo.target };
  const open = `
    import { connect } from '${library}';
    const { NEAR, FAR, TARGET } = process.env;
    const client = await connect([NEAR, FAR]);
    const tunnel = await client.openUdp(TARGET);`;
  const [held, released, again, closed] = await Promise.all([
    ends(open, environment, 2_500),
    ends(`${open} tunnel.unref();`, environment, 10_000),
    ends(`${open} tunnel.unref().ref();`, environment, 2_500),
    ends(`${open} await client.close();`, environment, 10_000),
  ]);
  assert.deepEqual([held, released, again, closed], [false, true, false, true]);
});

for (const version of ['h3', 'h2', 'h1']) {
  test(`${version}: TCP, an open tunnel keeps the process running, one with unref does not, nor an idle agent`, {
    timeout: 120_000,
  }, async () => {
    await using echo = await startTcpEcho();
    await using proxy = await startTestProxy();
    const page = createServer((_, response) => response.end('a page')).listen(0, '127.0.0.1');
    await once(page, 'listening');
    const url = `http://127.0.0.1:${(page.address() as AddressInfo).port}/`;
    const environment = { LINK: proxy.link, TARGET: echo.target, VERSION: version, URL: url };
    const start = `
      import { once } from 'node:events';
      import http from 'node:http';
      import { connect } from '${library}';
      const { LINK, TARGET, VERSION } = process.env;
      const client = await connect(LINK, { versions: [VERSION] });`;
    const open = `${start}
      const tunnel = await client.openTcp(TARGET);
      tunnel.write('x');
      await once(tunnel, 'data');`;
    const get = `${start}
      const request = http.get(process.env.URL, { agent: client.httpAgent });
      const [response] = await once(request, 'response');
      response.resume();
      await once(response, 'end');`;
    // Cut off while the end of this side is under way.
    const cut = `${open.replace('versions: [VERSION]', "$&, tcp: 'connect'")} tunnel.end(); await client.close();`;
    const [held, released, again, closed, idle, ending] = await Promise.all([
      ends(open, environment, 2_500),
      ends(`${open} tunnel.unref();`, environment, 15_000),
      ends(`${open} tunnel.unref().ref();`, environment, 2_500),
      ends(`${open} await client.close();`, environment, 15_000),
      ends(get, environment, 15_000),
      ends(cut, environment, 15_000),
    ]);
    page.close();
    page.closeAllConnections();
    assert.deepEqual([held, released, again], [false, true, false]);
    assert.deepEqual([closed, idle, ending], [true, true, true]);
  });

  test(`C6: nested over ${version}, TCP: an open tunnel keeps the process running, one with unref does not`, {
    timeout: 120_000,
  }, async () => {
    await using echo = await startTcpEcho();
    await using near = await startTestProxy();
    await using far = await startTestProxy();
    const environment = { NEAR: near.link, FAR: far.link, TARGET: echo.target, VERSION: version };
    const open = `
      import { once } from 'node:events';
      import { connect } from '${library}';
      const { NEAR, FAR, TARGET, VERSION } = process.env;
      const client = await connect([NEAR, FAR], { versions: [VERSION] });
      const tunnel = await client.openTcp(TARGET);
      tunnel.write('x');
      await once(tunnel, 'data');`;
    const [held, released, closed] = await Promise.all([
      ends(open, environment, 2_500),
      ends(`${open} tunnel.unref();`, environment, 15_000),
      ends(`${open} await client.close();`, environment, 15_000),
    ]);
    assert.deepEqual([held, released, closed], [false, true, true]);
  });
}
