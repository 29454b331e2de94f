import http, { type Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after } from 'node:test';
import type { OpenOptions, Target } from '../../../src/client/client.js';
import type { FrontEvent } from '../../../src/client/front/front-events.js';
import type { FrontGround } from '../../../src/client/front/front-ground.js';
import {
  type FrontEndKind,
  type FrontEndOptions,
  openFrontEnd,
} from '../../../src/client/front/open-front-end.js';
import { readTarget } from '../../../src/client/target-address.js';
import { systemClock } from '../../../src/clock/system-clock.js';
import { BautaError } from '../../../src/protocol/bauta-error.js';
import type { ErrorCode } from '../../../src/protocol/failures.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import type { UdpSocket } from '../../../src/quic/udp-socket.js';
import type { ByteSide, ByteSideHandler } from '../../../src/tunnel/tcp/byte-side.js';
import { socketSide, socketSideHandler } from '../../../src/tunnel/tcp/socket-side.js';
import type { OpenUdpTunnel, UdpTunnelHandler } from '../../../src/tunnel/udp/open-udp.js';
import { zeroUdpTunnelStatistics } from '../../../src/tunnel/udp/tunnel-statistics.js';

export interface DirectGround extends FrontGround {
  /** Hosts that stand for 127.0.0.1; nothing else has a name. */
  readonly names: Set<string>;
  /** Hosts whose tunnels fail, and how; `wait` never comes up. */
  readonly failing: Map<string, BautaError | 'wait'>;
  /** Targets of the tunnels that were asked for. */
  readonly asked: string[];
}

/** Tunnels that are sockets to their targets: what a front-end does is then seen without a proxy. */
export function directGround(): DirectGround {
  const engine = createNativeEngine();
  after(() => engine.close());
  const names = new Set<string>();
  const failing = new Map<string, BautaError | 'wait'>();
  const asked: string[] = [];
  const find = async (target: Target, options: OpenOptions) => {
    const { host, port } = readTarget(target);
    asked.push(`${host} ${port}`);
    const failure = failing.get(host);
    if (failure === 'wait') {
      const signal = options.signal ?? new AbortController().signal;
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new BautaError('ERR_ABORTED')), { once: true });
      });
    }
    if (failure instanceof BautaError) throw failure;
    return { address: names.has(host) ? '127.0.0.1' : host, port };
  };
  const agent = new http.Agent({ keepAlive: true });
  after(() => agent.destroy());
  const direct: Agent = Object.assign(agent, {
    createConnection(
      options: { host: string; port: number },
      callback: (error: Error | null, socket?: Socket) => void,
    ) {
      const failure = failing.get(options.host);
      if (failure instanceof BautaError) callback(failure);
      else callback(null, connect(options.port, names.has(options.host) ? '127.0.0.1' : options.host));
    },
  });
  return {
    names,
    failing,
    asked,
    httpAgent: direct,
    tcp: () => engine.tcp,
    sockets: () => engine.udp,
    async openRawTcp(target: Target, handler: ByteSideHandler, options: OpenOptions = {}): Promise<ByteSide> {
      const remote = await find(target, options);
      const signal = options.signal ?? new AbortController().signal;
      try {
        return socketSide(await engine.tcp.connect({ remote }, socketSideHandler(handler), signal));
      } catch (cause) {
        throw new BautaError('ERR_TARGET_CLOSED', { cause });
      }
    },
    async openRawUdp(target: Target, handler: UdpTunnelHandler, options: OpenOptions = {}) {
      const remote = await find(target, options);
      const socket: UdpSocket = await engine.udp.open(
        { remote },
        {
          packet: (bytes, start, end) => handler.payload(bytes, start, end),
          problem: () => undefined,
        },
      );
      let done: () => void = () => undefined;
      const tunnel: OpenUdpTunnel = {
        ready: Promise.resolve({ status: 200, fields: [] }),
        maxPayloadSize: 65_000,
        send: (bytes, start, end) => socket.send(bytes, start, end),
        statistics: zeroUdpTunnelStatistics,
        end() {
          socket.close();
          done();
        },
        reset: () => undefined,
        closed: new Promise((resolve) => {
          done = () => resolve({ kind: 'ended' });
        }),
      };
      return tunnel;
    },
  };
}

export interface TestFrontEnd {
  readonly port: number;
  readonly ground: DirectGround;
  readonly events: FrontEvent[];
  /** Resolves once an event of this type was told, the first of them. */
  told<T extends FrontEvent['type']>(type: T): Promise<Extract<FrontEvent, { type: T }>>;
  readonly connections: () => number;
  close(options?: { readonly drain?: number }): Promise<void>;
}

/** A front-end on loopback over sockets that are no tunnels. */
export async function startFrontEnd(
  kind: FrontEndKind,
  options: Partial<FrontEndOptions> = {},
): Promise<TestFrontEnd> {
  const ground = directGround();
  const events: FrontEvent[] = [];
  const front = await openFrontEnd({
    kind,
    local: { address: '127.0.0.1', port: 0 },
    ground,
    clock: systemClock,
    event: (event) => events.push(event),
    ...options,
  });
  after(() => front.close());
  return {
    port: front.localAddress.port,
    ground,
    events,
    connections: () => front.connections,
    close: (given) => front.close(given),
    async told(type) {
      type Wanted = Extract<FrontEvent, { type: typeof type }>;
      for (;;) {
        const found = events.find((event): event is Wanted => event.type === type);
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  };
}

export function failure(code: ErrorCode): BautaError {
  return new BautaError(code);
}
