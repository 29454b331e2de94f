import { H2Error } from '../../../protocol/h2-error.js';
import { H2_WINDOW, h2Preface } from '../../../protocol/h2-frame.js';
import type { Http2Options, Http2Session, Http2SessionHandler } from '../../../quic/http2-session.js';
import { createSharedRoom, type SharedRoom } from '../../../quic/write-gauge.js';
import type { ByteCarrier, ByteCarrierHandler } from './byte-carrier.js';
import { createFrameStreams } from './frame-streams.js';
import { writeOpening } from './opening.js';
import { createReceiver } from './receiver.js';
import { createSender } from './sender.js';

/** Bytes that the carrier may deliver ahead of what was read. */
const READ_AHEAD = 256 * 1024;

const silent: Omit<Http2SessionHandler, 'closed'> = {
  headers: () => undefined,
  data: () => undefined,
  end: () => undefined,
  reset: () => undefined,
  drain: () => undefined,
  sent: () => undefined,
  settings: () => undefined,
  pong: () => undefined,
  goaway: () => undefined,
  failed: () => undefined,
};

/**
 * An HTTP/2 session in TypeScript, for carriers that the engine does not have: the simulated network, and TLS inside
 * a tunnel. Its `spliceBytes` and `spliceCapsules` never can. Give the second result all that the carrier tells.
 */
export function createFrameSession(
  carrier: ByteCarrier,
  options: Http2Options,
  holder: Http2SessionHandler,
  room: SharedRoom = createSharedRoom(),
): { readonly session: Http2Session; readonly carrierHandler: ByteCarrierHandler } {
  let handler = holder;
  let state: 'open' | 'closing' | 'ended' | 'gone' = 'open';
  /** Read from the carrier, and not granted again. */
  let unread = 0;
  let peerEnded = false;
  const told = (): Http2SessionHandler => handler;
  const streams = createFrameStreams(options.role, room);
  const sender = createSender(carrier, streams, told);
  const receiver = createReceiver(options, streams, sender, told);
  const { frames } = sender;

  /** Nothing more is told but the outcome. */
  const become = (next: 'closing' | 'ended' | 'gone'): void => {
    state = next;
    handler = { ...silent, closed: (end) => holder.closed(end) };
    if (next === 'closing') return;
    receiver.stop();
    streams.clear();
  };
  const endCarrier = (): void => {
    become('ended');
    carrier.end();
  };
  /** What the windows allow goes before the end. */
  const endIfSent = (): void => {
    if (state === 'closing' && sender.idle()) endCarrier();
  };
  const fail = (error: H2Error): void => {
    if (state === 'ended' || state === 'gone') return;
    const last = handler;
    frames.goaway(streams.highestPeer, error.code, error.message);
    endCarrier();
    last.failed(error.code, error.message);
  };
  const readOn = (): void => {
    if (sender.flooded() || unread === 0) return;
    carrier.grant(unread);
    unread = 0;
  };

  const carrierHandler: ByteCarrierHandler = {
    data(bytes, start, end) {
      unread += end - start;
      try {
        receiver.push(bytes, start, end);
      } catch (error) {
        if (!(error instanceof H2Error)) throw error;
        fail(error);
      }
      endIfSent();
      if (state !== 'gone') readOn();
    },
    end(truncated) {
      peerEnded = truncated !== true;
      // What waits would only be answered with a reset.
      if (carrier.buffered > 0 || !peerEnded) carrier.reset();
      else if (state !== 'ended') endCarrier();
    },
    drain() {
      sender.drained();
      endIfSent();
      readOn();
    },
    closed(end) {
      if (state === 'gone') return;
      become('gone');
      handler.closed(peerEnded ? { kind: 'ended' } : end);
    },
  };

  const open = (): boolean => state === 'open';
  const session: Http2Session = {
    headers(id, block, endStream) {
      if (!open()) return;
      const opens = streams.isOwn(id) && streams.isIdle(id);
      const stream = streams.get(id) ?? (opens ? receiver.open(id) : undefined);
      if (stream) sender.headers(stream, block, endStream);
    },
    write(id, bytes, start, end) {
      const stream = open() ? streams.get(id) : undefined;
      return !stream || sender.write(stream, bytes, start, end);
    },
    end(id) {
      const stream = open() ? streams.get(id) : undefined;
      if (stream) sender.end(stream);
    },
    reset(id, code) {
      if (!open()) return;
      const stream = streams.get(id);
      if (stream) streams.cutOff(stream);
      streams.reset.add(id);
      streams.skip(id);
      frames.resetStream(id, code);
    },
    grant(id, bytes) {
      const stream = streams.get(id);
      if (stream) receiver.grant(stream, bytes);
    },
    buffered: (id) => streams.get(id)?.out.buffered ?? 0,
    spliceBytes: () => false,
    spliceCapsules: () => undefined,
    settings(values) {
      if (!open()) return;
      receiver.settings(values);
      frames.settings(values);
    },
    ping(payload) {
      if (open()) frames.ping(payload, false);
    },
    goaway(lastStream, code, debug) {
      if (open()) frames.goaway(lastStream, code, debug);
    },
    close() {
      if (!open()) return;
      become('closing');
      sender.pump();
      endIfSent();
    },
    abort() {
      if (state === 'gone') return;
      become('ended');
      carrier.reset();
    },
  };

  // RFC 9113 section 3.4.
  if (options.role === 'client') sender.put(h2Preface, 0, h2Preface.length);
  receiver.settings(options.settings);
  receiver.widened(Math.max(0, options.connectionWindow - H2_WINDOW));
  if (!options.greeted) writeOpening(frames, options);
  carrier.grant(READ_AHEAD);
  return { session, carrierHandler };
}
