import type { QuicTransportOptions } from '../engine.js';

/**
 * Transport settings with every default filled in. `sendWindow` means nothing here: the simulated network
 * never forgets what is to be sent again, so it needs no buffer for it.
 */
export type Transport = Required<Omit<QuicTransportOptions, 'keepAlive' | 'congestion'>> &
  Pick<QuicTransportOptions, 'keepAlive'>;

const defaults: Transport = {
  idleTimeout: 30_000,
  maxBidirectionalStreams: 1024,
  maxUnidirectionalStreams: 16,
  streamReceiveWindow: 1 << 20,
  receiveWindow: 16 << 20,
  sendWindow: 16 << 20,
  datagramReceiveBuffer: 1 << 20,
  datagramSendBuffer: 1 << 20,
  datagramMaxAge: 250,
  initialMtu: 1350,
  mtuDiscoveryUpTo: 1452,
};

/** Later settings win. */
export const transportOf = (...settings: readonly (QuicTransportOptions | undefined)[]): Transport =>
  Object.assign({}, defaults, ...settings);
