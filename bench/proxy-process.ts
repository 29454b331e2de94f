/*
 * The proxy under test, in a process of its own. Its arguments are a folder, which gets the certificate and
 * the key unless it has them, and settings as JSON. It tells its port as one line of JSON, answers each line of
 * its standard input, once it has collected its garbage, with the memory it has, and ends when that input does.
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { hash } from '@node-rs/argon2';
import { publicKeyPin } from '../src/ops/public-key-pin.js';
import { createPasswordStore, createProxy } from '../src/proxy/index.js';
import { selfSigned } from '../src/quic/native/index.js';
import type { ProxySettings } from './subjects.js';

const [folder, json = '{}'] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: proxy-process FOLDER [SETTINGS]');
const { dataPath = 'auto', password, limits, shards, via } = JSON.parse(json) as ProxySettings;
const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
// A second proxy of the same run has the certificate of the first.
const known = existsSync(certFile);
const tls = known
  ? { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
  : selfSigned(['localhost', '127.0.0.1'], 2);
if (!known) {
  await writeFile(keyFile, tls.key, { mode: 0o600 });
  await writeFile(certFile, tls.cert);
}
const users = password === undefined ? undefined : createPasswordStore([['load', await hash(password)]]);
const proxy = await createProxy({
  listen: '127.0.0.1:0',
  tls,
  authenticate: users?.authenticate ?? 'anyone',
  targets: { allow: ['127.0.0.0/8'] },
  dataPath,
  ...(limits ? { limits } : {}),
  ...(shards ? { shards } : {}),
  ...(via ? { via: `https://127.0.0.1:${via}/#pin=${publicKeyPin(tls.cert)}`, viaVersions: ['h3'] } : {}),
});
const tell = (what: object): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
tell({ port: proxy.addresses[0]?.port });
const input = createInterface(process.stdin);
input.on('line', () => {
  globalThis.gc?.();
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  tell({ rss, heapUsed, external });
});
input.once('close', () => void proxy.close());
