/**
 * Writes and reads a value in Redis or Valkey through a proxy with `ioredis`, whose `Connector` opens each
 * connection.
 *
 *   BAUTA_PROXY='https://NAME:PASSWORD@HOST:PORT/#pin=…' node dist/examples/redis-through-proxy.js HOST:PORT TEXT
 */
import type { Socket } from 'node:net';
import { AbstractConnector, Redis } from 'ioredis';
import { connect } from '../src/client/index.js';

const [wanted, text = 'hello'] = process.argv.slice(2);
const link = process.env['BAUTA_PROXY'];
if (wanted === undefined || link === undefined) {
  console.error("usage: BAUTA_PROXY='LINK' node dist/examples/redis-through-proxy.js HOST:PORT [TEXT]");
  process.exit(2);
}
const target = wanted;

await using client = await connect(link);

class ThroughProxy extends AbstractConnector {
  constructor() {
    super(1_000);
  }

  async connect(): Promise<Socket> {
    // ioredis names `net.Socket`; a tunnel has all of it that ioredis uses.
    this.stream = (await client.openTcp(target)) as unknown as Socket;
    return this.stream;
  }
}

const redis = new Redis({ Connector: ThroughProxy });
await redis.set('bauta:example', text);
console.log(await redis.get('bauta:example'));
await redis.quit();
