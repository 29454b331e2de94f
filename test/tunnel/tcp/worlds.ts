import type { Clock } from '../../../src/clock/clock.js';
import { systemClock } from '../../../src/clock/system-clock.js';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import type { HttpAccept, HttpClientConnection } from '../../../src/http/connection.js';
import { createFakePair } from '../../../src/http/fake/pair.js';
import { dialH1 } from '../../../src/http/h1/dial.js';
import { dialH2 } from '../../../src/http/h2/dial.js';
import { listenTcp } from '../../../src/http/tcp/listener.js';
import type { HttpVersion } from '../../../src/protocol/reset-reason.js';
import { createNativeEngine, selfSigned } from '../../../src/quic/native/index.js';
import { connectH3 } from '../../http/h3/conformance-pair.js';
import { certificate, clientTls } from '../../http/tcp/peers.js';

/** A client's connection to a server, both here. */
export interface Connected {
  readonly client: HttpClientConnection;
  readonly clock: Clock;
  /** Lets a little time pass. */
  settle(): Promise<void>;
  /** Cuts the connection off; absent where a version cannot do it at once. */
  cut?(): void;
  close(): Promise<void>;
}

/** A version of HTTP, and what carries it. */
export interface World {
  readonly name: string;
  readonly version: HttpVersion;
  connect(accept: HttpAccept): Promise<Connected>;
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));
const dialTime = 10_000;

const fake = (version: 'h3' | 'h2'): World => ({
  name: `fake ${version}`,
  version,
  async connect(accept) {
    const clock = createVirtualClock();
    const pair = createFakePair({ clock, accept, version, nativeDatagrams: version === 'h3' });
    return {
      client: pair.client,
      clock,
      settle: () => clock.advanceAsync(5),
      cut: pair.crashServer,
      async close() {
        const closing = pair.client.close();
        await clock.advanceAsync(10);
        await closing;
      },
    };
  },
});

const h3: World = {
  name: 'h3',
  version: 'h3',
  async connect(accept) {
    const engines = { server: createNativeEngine(), client: createNativeEngine() };
    const { client } = await connectH3(
      {
        ...engines,
        clock: systemClock,
        local: { address: '127.0.0.1', port: 0 },
        certificates: [selfSigned(['proxy.test'], 10)],
        trust: { mode: 'insecure' },
        idleTimeout: 30_000,
      },
      { accept, client: {} },
      (dialling) => dialling,
    );
    return {
      client,
      clock: systemClock,
      settle: pause,
      cut: () => void client.close(),
      async close() {
        await Promise.all([engines.client.close(), engines.server.close()]);
      },
    };
  },
};

const overTls = (version: 'h2' | 'h1'): World => ({
  name: version,
  version,
  async connect(accept) {
    const engine = createNativeEngine();
    let ids = 0;
    const listener = await listenTcp(
      {
        engine,
        local: { address: '127.0.0.1', port: 0 },
        tls: { certificates: [certificate], alpn: ['h2', 'http/1.1'] },
        clock: systemClock,
        nextConnectionId: () => ++ids,
      },
      accept,
    );
    const options = { remote: listener.localAddress, tls: clientTls, clock: systemClock };
    const signal = AbortSignal.timeout(dialTime);
    const client = await (version === 'h2'
      ? dialH2(undefined, options, {}, signal)
      : dialH1(undefined, options, {}, signal));
    return {
      client,
      clock: systemClock,
      settle: pause,
      cut: () => void client.close(),
      async close() {
        await client.close();
        await listener.close();
        await engine.close();
      },
    };
  },
});

export const worlds: readonly World[] = [fake('h3'), fake('h2'), h3, overTls('h2'), overTls('h1')];

/** Lets time pass until the condition holds, at most for a good while. */
export async function until(
  connected: Pick<Connected, 'settle'>,
  condition: () => boolean,
  what: string,
): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await connected.settle();
  }
}
