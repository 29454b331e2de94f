/**
 * Runs a proxy inside a program, with its own idea of who may use it, until standard input ends.
 *
 *   node dist/examples/proxy-in-a-program.js CERT.pem KEY.pem 127.0.0.1:4433
 */
import { readFile } from 'node:fs/promises';
import { createProxy } from '../src/proxy/index.js';

const [cert, key, listen = '127.0.0.1:4433'] = process.argv.slice(2);
if (cert === undefined || key === undefined) {
  console.error('usage: node dist/examples/proxy-in-a-program.js CERT.pem KEY.pem [HOST:PORT]');
  process.exit(2);
}

await using proxy = await createProxy({
  listen,
  tls: { cert: await readFile(cert), key: await readFile(key) },
  async authenticate(credential) {
    const known =
      credential.scheme === 'basic' && credential.name === 'ann' && credential.password === 'example';
    return known ? { name: credential.name } : null;
  },
  targets: { allow: ['127.0.0.0/8'] },
  decide: ({ target }) =>
    target.port === 25
      ? { action: 'refuse', status: 403, error: 'http_request_denied' }
      : { action: 'direct' },
  onEvent(event) {
    if (event.event === 'tunnel-opened') console.log(`${event.user} opened a tunnel over ${event.version}`);
  },
});
console.log(`listening on port ${proxy.addresses[0]?.port}`);

for await (const _ of process.stdin);
