/**
 * Asks one server several times at once through a proxy with undici: over HTTP/2 where the server has it, else
 * over a few connections that are kept. Prints the status and the size of each answer.
 *
 *   BAUTA_PROXY='https://NAME:PASSWORD@HOST:PORT/#pin=…' node dist/examples/undici-through-proxy.js URL [CA.pem]
 */
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { connect } from '../src/client/index.js';

const [url, ca] = process.argv.slice(2);
const link = process.env['BAUTA_PROXY'];
if (url === undefined || link === undefined) {
  console.error("usage: BAUTA_PROXY='LINK' node dist/examples/undici-through-proxy.js URL [CA.pem]");
  process.exit(2);
}

await using client = await connect(link);
const trust = ca === undefined ? {} : { ca: await readFile(ca) };
const dispatcher = new Agent({
  allowH2: true,
  connections: 4,
  connect: client.connector({ allowH2: true, ...trust }),
});

const answers = Array.from({ length: 10 }, async () => {
  const { statusCode, body } = await request(url, { dispatcher });
  return `${statusCode} ${(await body.arrayBuffer()).byteLength} bytes`;
});
for (const answer of answers) console.log(await answer);
await dispatcher.close();
