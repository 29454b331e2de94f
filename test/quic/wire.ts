import type { SocketAddress } from '../../src/quic/address.js';
import type { VirtualPacketPath } from '../../src/quic/engine.js';
import { createLog } from './pair.js';

/** A path whose packets a test carries. */
export interface Wire extends VirtualPacketPath {
  readonly log: ReturnType<typeof createLog>;
  deliver(bytes: Uint8Array, start: number, end: number, from: SocketAddress): void;
  send: (bytes: Uint8Array, start: number, end: number) => void;
  /** The largest packet that the engine gave to it. */
  largest: number;
}

/** A path that loses everything until `send` is set. */
export function wire(localAddress: SocketAddress, maxPacketSize: number): Wire {
  const log = createLog();
  const made: Wire = {
    maxPacketSize,
    localAddress,
    log,
    largest: 0,
    send: () => undefined,
    deliver: () => undefined,
    transmit(bytes, start, end) {
      made.largest = Math.max(made.largest, end - start);
      made.send(bytes, start, end);
    },
    attach(deliver) {
      made.deliver = deliver;
      log.push('attached');
    },
    closed: () => log.push('closed'),
  };
  return made;
}

/** Carries the packets of two paths to each other, those of up to `most()` bytes. */
export function join(left: Wire, right: Wire, most: () => number = () => Infinity): void {
  left.send = (bytes, start, end) => {
    if (end - start <= most()) right.deliver(bytes, start, end, left.localAddress);
  };
  right.send = (bytes, start, end) => {
    if (end - start <= most()) left.deliver(bytes, start, end, right.localAddress);
  };
}

export const near: SocketAddress = { address: '192.0.2.1', port: 1000 };
export const far: SocketAddress = { address: '2001:db8::2', port: 443 };
