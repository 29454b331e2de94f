import type { Clock } from '../../clock/clock.js';
import { h2ErrorCodes } from '../../protocol/h2-error.js';
import { H2_LARGEST_STREAM, h2SettingIds } from '../../protocol/h2-frame.js';
import type { SocketAddress } from '../../quic/address.js';
import type { Http2Settings } from '../../quic/http2-session.js';
import { createSharedRoom } from '../../quic/write-gauge.js';
import type {
  ConnectionClose,
  HttpClientConnection,
  HttpClientConnectionHandler,
  PeerSettings,
} from '../connection.js';
import type { RequestHead } from '../request.js';
import { ClientFace } from '../tcp/client-face.js';
import { refusedStream } from '../tcp/refused-stream.js';
import type { ClientStreamHandler, LossReason, TunnelStream } from '../tunnel-stream.js';
import { ClientRequest } from './client-request.js';
import { createH2Connection } from './connection.js';
import type { ByteCarrierHandler } from './frames/byte-carrier.js';
import { type H2Limits, settingsOf } from './limits.js';
import { requestFields, unlessMalformed } from './messages.js';
import type { SessionCarrier } from './open-session.js';
import { createSlots } from './slots.js';

/** Requests that wait for the peer's leave to open, at most. */
const maxWaiting = 4_096;

/** The largest value, by which some servers say that they have no limit. */
const UNLIMITED_STREAMS = 4_294_967_295;

export interface H2ClientOptions {
  readonly remoteAddress: SocketAddress;
  readonly clock: Clock;
  readonly limits: H2Limits;
  /** As `HttpClientConnection.holdProcess`. */
  readonly holdProcess?: (hold: boolean) => void;
}

export interface H2Client {
  readonly connection: HttpClientConnection;
  readonly socketHandler: ByteCarrierHandler;
  /** Cuts it off without a word. */
  abort(): void;
}

function peerSettings(values: Http2Settings): PeerSettings {
  const streams = values[h2SettingIds.MAX_CONCURRENT_STREAMS];
  return {
    extendedConnect: values[h2SettingIds.ENABLE_CONNECT_PROTOCOL] === 1,
    datagrams: false,
    maxStreams: streams === undefined || streams >= UNLIMITED_STREAMS ? undefined : streams,
  };
}

/**
 * An HTTP/2 client on a socket whose handshake chose `h2`, and from which nothing was read yet. `settled` is told of
 * the peer's SETTINGS, or of what came instead; all that the socket tells goes to `socketHandler`.
 */
export function startH2Client(
  socket: SessionCarrier,
  options: H2ClientOptions,
  handler: HttpClientConnectionHandler,
  settled: (failure: ConnectionClose | undefined) => void,
): H2Client {
  const { clock, limits, holdProcess } = options;
  const waiting: ClientRequest[] = [];
  let values: Http2Settings = {};
  let up = false;
  let toldDraining = false;
  let nextStream = 1;

  const loseWaiting = (reason: LossReason, detail: string): void => {
    for (const request of waiting.splice(0)) request.finish({ kind: 'lost', reason, detail });
  };
  const { connection: h2, carrierHandler } = createH2Connection(
    socket,
    {
      role: 'client',
      clock,
      limits,
      room: createSharedRoom(),
      settings: { ...settingsOf(limits), [h2SettingIds.ENABLE_PUSH]: 0 },
    },
    {
      lastStream: 0,
      // Of a stream that is over; the session lets a server open none.
      headers: () => undefined,
      settings(received) {
        const before = values[h2SettingIds.ENABLE_CONNECT_PROTOCOL];
        values = { ...values, ...received };
        // RFC 8441 section 3: it is not taken back.
        if (before === 1 && values[h2SettingIds.ENABLE_CONNECT_PROTOCOL] !== 1) {
          h2.fail('PROTOCOL_ERROR', 'extended CONNECT is taken back');
          return;
        }
        connection.settings = peerSettings(values);
        if (up) handler.settings?.(connection.settings);
        else {
          up = true;
          settled(undefined);
        }
        startWaiting();
      },
      goaway() {
        // Nothing waiting will be processed (RFC 9113 section 6.8).
        loseWaiting('peer-closed', 'the peer is draining');
        if (toldDraining) return;
        toldDraining = true;
        handler.draining?.();
      },
      ended() {
        slots.free(streamLimit());
        startWaiting();
      },
      closed(close) {
        loseWaiting(close.reason, close.detail);
        if (up) handler.closed?.(close);
        settled(close);
      },
    },
  );

  const usable = (): boolean => !h2.draining && !h2.cause && nextStream <= H2_LARGEST_STREAM;
  const streamLimit = (): number | undefined => {
    const limit = connection.settings.maxStreams;
    return typeof limit === 'number' ? limit : undefined;
  };
  const slots = createSlots(
    (done) => {
      if (!h2.cause) h2.pings.send(done, () => undefined);
    },
    () => startWaiting(),
  );
  const hasRoom = (): boolean => slots.hasRoom(streamLimit());
  const start = (request: ClientRequest): void => {
    slots.take();
    const id = nextStream;
    nextStream += 2;
    request.open(id);
  };
  const startWaiting = (): void => {
    while (waiting.length > 0 && usable() && hasRoom()) {
      const next = waiting.shift();
      if (!next || next.outcome) continue;
      start(next);
      next.waited();
    }
  };
  const refused = (reason: 'refused' | 'excessive-load' | 'message-error', to: ClientStreamHandler) =>
    refusedStream('h2', to, { kind: 'reset', by: 'local', reason, code: undefined, version: 'h2' });

  const open = (head: RequestHead, streamHandler: ClientStreamHandler): TunnelStream => {
    if (!usable()) {
      const { reason, detail } = h2.cause ?? {
        reason: 'peer-closed',
        detail: 'the connection takes no new streams',
      };
      return refusedStream('h2', streamHandler, { kind: 'lost', reason, detail });
    }
    // RFC 8441 section 3: only after the peer's setting.
    if (head.kind === 'extended' && !connection.settings.extendedConnect)
      return refused('refused', streamHandler);
    if (waiting.length >= maxWaiting) return refused('excessive-load', streamHandler);
    const fields = unlessMalformed(() => requestFields(head));
    if (!fields) return refused('message-error', streamHandler);
    const request = new ClientRequest(h2, head, fields, streamHandler);
    if (waiting.length === 0 && hasRoom()) start(request);
    else waiting.push(request);
    return request;
  };

  const unknown = { extendedConnect: false, datagrams: false, maxStreams: undefined };
  const connection = new ClientFace('h2', options.remoteAddress, unknown, h2.closed, {
    usable,
    streams: () => h2.streams.size,
    holdProcess,
    open,
    ping(signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        if (h2.cause) return reject(new Error('the connection is closed'));
        const onAbort = (): void => reject(signal.reason);
        const settle = (then: () => void): void => {
          signal.removeEventListener('abort', onAbort);
          then();
        };
        signal.addEventListener('abort', onAbort, { once: true });
        h2.pings.send(
          (milliseconds) => settle(() => resolve(milliseconds)),
          (detail) => settle(() => reject(new Error(detail))),
        );
      });
    },
    drain() {
      h2.drain();
      loseWaiting('peer-closed', 'the connection is draining');
    },
    async close() {
      h2.close(h2ErrorCodes.NO_ERROR, 'closed by this side');
      await h2.closed;
    },
  });
  return { connection, socketHandler: carrierHandler, abort: () => h2.session.abort() };
}
