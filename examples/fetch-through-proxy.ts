/**
 * Fetches a page through a proxy with Node's own `fetch`, and prints status and text.
 *
 *   BAUTA_PROXY='https://NAME:PASSWORD@HOST:PORT/#pin=…' node dist/examples/fetch-through-proxy.js URL
 */
import { Agent, setGlobalDispatcher } from 'undici';
import { connect } from '../src/client/index.js';

const [url] = process.argv.slice(2);
const link = process.env['BAUTA_PROXY'];
if (url === undefined || link === undefined) {
  console.error("usage: BAUTA_PROXY='LINK' node dist/examples/fetch-through-proxy.js URL");
  process.exit(2);
}

await using client = await connect(link);
const agent = new Agent({ connect: client.connector() });
setGlobalDispatcher(agent);

const response = await fetch(url);
console.log(`${response.status} ${await response.text()}`);
await agent.close();
