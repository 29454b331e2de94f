import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/client/index.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { type ErrorCode, failures } from '../../src/protocol/failures.js';
import { spkiPin } from '../../src/quic/native/index.js';
import { openTunnel } from '../proxy/real-proxy.js';
import { type ChildProxyOptions, startChildProxy } from './child-proxy.js';
import { createFaultDialler } from './dial.js';
import { startSlowNameServer } from './slow-name-server.js';

/** The sources of the tests, beside the build that this file is part of. */
const build = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const tests = resolve(build, '../test');

/** Test files by the code that a title of theirs begins with: `ERR_XXX: ...`, or a table titled `${code}: ...`. */
function triggers(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const name of readdirSync(tests, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.test.ts')) continue;
    const text = readFileSync(join(tests, name), 'utf8');
    const codes = [...text.matchAll(/['"`]((?:ERR_[A-Z_]+(?:, ?)?)+): /g)].flatMap(([, list]) =>
      (list ?? '').split(/, ?/),
    );
    if (/`\$\{code\}: /.test(text)) {
      for (const [, code] of text.matchAll(/'(ERR_[A-Z_]+)'/g)) codes.push(code ?? '');
    }
    for (const code of codes) {
      const files = found.get(code) ?? new Set();
      files.add(name);
      found.set(code, files);
    }
  }
  return found;
}

test('every public error code is triggered by a test', (t) => {
  const found = triggers();
  const codes = Object.keys(failures);
  for (const code of codes) t.diagnostic(`${code}: ${[...(found.get(code) ?? ['none'])].join(', ')}`);
  assert.deepEqual(
    codes.filter((code) => !found.has(code)),
    [],
  );
});

const settings = { timeout: 120_000 };
const coded = (code: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof BautaError, String(error));
  assert.equal(error.code, code);
  return true;
};

/** The library's client on a proxy in a process of its own. */
async function clientOf(options: ChildProxyOptions = {}) {
  const proxy = await startChildProxy(options);
  const pin = encodeURIComponent(spkiPin(Buffer.from(proxy.ca)));
  const client = await connect(`https://a:b@127.0.0.1:${proxy.port}/#pin=${pin}`, { versions: ['h3'] });
  return { proxy, client };
}

describe('codes that a proxy and the network give together', { ...settings, timeout: 600_000 }, () => {
  test('ERR_TARGET_DENIED: the target is on the deny list', settings, async () => {
    const { client } = await clientOf({ targets: { allow: ['127.0.0.0/8'], deny: ['127.0.0.9'] } });
    await assert.rejects(client.openUdp('127.0.0.9:53'), coded('ERR_TARGET_DENIED'));
    await client.close();
  });

  test('ERR_TARGET_REFUSED: a private target', settings, async () => {
    const { client } = await clientOf({ targets: {} });
    await assert.rejects(client.openUdp('10.0.0.1:53'), coded('ERR_TARGET_REFUSED'));
    await client.close();
  });

  test('ERR_TARGET_NAME_TIMEOUT: the name server is silent', settings, async () => {
    const names = await startSlowNameServer(0);
    const { client } = await clientOf({ nameServers: [names.address], limits: { nameTimeout: 300 } });
    await assert.rejects(client.openUdp('a.silent.test:53'), coded('ERR_TARGET_NAME_TIMEOUT'));
    await client.close();
  });

  test('ERR_TARGET_NAME: nobody listens where the name server should be', settings, async () => {
    const { client } = await clientOf({ nameServers: ['127.0.0.1:1'], limits: { nameTimeout: 3_000 } });
    await assert.rejects(client.openUdp('a.test:53'), coded('ERR_TARGET_NAME'));
    await client.close();
  });

  test('ERR_TARGET_UNREACHABLE: an address that the system does not let be dialled', settings, async () => {
    const { client } = await clientOf({ targets: { allow: ['255.255.255.255/32'] } });
    await assert.rejects(client.openUdp('255.255.255.255:53'), coded('ERR_TARGET_UNREACHABLE'));
    await client.close();
  });

  test('ERR_NOT_FOUND: the proxy has another template', settings, async () => {
    const { client } = await clientOf({ template: '/elsewhere/{target_host}/{target_port}/' });
    await assert.rejects(client.openUdp('127.0.0.1:53'), coded('ERR_NOT_FOUND'));
    await client.close();
  });

  test('ERR_TOO_MANY: the second tunnel where one is allowed', settings, async () => {
    const { client } = await clientOf({ limits: { tunnelsPerUser: 1 } });
    await client.openUdp('127.0.0.1:53');
    await assert.rejects(client.openUdp('127.0.0.1:53'), coded('ERR_TOO_MANY'));
    await client.close();
  });

  test('ERR_CONNECTION_LOST: the proxy is killed before it answers', settings, async () => {
    const names = await startSlowNameServer(0);
    const proxy = await startChildProxy({ nameServers: [names.address] });
    const connection = await createFaultDialler().dial('h2', proxy);
    const { ready } = openTunnel(connection, 'a.silent.test', 53);
    const opening = assert.rejects(ready, coded('ERR_CONNECTION_LOST'));
    while ((await proxy.info()).lookups === 0);
    await proxy.kill();
    await opening;
  });
});
