/**
 * Sends a datagram to a UDP service through a proxy and prints the answer.
 *
 *   BAUTA_PROXY='https://NAME:PASSWORD@HOST:PORT/#pin=…' node dist/examples/udp-through-proxy.js HOST:PORT TEXT
 */
import { once } from 'node:events';
import { connect } from '../src/client/index.js';

const [target, text = 'hello'] = process.argv.slice(2);
const link = process.env['BAUTA_PROXY'];
if (target === undefined || link === undefined) {
  console.error("usage: BAUTA_PROXY='LINK' node dist/examples/udp-through-proxy.js HOST:PORT [TEXT]");
  process.exit(2);
}

await using client = await connect(link);
await using tunnel = await client.openUdp(target);

const answer = once(tunnel, 'message', { signal: AbortSignal.timeout(5_000) });
tunnel.send(text);
const [message] = await answer;
console.log(`${message} from ${tunnel.remoteAddress().address} over ${client.info().version}`);
