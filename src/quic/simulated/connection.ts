import type { Clock } from '../../clock/clock.js';
import type { SocketAddress } from '../address.js';
import type {
  QuicCloseReason,
  QuicConnection,
  QuicConnectionHandler,
  QuicStatistics,
} from '../connection.js';
import type { QuicStream, QuicStreamHandler } from '../stream.js';
import { createDatagramQueue } from './datagram-queue.js';
import { type Frame, isByClient } from './frame.js';
import { createLane, type Lane, type Link } from './link.js';
import { createLiveness } from './liveness.js';
import { giveView } from './poison.js';
import type { Scheduler } from './scheduler.js';
import { createSendQueue } from './send-queue.js';
import type { StreamOwner } from './stream.js';
import { createStreamTable } from './stream-table.js';
import type { Transport } from './transport.js';

/** Bytes of a packet that are not payload of a datagram. */
const packetOverhead = 38;
const smallestMtu = 1200;

/** One end of a simulated connection. */
export interface End {
  readonly face: QuicConnection;
  readonly host: string;
  readonly transport: Transport;
  /** Attaches the handler and delivers what came before it. */
  up(handler: QuicConnectionHandler): void;
  join(peer: End): void;
  /** False when this end no longer takes anything: then nothing is acknowledged. */
  receive(frame: Frame): boolean;
  receiveDatagram(bytes: Uint8Array): boolean;
  /** The peer has certainly received something. */
  heard(): void;
  /** The path carries packets of this size now. */
  pathMtu(size: number): void;
  /** This end goes on from another port; the peer learns of it with the next packet. */
  rebound(local: SocketAddress): void;
  moved(remote: SocketAddress): void;
  /** This end forgets the connection without telling anybody; the peer gets a stateless reset. */
  vanish(): void;
  readonly closed: Promise<void>;
}

export interface EndOptions {
  readonly id: number;
  readonly byClient: boolean;
  readonly host: string;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly alpn: string;
  readonly serverName: string | undefined;
  readonly peerCertificates: readonly Uint8Array[];
  readonly transport: Transport;
  /** Of the peer's streams. */
  readonly firstCredit: number;
  readonly gone: (end: End) => void;
}

