import type { ClientCore, Ground } from './client-core.js';

/** What the client of a hop stands on: the client of the hop before it. */
export function groundOnHop(outer: ClientCore): Ground {
  return { sockets: outer.sockets, tcp: outer.tcp, hold: outer.holdTunnels, close: outer.closeQuietly };
}
