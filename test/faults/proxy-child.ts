import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { queryObjects, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RequestStream as H2RequestStream } from '../../src/http/h2/request-stream.js';
import { RequestStream } from '../../src/http/h3/request-stream.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import { createProxy, type ProxyOptions } from '../../src/proxy/index.js';
import { NativeConnection } from '../../src/quic/native/connection.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { NativeSecureSocket } from '../../src/quic/native/secure-socket.js';
import { NativeUdpSocket } from '../../src/quic/native/sockets.js';
import { NativeStream } from '../../src/quic/native/stream.js';
import { dataPath } from '../data-path.js';
import { shardOption } from '../shards.js';
import { descriptorsOf, type Standing, tally } from './standing.js';

/** What a test asks of the proxy's process, answered in order. */
export type ProxyCall =
  | { readonly call: 'start'; readonly options: Partial<ProxyOptions> & Pick<ProxyOptions, 'tls'> }
  | { readonly call: 'standing' }
  | { readonly call: 'memory' }
  | { readonly call: 'info' }
  | { readonly call: 'events' }
  | { readonly call: 'tunnels' }
  | { readonly call: 'certificate'; readonly tls: { readonly cert: string; readonly key: string } }
  | { readonly call: 'close' };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Classes whose objects stand for something open. */
const watched = [
  ['QUIC connection', NativeConnection],
  ['QUIC stream', NativeStream],
  ['UDP socket', NativeUdpSocket],
  ['HTTP/3 request', RequestStream],
  ['TLS socket', NativeSecureSocket],
  ['HTTP/2 request', H2RequestStream],
  ['TCP socket', Socket],
  // What this process has itself to speak with its parent is among these.
  ['duplex', Duplex],
] as const;

const engine = createNativeEngine(shardOption);
const events: ProxyEvent[] = [];
let proxy: Awaited<ReturnType<typeof createProxy>> | undefined;

const liveObjects = (): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const [name, kind] of watched) {
    counts[name] = queryObjects(kind, { format: 'count' });
  }
  return counts;
};

/** What is left once nothing is going on: collects until the heap no longer shrinks. */
async function standing(): Promise<Standing> {
  let heap = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10; round++) {
    await delay(100);
    collect();
    const { heapUsed } = process.memoryUsage();
    if (heapUsed > heap * 0.99) break;
    heap = heapUsed;
  }
  const objects = liveObjects();
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  return {
    ...descriptorsOf('self'),
    resources: tally(process.getActiveResourcesInfo()),
    objects,
    heap: heapUsed,
    external,
    resident: rss,
  };
}

async function answer(call: ProxyCall): Promise<unknown> {
  switch (call.call) {
    case 'start':
      proxy = await createProxy({
        listen: '127.0.0.1:0',
        authenticate: 'anyone',
        targets: { allow: ['127.0.0.0/8', '::1'] },
        dataPath,
        ...call.options,
        engine,
        onEvent: (event) => {
          events.push(event);
          if (events.length > 5_000) events.splice(0, 2_500);
        },
      });
      return proxy.addresses;
    case 'standing':
      events.length = 0;
      return standing();
    case 'memory':
      return process.memoryUsage();
    case 'info':
      return proxy?.info();
    case 'events':
      return events.splice(0);
    case 'tunnels':
      return proxy?.tunnels();
    case 'certificate':
      return proxy?.setCertificates(call.tls);
    case 'close':
      await proxy?.close();
      await engine.close();
      process.disconnect();
      return undefined;
  }
}

let last: Promise<void> = Promise.resolve();
process.on('message', (call: ProxyCall) => {
  last = last.then(async () => {
    try {
      const value = await answer(call);
      if (process.connected) process.send?.({ value });
    } catch (error) {
      const code = error instanceof BautaError ? `${error.code}: ` : '';
      process.send?.({ error: `${code}${error instanceof Error ? error.stack : String(error)}` });
    }
  });
});
