import type { Clock } from '../../clock/clock.js';
import type { QuicEngine } from '../engine.js';
import { createSimulatedEngine, type NetworkCore } from './engine.js';
import { createHost, type HostOptions } from './host.js';
import { createLink, type LinkConditions } from './link.js';
import { seededRandom } from './random.js';
import { createScheduler } from './scheduler.js';

export interface SimulatedNetworkOptions extends Partial<LinkConditions> {
  readonly clock: Clock;
  /** The same seed, and the same calls, give the same run. Default 1. */
  readonly seed?: number;
}

/**
 * QUIC, UDP and TCP between hosts that exist only here: the types of `src/quic` without cryptography, on the
 * clock that it is given. Nothing is ever told synchronously; views are overwritten after each call.
 */
export interface SimulatedNetwork {
  /** The machine at this address, made on first use; options given later replace those before. */
  engine(address: string, options?: HostOptions): QuicEngine;
  /** Changes what happens to packets from now on; both ends find out a new MTU at once. */
  set(conditions: Partial<LinkConditions>): void;
  /** Changes the MTU without anybody noticing: larger packets vanish until `set` tells. */
  shrinkSilently(mtu: number): void;
  /** Everything from and to this host vanishes, without a word to anybody. */
  cut(address: string): void;
  /** The host is reachable again; stream data that was lost meanwhile is sent again. */
  restore(address: string): void;
  /** The host forgets its connections without telling; peers that send get a stateless reset, or RST. */
  crash(address: string): void;
  /** The host's connections continue from another port, as after a NAT rebinding. */
  rebind(address: string): void;
  /** Connections open on a host. */
  connections(address: string): number;
}

const perfect: LinkConditions = {
  latency: 5,
  jitter: 0,
  loss: 0,
  reorder: 0,
  mtu: 1472,
  bandwidth: undefined,
};

export function createSimulatedNetwork(options: SimulatedNetworkOptions): SimulatedNetwork {
  const { clock, seed = 1, ...conditions } = options;
  const scheduler = createScheduler(clock);
  const link = createLink(scheduler, seededRandom(seed), { ...perfect, ...conditions });
  let connectionIds = 0;
  const core: NetworkCore = {
    clock,
    scheduler,
    link,
    hosts: new Map(),
    nextConnectionId: () => ++connectionIds,
  };
  const endsOf = (address: string) => [...(core.hosts.get(address)?.ends ?? [])];

  return {
    engine(address, hostOptions) {
      const host = core.hosts.get(address) ?? createHost(address, hostOptions ?? {});
      if (hostOptions) host.options = hostOptions;
      core.hosts.set(address, host);
      return createSimulatedEngine(core, host);
    },
    set(changes) {
      const { mtu } = link.conditions;
      Object.assign(link.conditions, changes);
      if (link.conditions.mtu === mtu && changes.mtu === undefined) return;
      scheduler.after(0, () => {
        for (const host of core.hosts.values()) {
          for (const end of host.ends) end.pathMtu(link.conditions.mtu);
        }
      });
    },
    shrinkSilently(mtu) {
      link.conditions.mtu = mtu;
    },
    cut: link.cut,
    restore: link.restore,
    crash(address) {
      for (const end of endsOf(address)) end.vanish();
      for (const end of [...(core.hosts.get(address)?.tcpEnds ?? [])]) end.vanish();
    },
    rebind(address) {
      const host = core.hosts.get(address);
      for (const end of endsOf(address)) {
        const port = host?.freePort();
        if (port !== undefined) end.rebound({ address, port });
      }
    },
    connections: (address) => core.hosts.get(address)?.ends.size ?? 0,
  };
}
