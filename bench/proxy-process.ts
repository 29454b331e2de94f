/*
 * The proxy under test, in a process of its own. Its arguments are a folder, which gets the certificate and
 * the key unless it has them, and the data path; it tells its port as one line of JSON, and ends when its standard
 * input does.
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createProxy } from '../src/proxy/index.js';
import { selfSigned } from '../src/quic/native/index.js';
import type { DataPath } from '../src/tunnel/data-path.js';

const [folder, dataPath = 'auto'] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: proxy-process FOLDER [DATA-PATH]');
const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
// A second proxy of the same run has the certificate of the first.
const tls = existsSync(certFile)
  ? { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
  : selfSigned(['localhost', '127.0.0.1'], 2);
await writeFile(certFile, tls.cert);
await writeFile(keyFile, tls.key, { mode: 0o600 });
const proxy = await createProxy({
  listen: '127.0.0.1:0',
  tls,
  authenticate: 'anyone',
  targets: { allow: ['127.0.0.0/8'] },
  dataPath: dataPath as DataPath,
});
process.stdout.write(`${JSON.stringify({ port: proxy.addresses[0]?.port })}\n`);
process.stdin.once('end', () => void proxy.close());
process.stdin.resume();
