import { H2Error, h2ErrorCodes } from '../../../protocol/h2-error.js';
import { H2_FRAME_SIZE, H2_LARGEST_FRAME_SIZE, H2_WINDOW, h2SettingIds } from '../../../protocol/h2-frame.js';
import type { Http2Options, Http2SessionHandler, Http2Settings } from '../../../quic/http2-session.js';
import {
  createFrameReader,
  type FrameReader,
  type FrameReaderHandler,
  type FrameReaderRules,
} from './frame-reader.js';
import type { FrameStream, FrameStreams } from './frame-streams.js';
import type { Sender } from './sender.js';

const { NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED } = h2ErrorCodes;

/** Takes what the peer sends, and keeps what streams have no credit for. */
export interface Receiver extends Pick<FrameReader, 'push' | 'stop'> {
  /** A new stream, of either side. */
  open(id: number): FrameStream;
  grant(stream: FrameStream, bytes: number): void;
  /** SETTINGS are sent, with what the peer may do from then on. */
  settings(values: Http2Settings): void;
  /** The window of the connection has grown by this. */
  widened(bytes: number): void;
}

/** `told` is whoever is told now. */
export function createReceiver(
  options: Http2Options,
  streams: FrameStreams,
  sender: Sender,
  told: () => Http2SessionHandler,
): Receiver {
  const { role } = options;
  const { frames } = sender;
  const rules: FrameReaderRules = {
    role,
    maxFrameSize: H2_FRAME_SIZE,
    headerBlockSize: options.headerBlockSize,
  };
  let window = H2_WINDOW;
  /** What a stream's window begins with, and by so much it grows once the stream is wanted. */
  let initialWindow = H2_WINDOW;
  const keptBack = Math.max(
    0,
    (options.streamWindow ?? 0) - (options.settings[h2SettingIds.INITIAL_WINDOW_SIZE] ?? H2_WINDOW),
  );
  /** Bytes received that the peer has not been told that it may send again. */
  let owed = 0;
  /** SETTINGS that the peer has not acknowledged. */
  const unacknowledged: Http2Settings[] = [];

  const tellOf = (stream: FrameStream) => (bytes: Uint8Array, start: number, end: number) => {
    told().data(stream.id, bytes, start, end);
  };
  const isThere = (stream: FrameStream): boolean => streams.get(stream.id) === stream;
  const giveBack = (stream: FrameStream): void => {
    const increment = isThere(stream) ? stream.in.takeOwed(initialWindow, keptBack) : 0;
    if (increment > 0) frames.windowUpdate(stream.id, increment);
  };
  const tellEnd = (stream: FrameStream): void => {
    const { in: incoming, id } = stream;
    if (!incoming.ended || incoming.endTold || incoming.waiting || !isThere(stream)) return;
    incoming.endTold = true;
    streams.finishIfDone(stream);
    told().end(id);
    if (stream.stopped) told().reset(id, NO_ERROR);
  };
  const deliver = (stream: FrameStream): void => {
    stream.delivering = false;
    if (!isThere(stream)) return;
    stream.in.deliver(tellOf(stream));
    giveBack(stream);
    tellEnd(stream);
  };
  const received = (bytes: number): void => {
    window -= bytes;
    if (window < 0) throw new H2Error('FLOW_CONTROL_ERROR', 'more than the window of the connection');
    // A stream that stalls holds its own window only.
    owed += bytes;
    if (owed < options.connectionWindow / 2) return;
    window += owed;
    frames.windowUpdate(0, owed);
    owed = 0;
  };
  /** The peer broke the rules of this stream alone (RFC 9113 section 5.4.2). */
  const fault = (stream: FrameStream, code: number): void => {
    const { id } = stream;
    streams.cutOff(stream);
    streams.reset.add(id);
    frames.resetStream(id, code);
    told().reset(id, code);
  };
  const dataOfClosed = (id: number): void => {
    if (streams.isIdle(id)) throw new H2Error('PROTOCOL_ERROR', `DATA on the idle stream ${id}`);
    // RFC 9113 section 5.1: it may have been on its way; of any other the peer is told once.
    if (streams.reset.has(id)) return;
    streams.reset.add(id);
    frames.resetStream(id, STREAM_CLOSED);
  };
  const setting = (id: number, value: number): void => {
    switch (id) {
      case h2SettingIds.ENABLE_PUSH:
        // RFC 9113 section 6.5.2: a server never says 1.
        if (value > 1 || (role === 'client' && value === 1)) {
          throw new H2Error('PROTOCOL_ERROR', `SETTINGS_ENABLE_PUSH ${value}`);
        }
        return;
      case h2SettingIds.INITIAL_WINDOW_SIZE:
        sender.widenAll(value);
        return;
      case h2SettingIds.MAX_FRAME_SIZE:
        if (value < H2_FRAME_SIZE || value > H2_LARGEST_FRAME_SIZE) {
          throw new H2Error('PROTOCOL_ERROR', `SETTINGS_MAX_FRAME_SIZE ${value}`);
        }
        sender.frameSize = value;
        return;
      case h2SettingIds.ENABLE_CONNECT_PROTOCOL:
        // RFC 8441 section 3.
        if (value > 1) throw new H2Error('PROTOCOL_ERROR', `SETTINGS_ENABLE_CONNECT_PROTOCOL ${value}`);
    }
  };
  /** A smaller window is held against the peer once it has acknowledged it, a larger one at once. */
  const allow = (values: Http2Settings, acknowledged: boolean): void => {
    const { [h2SettingIds.INITIAL_WINDOW_SIZE]: size, [h2SettingIds.MAX_FRAME_SIZE]: frame } = values;
    if (size !== undefined && (acknowledged || size > initialWindow)) {
      const change = size - initialWindow;
      initialWindow = size;
      for (const stream of streams.all()) stream.in.window += change;
    }
    if (frame !== undefined && (acknowledged || frame > rules.maxFrameSize)) rules.maxFrameSize = frame;
  };
  const openedByPeer = (id: number): FrameStream => {
    // RFC 9113 section 5.1.1: what this side has not opened only a client may open.
    if (streams.isOwn(id) || role === 'client') {
      throw new H2Error('PROTOCOL_ERROR', `HEADERS open stream ${id}`);
    }
    return receiver.open(id);
  };

  const events: FrameReaderHandler = {
    data(id, bytes, start, end, padding, endStream) {
      const stream = streams.get(id);
      received(end - start + padding);
      if (!stream) return dataOfClosed(id);
      const { in: incoming } = stream;
      // RFC 9113 section 5.1, half-closed (remote).
      if (incoming.ended) return fault(stream, STREAM_CLOSED);
      incoming.window -= end - start + padding;
      if (incoming.window < 0) {
        throw new H2Error('FLOW_CONTROL_ERROR', `more than the window of stream ${id}`);
      }
      incoming.ended = endStream;
      if (padding > 0) incoming.skip(padding);
      if (end > start) incoming.add(bytes, start, end, tellOf(stream));
      giveBack(stream);
      tellEnd(stream);
    },
    headers(id, block, endStream) {
      const stream = streams.get(id) ?? (streams.isIdle(id) ? openedByPeer(id) : undefined);
      if (stream) {
        // RFC 9113 section 5.1, half-closed (remote); the block still belongs to the compression.
        if (stream.in.ended) fault(stream, STREAM_CLOSED);
        else stream.in.ended = endStream;
      } else if (!streams.reset.has(id)) {
        throw new H2Error('STREAM_CLOSED', `HEADERS on the closed stream ${id}`);
      }
      told().headers(id, block, endStream);
      if (stream) tellEnd(stream);
    },
    resetStream(id, code) {
      const stream = streams.get(id);
      if (!stream) {
        if (streams.isIdle(id)) throw new H2Error('PROTOCOL_ERROR', `RST_STREAM on the idle stream ${id}`);
        return;
      }
      const { in: incoming, out } = stream;
      // RFC 9113 section 8.1: the message is whole, and what is left of it is still wanted.
      if (code === NO_ERROR && incoming.ended && incoming.waiting) {
        stream.stopped = true;
        stream.sent = true;
        out.ending = true;
        out.clear();
        streams.leaveLine(stream);
        return;
      }
      streams.cutOff(stream);
      told().reset(id, code);
    },
    settings(entries) {
      const values: Record<number, number> = {};
      for (const [id, value] of entries) {
        setting(id, value);
        values[id] = value;
      }
      frames.acknowledgeSettings();
      told().settings(values);
      sender.pump();
    },
    settingsAcknowledged() {
      const values = unacknowledged.shift();
      if (values) allow(values, true);
    },
    ping(payload, acknowledges) {
      if (acknowledges) told().pong(payload);
      else frames.ping(payload, true);
    },
    goaway: (lastStream, code, debug) => told().goaway(lastStream, code, debug),
    windowUpdate(id, increment) {
      const stream = streams.get(id);
      if (id === 0) sender.widen(increment);
      else if (stream) {
        const fits = sender.widenStream(stream, increment);
        if (increment === 0) fault(stream, PROTOCOL_ERROR);
        else if (!fits) fault(stream, FLOW_CONTROL_ERROR);
      } else if (streams.isIdle(id)) {
        throw new H2Error('PROTOCOL_ERROR', `WINDOW_UPDATE on the idle stream ${id}`);
      }
      sender.pump();
    },
  };
  const reader = createFrameReader(rules, events);

  const receiver: Receiver = {
    push: reader.push,
    stop: reader.stop,
    open: (id) => streams.add(id, sender.initialWindow, initialWindow, keptBack),
    grant(stream, bytes) {
      stream.in.grant(bytes);
      if (!stream.in.waiting || stream.delivering) return;
      // Never out of the call that grants.
      stream.delivering = true;
      queueMicrotask(() => deliver(stream));
    },
    settings(values) {
      unacknowledged.push(values);
      allow(values, false);
    },
    widened(bytes) {
      window += bytes;
    },
  };
  return receiver;
}
