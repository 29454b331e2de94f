import type { HttpVersion } from '../protocol/reset-reason.js';
import type { SocketAddress } from '../quic/address.js';
import type { RelayEvent } from '../relay/relay.js';
import type { TcpTunnelStatistics } from '../tunnel/tcp/tunnel-statistics.js';
import type { UdpTunnelStatistics } from '../tunnel/udp/tunnel-statistics.js';

/** One tunnel, as events and `info` name it. */
export interface TunnelDescription {
  /** Unique in this proxy. */
  readonly id: number;
  readonly kind: 'udp' | 'tcp';
  readonly connection: number;
  readonly version: HttpVersion;
  readonly user: string;
  readonly client: SocketAddress;
  /** As the client asked. */
  readonly target: { readonly host: string; readonly port: number };
  /** What was dialled: the target, or the next hop. */
  readonly nextHop: SocketAddress;
  /** The next hop as `HOST:PORT`, where the tunnel goes to one. */
  readonly via?: string;
}

/** What a tunnel carried. */
export type TunnelCounters =
  | {
      readonly kind: 'udp';
      /** What moves its payloads, or did in the end. */
      readonly dataPath: 'js' | 'splice';
      readonly statistics: UdpTunnelStatistics;
    }
  | {
      readonly kind: 'tcp';
      readonly dataPath: 'js' | 'splice';
      readonly statistics: TcpTunnelStatistics;
    };

/** Why a tunnel ended. */
export type TunnelEndReason =
  /** Both sides of a TCP tunnel ended it. */
  'ended' | 'client' | 'idle' | 'target' | 'hop' | 'protocol' | 'drained' | 'lost';

/** What a proxy tells of itself. No credential is ever part of it. */
export type ProxyEvent =
  | {
      readonly event: 'listening';
      readonly addresses: readonly ListeningAddress[];
      /** Threads that QUIC connections are spread over. */
      readonly shards: number;
    }
  | {
      readonly event: 'connection-opened';
      readonly connection: number;
      readonly version: HttpVersion;
      readonly client: SocketAddress;
    }
  | {
      readonly event: 'connection-closed';
      readonly connection: number;
      readonly reason: string;
      readonly detail: string;
    }
  /** A connection was closed at once for a limit. */
  | { readonly event: 'connection-refused'; readonly client: SocketAddress; readonly limit: string }
  | ({ readonly event: 'tunnel-opened' } & TunnelDescription)
  | ({
      readonly event: 'tunnel-closed';
      readonly reason: TunnelEndReason;
      readonly detail: string;
      /** Milliseconds. */
      readonly duration: number;
    } & TunnelDescription &
      TunnelCounters)
  /** A plain `http://` request is over; what it asked for is nobody's business. */
  | {
      readonly event: 'request-forwarded';
      readonly connection: number;
      readonly version: HttpVersion;
      readonly user: string;
      readonly client: SocketAddress;
      readonly target: { readonly host: string; readonly port: number };
      readonly method: string;
      /** Undefined where the client left before the origin answered. */
      readonly status: number | undefined;
      /** False where it was cut off on the way. */
      readonly complete: boolean;
      /** Milliseconds. */
      readonly duration: number;
      /** Content towards the origin and towards the client, bytes. */
      readonly bytesIn: number;
      readonly bytesOut: number;
    }
  | {
      readonly event: 'request-refused';
      readonly connection: number;
      readonly version: HttpVersion;
      readonly client: SocketAddress;
      /** Absent for a stranger. */
      readonly user: string | undefined;
      readonly target: { readonly host: string; readonly port: number } | undefined;
      readonly status: number;
      readonly code: string;
      readonly detail: string;
    }
  /** Connections to next hops. */
  | RelayEvent
  | { readonly event: 'draining'; readonly timeout: number }
  /** The engine has died of a defect of its own; the proxy closes. */
  | { readonly event: 'failed'; readonly reason: string }
  | { readonly event: 'closed' }
  /** This reader was too slow and missed that many. */
  | { readonly event: 'missed'; readonly count: number };

export interface ListeningAddress {
  readonly transport: 'udp' | 'tcp';
  readonly address: string;
  readonly port: number;
}

export interface ProxyEvents {
  emit(event: ProxyEvent): void;
  /** A reader of its own: from now on, in order, bounded. Ends after `closed`. */
  read(): AsyncIterable<ProxyEvent>;
  /** No more events. */
  close(): void;
}

/** Events kept for one slow reader; the oldest go first. */
const MAX_KEPT = 4_096;

interface Reader {
  kept: ProxyEvent[];
  missed: number;
  wake: (() => void) | undefined;
}

export function createProxyEvents(listener: ((event: ProxyEvent) => void) | undefined): ProxyEvents {
  const readers = new Set<Reader>();
  let closed = false;

  return {
    emit(event) {
      if (closed) return;
      for (const reader of readers) {
        if (reader.kept.length >= MAX_KEPT) {
          reader.kept.shift();
          reader.missed++;
        }
        reader.kept.push(event);
        reader.wake?.();
      }
      try {
        listener?.(event);
      } catch {
        // A listener's failure is its own: it must not end a tunnel.
      }
    },
    read() {
      const reader: Reader = { kept: [], missed: 0, wake: undefined };
      if (!closed) readers.add(reader);
      return iterate(
        reader,
        () => closed,
        () => readers.delete(reader),
      );
    },
    close() {
      closed = true;
      for (const reader of readers) reader.wake?.();
    },
  };
}

async function* iterate(
  reader: Reader,
  closed: () => boolean,
  stop: () => void,
): AsyncGenerator<ProxyEvent, void, undefined> {
  try {
    while (true) {
      if (reader.missed > 0) {
        const count = reader.missed;
        reader.missed = 0;
        yield { event: 'missed', count };
        continue;
      }
      const next = reader.kept.shift();
      if (next) {
        yield next;
        continue;
      }
      if (closed()) return;
      await new Promise<void>((resolve) => {
        reader.wake = resolve;
      });
      reader.wake = undefined;
    }
  } finally {
    stop();
  }
}
