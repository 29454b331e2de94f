import type { TunnelStream } from '../../src/http/tunnel-stream.js';
import type { TransportConnection, TransportEvents } from '../../src/upstream/transport.js';

/** A connection that does nothing, so that what is measured is the owner's own work. */
export interface BareTransport {
  readonly connection: TransportConnection;
  readonly events: TransportEvents;
}

export function createBareTransport(): BareTransport {
  let events: TransportEvents | undefined;
  let ids = 0;
  const stream = (id: number): TunnelStream => ({
    version: 'h3',
    id,
    buffered: 0,
    maxDatagramSize: 1_200,
    nativeDatagrams: true,
    closed: new Promise(() => undefined),
    grant: () => undefined,
    write: () => true,
    end: () => undefined,
    sendDatagram: () => 'sent',
    reset: () => undefined,
  });
  return {
    get events() {
      if (!events) throw new Error('no owner listens');
      return events;
    },
    connection: {
      version: 'h3',
      id: 1,
      remoteAddress: { address: '127.0.0.1', port: 443 },
      settings: { extendedConnect: true, datagrams: true, maxStreams: undefined },
      usable: true,
      capacity: () => 'unlimited',
      listen(given) {
        events = given;
      },
      openStream() {
        const id = 4 * ids++;
        return { handle: id, tunnel: stream(id) };
      },
      register: () => undefined,
      unregister: () => undefined,
      cancel: () => undefined,
      close: () => Promise.resolve(),
      ping: () => Promise.resolve(1),
      statistics: () => Promise.resolve(undefined),
    },
  };
}