export function createEnd(clock: Clock, scheduler: Scheduler, link: Link, options: EndOptions): End {
  const { transport, byClient, host } = options;
  const datagrams = createDatagramQueue(transport.datagramSendBuffer, transport.datagramMaxAge);
  const control = createLane();
  const early: (() => void)[] = [];
  const count = { bytesSent: 0, bytesReceived: 0, packetsSent: 0, packetsReceived: 0, packetsLost: 0 };
  let datagramsSent = 0;
  let datagramsReceived = 0;
  let localAddress = options.local;
  let remoteAddress = options.remote;
  let handler: QuicConnectionHandler | undefined;
  let peer: End | undefined;
  let state: 'open' | 'closing' | 'closed' | 'vanished' = 'open';
  let mtu = Math.max(smallestMtu, Math.min(transport.initialMtu, link.conditions.mtu));
  let consumed = 0;
  let resolveClosed: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    resolveClosed = resolve;
  });

  const peerTakesDatagrams = (): boolean => (peer?.transport.datagramReceiveBuffer ?? 0) > 0;
  const maxDatagramSize = (): number => (state === 'open' && peerTakesDatagrams() ? mtu - packetOverhead : 0);

  const liveness = createLiveness(clock, {
    // The shorter of the two counts (RFC 9000 section 10.1).
    idleTimeout: () => Math.min(transport.idleTimeout, peer?.transport.idleTimeout ?? transport.idleTimeout),
    keepAlive: transport.keepAlive,
    idle: () => finish({ kind: 'idle' }),
    ping: () => sendFrame(control, { type: 'ping' }),
  });

  const sendFrame = (lane: Lane, frame: Frame): void => {
    const target = peer;
    if (!target || state === 'closed' || state === 'vanished') return;
    liveness.sent();
    const size = packetOverhead + (frame.type === 'stream' ? frame.bytes.length : 0);
    const lost = link.sendReliable(host, target.host, lane, () => {
      // The acknowledgement needs the way back.
      if (!target.receive(frame) || link.isCut(target.host, host)) return;
      count.packetsReceived += 1;
      end.heard();
    });
    count.packetsLost += lost;
    count.packetsSent += 1 + lost;
    count.bytesSent += size * (1 + lost);
  };
  const sendDatagramNow = (bytes: Uint8Array): void => {
    const target = peer;
    if (!target) return;
    datagramsSent += 1;
    count.packetsSent += 1;
    count.bytesSent += bytes.length + packetOverhead;
    liveness.sent();
    const onItsWay = link.sendLossy(host, target.host, bytes.length + packetOverhead, () => {
      if (target.receiveDatagram(bytes) && !link.isCut(target.host, host)) end.heard();
    });
    if (!onItsWay) count.packetsLost += 1;
  };

  const queue = createSendQueue(scheduler, link.conditions, datagrams, {
    packetOverhead,
    open: () => state === 'open' && handler !== undefined,
    segmentSize: () => mtu - packetOverhead,
    sendDatagram: sendDatagramNow,
  });

  const owner: StreamOwner = {
    get alive() {
      return state === 'open';
    },
    ready: queue.ready,
    send: sendFrame,
    soon: (run) => scheduler.after(0, run),
    consumed(bytes) {
      consumed += bytes;
      if (consumed < transport.receiveWindow / 8) return;
      sendFrame(control, { type: 'connection-room', bytes: consumed });
      consumed = 0;
    },
    finished(stream) {
      queue.forget(stream);
      const limit = streams.remove(stream);
      if (limit === undefined) return;
      sendFrame(control, { type: 'max-streams', bidirectional: stream.face.bidirectional, limit });
    },
  };
  const streams = createStreamTable(owner, {
    byClient,
    window: transport.streamReceiveWindow,
    firstCredit: options.firstCredit,
    maxBidirectional: transport.maxBidirectionalStreams,
    maxUnidirectional: transport.maxUnidirectionalStreams,
    peerWindow: () => peer?.transport.streamReceiveWindow ?? 0,
  });
  const openLocal = (bidirectional: boolean, streamHandler: QuicStreamHandler): QuicStream => {
    const stream = streams.open(bidirectional, streamHandler);
    scheduler.after(0, state === 'open' ? streams.admit : () => stream.lose());
    return stream.face;
  };

  const finish = (reason: QuicCloseReason): void => {
    if (state === 'closed' || state === 'vanished') return;
    state = 'closed';
    liveness.stop();
    queue.clear();
    for (const stream of streams.takeAll()) stream.lose();
    options.gone(end);
    handler?.closed(reason);
    resolveClosed();
  };

  const face: QuicConnection = {
    id: options.id,
    get remoteAddress() {
      return remoteAddress;
    },
    get localAddress() {
      return localAddress;
    },
    alpn: options.alpn,
    serverName: options.serverName,
    peerCertificates: options.peerCertificates,
    get maxDatagramSize() {
      return maxDatagramSize();
    },
    openBidirectional: (streamHandler) => openLocal(true, streamHandler),
    openUnidirectional: (streamHandler) => openLocal(false, streamHandler),
    sendDatagram(head, body, start, stop) {
      if (state !== 'open') return 'dropped';
      if (head.length + stop - start > maxDatagramSize()) {
        datagrams.dropped += 1;
        return 'too-large';
      }
      const outcome = datagrams.put(head, body, start, stop, scheduler.now());
      queue.flushSoon();
      return outcome;
    },
    close(code, reason) {
      if (state !== 'open') return;
      sendFrame(control, { type: 'close', reason: { kind: 'application', code, reason, byPeer: true } });
      state = 'closing';
      scheduler.after(0, () => finish({ kind: 'application', code, reason, byPeer: false }));
    },
    statistics: async (): Promise<QuicStatistics> => ({
      ...count,
      rtt: 2 * link.conditions.latency,
      congestionWindow: queue.room,
      pathMtu: mtu,
      datagramsSent,
      datagramsReceived,
      datagramsDroppedSending: datagrams.dropped,
      datagramsDroppedReceiving: 0,
    }),
  };

  /** An end without memory of the connection answers with a stateless reset. */
  const refuse = (): false => {
    const target = peer;
    if (state === 'vanished' && target) {
      link.sendReliable(host, target.host, control, () => {
        target.receive({ type: 'close', reason: { kind: 'stateless-reset' } });
      });
    }
    return false;
  };

  const end: End = {
    face,
    host,
    transport,
    closed,
    join(other) {
      peer = other;
      streams.setLimit(true, other.transport.maxBidirectionalStreams);
      streams.setLimit(false, other.transport.maxUnidirectionalStreams);
      queue.addRoom(other.transport.receiveWindow);
    },
    up(attached) {
      handler = attached;
      liveness.begin();
      queue.flushSoon();
      for (const run of early.splice(0)) run();
    },
    receive(frame) {
      if (state !== 'open') return refuse();
      const to = handler;
      if (!to) {
        early.push(() => end.receive(frame));
        return true;
      }
      end.heard();
      count.packetsReceived += 1;
      switch (frame.type) {
        case 'ping':
          break;
        case 'close':
          finish(frame.reason);
          break;
        case 'max-streams':
          streams.setLimit(frame.bidirectional, frame.limit);
          streams.admit();
          break;
        case 'connection-room':
          queue.addRoom(frame.bytes);
          break;
        default: {
          if (frame.type === 'stream') count.bytesReceived += frame.bytes.length;
          const local = isByClient(frame.id) === byClient;
          const stream = local
            ? streams.find(frame.id)
            : streams.accept(frame.id, (opened) => to.stream(opened));
          if (stream) stream.receive(frame);
          else if (frame.type === 'stream') owner.consumed(frame.bytes.length);
        }
      }
      return true;
    },
    receiveDatagram(bytes) {
      if (state !== 'open') return refuse();
      const to = handler;
      if (!to) {
        early.push(() => end.receiveDatagram(bytes));
        return true;
      }
      end.heard();
      datagramsReceived += 1;
      count.packetsReceived += 1;
      count.bytesReceived += bytes.length;
      giveView(bytes, 0, bytes.length, (view, start, stop) => to.datagram(view, start, stop));
      return true;
    },
    heard: liveness.heard,
    pathMtu(size) {
      const next = Math.max(
        smallestMtu,
        Math.min(size, Math.max(transport.initialMtu, transport.mtuDiscoveryUpTo)),
      );
      if (next === mtu || state !== 'open') return;
      mtu = next;
      if (peerTakesDatagrams()) handler?.maxDatagramSize(maxDatagramSize());
    },
    rebound(local) {
      localAddress = local;
      const target = peer;
      if (!target || state !== 'open') return;
      sendFrame(control, { type: 'ping' });
      link.sendReliable(host, target.host, control, () => target.moved(local));
    },
    moved(remote) {
      if (state !== 'open') return;
      remoteAddress = remote;
      handler?.migrated?.(remote);
    },
    vanish() {
      if (state !== 'open') return;
      state = 'vanished';
      liveness.stop();
      streams.takeAll();
      options.gone(end);
      resolveClosed();
    },
  };
  return end;
}
