import { createVirtualClock, type VirtualClock } from '../../../src/clock/virtual-clock.js';
import { createFakePair, type FakePair, type FakePairOptions } from '../../../src/http/fake/pair.js';
import type { ResponseHead } from '../../../src/http/request.js';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';
import { createEarlyRoom, type EarlyRoom } from '../../../src/tunnel/udp/early-payloads.js';
import { type OpenUdpTunnel, openUdpTunnel } from '../../../src/tunnel/udp/open-udp.js';
import { serveUdp, type UdpDialOutcome, type UdpServing } from '../../../src/tunnel/udp/serve-udp.js';
import { createScriptedSockets, type ScriptedSocket, type ScriptedSockets } from './scripted-sockets.js';

/** Both sides of CONNECT-UDP over an in-memory connection, with a scripted target. */
export interface UdpPair {
  readonly clock: VirtualClock;
  readonly connection: FakePair;
  readonly sockets: ScriptedSockets;
  /** The only socket. */
  readonly target: () => ScriptedSocket;
  readonly served: UdpServing[];
  readonly streams: ServerStream[];
  readonly earlyRoom: EarlyRoom;
  /** Answer instead of opening a socket. */
  refuse: ResponseHead | undefined;
}

export interface Opened {
  readonly tunnel: OpenUdpTunnel;
  readonly payloads: Buffer[];
}

export const target = { address: '198.51.100.7', port: 53 };

export function createUdpPair(options: Partial<FakePairOptions> & { idleTimeout?: number } = {}): UdpPair {
  const clock = createVirtualClock();
  const sockets = createScriptedSockets();
  const served: UdpServing[] = [];
  const streams: ServerStream[] = [];
  const earlyRoom = createEarlyRoom(200_000);
  const { idleTimeout = 120_000, ...rest } = options;
  const connection = createFakePair({
    clock,
    accept: () => ({
      request(stream) {
        streams.push(stream);
        const serving = serveUdp(
          stream,
          async (handler): Promise<UdpDialOutcome> => {
            if (pair.refuse) return { kind: 'refused', head: pair.refuse };
            const socket = await sockets.face.open({ remote: target }, handler);
            return {
              kind: 'open',
              far: socket,
              fields: [['proxy-status', 'proxy; next-hop="198.51.100.7:53"']],
            };
          },
          { clock, idleTimeout, earlyRoom },
        );
        served.push(serving);
        return serving.streamHandler;
      },
    }),
    transport: { idleTimeout: 3_600_000 },
    ...rest,
  });
  const pair: UdpPair = {
    clock,
    connection,
    sockets,
    target() {
      const [only, ...more] = sockets.opened;
      if (!only || more.length > 0) throw new Error(`${sockets.opened.length} sockets instead of one`);
      return only;
    },
    served,
    streams,
    earlyRoom,
    refuse: undefined,
  };
  return pair;
}

/** Opens a tunnel and, unless told otherwise, lets it come up. */
export async function open(
  pair: UdpPair,
  { settle = true, signal = new AbortController().signal }: { settle?: boolean; signal?: AbortSignal } = {},
): Promise<Opened> {
  const payloads: Buffer[] = [];
  const tunnel = openUdpTunnel(
    pair.connection.client,
    {
      authority: 'proxy.test',
      path: '/.well-known/masque/udp/198.51.100.7/53/',
      fields: [],
      clock: pair.clock,
      timeout: 10_000,
    },
    {
      payload: (bytes, start, end) =>
        payloads.push(Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end))),
    },
    signal,
  );
  if (settle) {
    await pair.clock.advanceAsync(20);
    await tunnel.ready;
  }
  return { tunnel, payloads };
}

export function send(tunnel: OpenUdpTunnel, payload: string | Uint8Array): string {
  const bytes = Buffer.from(payload);
  return tunnel.send(bytes, 0, bytes.length);
}
