import { createVirtualClock, type VirtualClock } from '../../src/clock/virtual-clock.js';
import type { QuicCloseReason, QuicConnection } from '../../src/quic/connection.js';
import type {
  QuicConnectOptions,
  QuicEngine,
  QuicListener,
  QuicListenOptions,
} from '../../src/quic/engine.js';
import type { HostOptions } from '../../src/quic/simulated/host.js';
import {
  createSimulatedNetwork,
  type SimulatedNetwork,
  type SimulatedNetworkOptions,
} from '../../src/quic/simulated/network.js';
import type { QuicStream, QuicStreamHandler } from '../../src/quic/stream.js';

export const serverAddress = '192.0.2.1';
export const clientAddress = '192.0.2.2';

/** Everything that one end was told, in order. */
export interface Recorder {
  readonly log: string[];
  readonly bytes: number[];
  readonly datagrams: Buffer[];
  readonly streams: QuicStream[];
  close: QuicCloseReason | undefined;
  /** Credit that each stream of the peer gets at once. */
  credit: number;
  onStream: ((stream: QuicStream) => QuicStreamHandler) | undefined;
}

export function createRecorder(credit = 1 << 24): Recorder {
  return { log: [], bytes: [], datagrams: [], streams: [], close: undefined, credit, onStream: undefined };
}

export function recordingHandler(recorder: Recorder, name: string): QuicStreamHandler {
  return {
    opened: (id) => recorder.log.push(`${name} opened ${id}`),
    data(bytes, start, end) {
      recorder.log.push(`${name} data ${end - start}`);
      for (let index = start; index < end; index++) recorder.bytes.push(bytes[index] ?? -1);
    },
    end: () => recorder.log.push(`${name} end`),
    reset: (code) => recorder.log.push(`${name} reset ${code}`),
    stopped: (code) => recorder.log.push(`${name} stopped ${code}`),
    drain: () => recorder.log.push(`${name} drain`),
    lost: () => recorder.log.push(`${name} lost`),
  };
}

const accept = (recorder: Recorder) => (_connection: QuicConnection) => ({
  stream(stream: QuicStream): QuicStreamHandler {
    recorder.streams.push(stream);
    recorder.log.push(`stream ${stream.id}`);
    const handler = recorder.onStream?.(stream) ?? recordingHandler(recorder, `s${stream.id}`);
    stream.grant(recorder.credit);
    return handler;
  },
  datagram(bytes: Uint8Array, start: number, end: number) {
    recorder.datagrams.push(Buffer.from(bytes.subarray(start, end)));
  },
  maxDatagramSize: (size: number) => recorder.log.push(`max ${size}`),
  migrated: (remote: { address: string; port: number }) => recorder.log.push(`migrated ${remote.address}`),
  closed(reason: QuicCloseReason) {
    recorder.log.push(`closed ${reason.kind}`);
    recorder.close = reason;
  },
});

export interface SimulatedPair {
  readonly clock: VirtualClock;
  readonly network: SimulatedNetwork;
  readonly serverEngine: QuicEngine;
  readonly clientEngine: QuicEngine;
  readonly listener: QuicListener;
  readonly client: QuicConnection;
  readonly server: QuicConnection;
  readonly atClient: Recorder;
  readonly atServer: Recorder;
}

export async function connectPair(
  conditions: Partial<SimulatedNetworkOptions> = {},
  hosts: { readonly server?: HostOptions; readonly client?: HostOptions } = {},
  connectOptions: Partial<QuicConnectOptions> = {},
  listenOptions: Partial<QuicListenOptions> = {},
): Promise<SimulatedPair> {
  const clock = createVirtualClock();
  const network = createSimulatedNetwork({ clock, ...conditions });
  const serverEngine = network.engine(serverAddress, hosts.server);
  const clientEngine = network.engine(clientAddress, hosts.client);
  const atServer = createRecorder();
  const atClient = createRecorder();
  const servers: QuicConnection[] = [];
  const listener = await serverEngine.listen(
    {
      local: { address: serverAddress, port: 443 },
      tls: { certificates: [], alpn: ['h3'] },
      ...listenOptions,
    },
    (connection) => {
      servers.push(connection);
      return accept(atServer)(connection);
    },
  );
  const connecting = clientEngine.connect(
    {
      remote: listener.localAddress,
      tls: { serverName: 'proxy.test', alpn: ['h3'], trust: { mode: 'system' } },
      ...connectOptions,
    },
    accept(atClient),
    new AbortController().signal,
  );
  connecting.catch(() => undefined);
  await clock.advanceAsync(1000);
  const client = await connecting;
  const server = servers[0];
  if (!server) throw new Error('the server saw no connection');
  atClient.log.length = 0;
  atServer.log.length = 0;
  return { clock, network, serverEngine, clientEngine, listener, client, server, atClient, atServer };
}
