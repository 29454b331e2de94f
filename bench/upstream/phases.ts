import { deafHandler } from '../../src/http/h3/deaf-handler.js';
import type { RequestHead } from '../../src/http/request.js';
import { connectTls } from '../../src/http/tls/connect.js';
import {
  createHttpDriver,
  dialOwner,
  type QuicEngine,
  systemClock,
  type UpstreamTls,
} from '../../src/upstream/index.js';
import { quantile } from './measure-openings.js';
import { createOpening } from './openers.js';

const ROUNDS = 10;
const never = (): AbortSignal => new AbortController().signal;

/** Milliseconds until a connection can carry something of this side: QUIC, or TCP and TLS. */
async function timeOfHandshake(engine: QuicEngine, tls: UpstreamTls, version: 'h3' | 'h2', port: number) {
  const remote = { address: '127.0.0.1', port };
  const { trust } = tls;
  const client = { trust, serverName: tls.serverName ?? 'localhost', alpn: [version] };
  const start = performance.now();
  if (version === 'h2') {
    const options = { remote, tls: client, handshakeTimeout: 10_000, clock: systemClock };
    const { raw } = await connectTls(options, never());
    const time = performance.now() - start;
    raw.destroy();
    return time;
  }
  const none = (): undefined => undefined;
  const quic = await engine.connect(
    { remote, tls: client },
    () => ({ stream: () => deafHandler, datagram: none, maxDatagramSize: none, closed: none }),
    never(),
  );
  const time = performance.now() - start;
  quic.close(0x100, '');
  return time;
}

/** Where the time of a fresh connection goes, one at a time; printed, medians. */
export async function measurePhases(
  engine: QuicEngine,
  tls: UpstreamTls,
  version: 'h3' | 'h2',
  port: number,
  head: RequestHead,
): Promise<void> {
  const driver = createHttpDriver({ clock: systemClock, engine: () => engine, resolve: async () => [] });
  const phases: [handshake: number[], settings: number[], answer: number[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    phases[0].push(await timeOfHandshake(engine, tls, version, port));
    const start = performance.now();
    const target = { host: '127.0.0.1', port, version, tls };
    const result = await dialOwner(driver, target, { clock: systemClock, tag: '' }, never());
    phases[1].push(performance.now() - start);
    if (result.kind === 'failed') throw result.error;
    const { session, open } = createOpening();
    await result.owner.acquireStream(head, session);
    await open;
    phases[2].push(performance.now() - start);
    await result.owner.stop();
  }
  const [handshake, settings, answer] = phases.map((times) =>
    quantile(
      [...times].sort((a, b) => a - b),
      0.5,
    ).toFixed(1),
  );
  console.log(
    `a fresh ${version} connection: handshake done after ${handshake} ms, SETTINGS here after ${settings} ms, tunnel open after ${answer} ms`,
  );
}
