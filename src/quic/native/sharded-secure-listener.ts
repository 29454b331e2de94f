import type { SecureAccept, SecureListener, SecureListenOptions } from '../secure-socket.js';
import type { NativeBinding } from './binding.js';
import { openTcpGroup, secureLimits } from './secure.js';
import type { EngineShard } from './shard.js';

/** `TcpSockets.listenSecure` of several engines: the kernel spreads the connections over their sockets. */
export async function listenSecureOnAll(
  binding: NativeBinding,
  shards: readonly EngineShard[],
  options: SecureListenOptions,
  accept: SecureAccept,
): Promise<SecureListener> {
  const group = openTcpGroup(binding, options, shards.length);
  const members = shards.slice(0, group.shards);
  const part = (whole: number): number => Math.ceil(whole / members.length);
  const limits = secureLimits(options);
  const ofEach: SecureListenOptions = {
    ...options,
    maxHandshakes: part(limits.maxHandshakes),
    maxHandshakesPerAddress: part(limits.maxHandshakesPerAddress),
    maxConnections: part(limits.maxConnections),
  };
  const outcomes = await Promise.allSettled(
    members.map((shard, index) => shard.listenSecureAs(ofEach, accept, { group, index })),
  );
  group.close();
  const listeners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const refused = outcomes.find((outcome) => outcome.status === 'rejected');
  const [one] = listeners;
  if (refused || !one) {
    for (const listener of listeners) listener.close();
    throw refused?.reason;
  }
  return {
    localAddress: one.localAddress,
    shards: listeners.length,
    setCertificates(certificates) {
      for (const listener of listeners) listener.setCertificates(certificates);
    },
    stopAccepting() {
      for (const listener of listeners) listener.stopAccepting();
    },
    close() {
      for (const listener of listeners) listener.close();
    },
    statistics() {
      const all = listeners.map((listener) => listener.statistics());
      return {
        handshakes: all.reduce((sum, each) => sum + each.handshakes, 0),
        refused: all.reduce((sum, each) => sum + each.refused, 0),
      };
    },
  };
}
