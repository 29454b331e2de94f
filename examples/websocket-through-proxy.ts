/**
 * Sends a message over a WebSocket through a proxy with `ws`, and prints the answer.
 *
 *   BAUTA_PROXY='https://NAME:PASSWORD@HOST:PORT/#pin=…' node dist/examples/websocket-through-proxy.js URL TEXT
 */
import { once } from 'node:events';
import WebSocket from 'ws';
import { connect } from '../src/client/index.js';

const [url, text = 'hello'] = process.argv.slice(2);
const link = process.env['BAUTA_PROXY'];
if (url === undefined || link === undefined) {
  console.error("usage: BAUTA_PROXY='LINK' node dist/examples/websocket-through-proxy.js URL [TEXT]");
  process.exit(2);
}

await using client = await connect(link);
const agent = url.startsWith('wss:') ? client.httpsAgent : client.httpAgent;
const socket = new WebSocket(url, { agent });
await once(socket, 'open');

const answer = once(socket, 'message');
socket.send(text);
const [message] = await answer;
console.log(String(message));
socket.close();
await once(socket, 'close');
