import { randomBytes } from 'node:crypto';
import type { QuicAccept } from '../connection.js';
import {
  QuicConfigurationError,
  type QuicEngine,
  type QuicListener,
  type QuicListenOptions,
} from '../engine.js';
import type { NativeBinding } from './binding.js';
import { handshakeLimits } from './endpoints.js';
import { errnoName } from './errno.js';
import type { EngineShard } from './shard.js';
import { listenSecureOnAll } from './sharded-secure-listener.js';

/** What one shard may have of a number for all. */
const part = (whole: number, shards: number): number => Math.ceil(whole / shards);

/**
 * Several engines as one. A listener has an endpoint on each of them, and the kernel brings the packets of a
 * connection to its own by the connection id, whatever address they come from. Connections and sockets that are
 * opened here go where there is least.
 */
export function joinShards(
  binding: NativeBinding,
  shards: readonly [EngineShard, ...EngineShard[]],
): QuicEngine {
  const [first] = shards;
  const lightest = (): EngineShard => shards.reduce((one, other) => (other.load < one.load ? other : one));
  const failed = Promise.race(shards.map((shard) => shard.failed)).then((reason) => {
    for (const shard of shards) shard.abandon(reason);
    return reason;
  });
  return {
    // A path brings its packets to one engine.
    listen: (options, accept) =>
      options.path ? lightest().listen(options, accept) : listenOnAll(binding, shards, options, accept),
    connect: (options, accept, signal) => lightest().connect(options, accept, signal),
    udp: { open: (options, handler) => lightest().udp.open(options, handler) },
    tcp: {
      connect: (options, handler, signal) => lightest().tcp.connect(options, handler, signal),
      listen: (options, accept) => first.tcp.listen(options, accept),
      connectSecure: (options, handler, signal) => lightest().tcp.connectSecure(options, handler, signal),
      listenSecure: (options, accept) => listenSecureOnAll(binding, shards, options, accept),
    },
    failed,
    holdProcess(hold) {
      for (const shard of shards) shard.holdProcess(hold);
    },
    async close() {
      await Promise.all(shards.map((shard) => shard.close()));
    },
  };
}

async function listenOnAll(
  binding: NativeBinding,
  shards: readonly EngineShard[],
  options: QuicListenOptions,
  accept: QuicAccept,
): Promise<QuicListener> {
  const { address, port } = options.local;
  let group: InstanceType<NativeBinding['ListenerGroup']>;
  try {
    group = new binding.ListenerGroup(options.local, options.dualStack ?? false, shards.length);
  } catch (error) {
    throw new QuicConfigurationError(error instanceof Error ? error.message : String(error));
  }
  if (group.errno !== 0) {
    throw new QuicConfigurationError(`cannot listen on ${address} port ${port}`, errnoName(group.errno));
  }
  const members = shards.slice(0, group.shards);
  const { maxHandshakes, retryAbove } = handshakeLimits(options);
  const ofEach: QuicListenOptions = {
    ...options,
    // A token or a reset of one shard is one of all.
    secret: options.secret ?? randomBytes(64),
    maxHandshakes: part(maxHandshakes, members.length),
    retryAbove: part(retryAbove, members.length),
  };
  let left = members.length;
  // The sockets of a group go together: the kernel would number those that are left anew.
  const gone = (): void => {
    left -= 1;
    if (left === 0) group.close();
  };
  const outcomes = await Promise.allSettled(
    members.map((shard, index) => shard.listenAs(ofEach, accept, { group, index, gone })),
  );
  const listeners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const refused = outcomes.find((outcome) => outcome.status === 'rejected');
  const [one] = listeners;
  if (refused || !one) {
    await Promise.all(listeners.map((listener) => listener.close(0, '')));
    group.close();
    throw refused?.reason;
  }
  return joined(one, listeners);
}

function joined(one: QuicListener, listeners: readonly QuicListener[]): QuicListener {
  return {
    localAddress: one.localAddress,
    receiveBuffer: one.receiveBuffer,
    shards: listeners.length,
    setCertificates(certificates) {
      for (const listener of listeners) listener.setCertificates(certificates);
    },
    statistics() {
      const all = listeners.map((listener) => listener.statistics());
      const sum = (of: (each: ReturnType<QuicListener['statistics']>) => number): number =>
        all.reduce((total, each) => total + of(each), 0);
      return {
        handshakes: sum((each) => each.handshakes),
        refused: sum((each) => each.refused),
        retries: sum((each) => each.retries),
      };
    },
    stopAccepting() {
      for (const listener of listeners) listener.stopAccepting();
    },
    async close(code, reason) {
      await Promise.all(listeners.map((listener) => listener.close(code, reason)));
    },
  };
}
