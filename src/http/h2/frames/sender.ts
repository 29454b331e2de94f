import { H2Error } from '../../../protocol/h2-error.js';
import { H2_FRAME_SIZE, H2_LARGEST_WINDOW, H2_WINDOW } from '../../../protocol/h2-frame.js';
import type { Http2SessionHandler } from '../../../quic/http2-session.js';
import type { ByteCarrier } from './byte-carrier.js';
import type { FrameStream, FrameStreams } from './frame-streams.js';
import { createFrameWriter, type FrameWriter } from './frame-writer.js';

/** Answers that wait for a carrier that takes no more; with more of them nothing is read. */
const MOST_CONTROL = 64 * 1024;

/** Sends what streams have, within the peer's windows, and other frames before it. */
export interface Sender {
  readonly frames: FrameWriter;
  /** Nothing more can be sent now. */
  idle(): boolean;
  /** So many answers wait that nothing should be read. */
  flooded(): boolean;
  /** SETTINGS_INITIAL_WINDOW_SIZE and SETTINGS_MAX_FRAME_SIZE of the peer. */
  readonly initialWindow: number;
  frameSize: number;
  put(bytes: Uint8Array, start: number, end: number): void;
  /** HEADERS, behind what the stream has. */
  headers(stream: FrameStream, block: Uint8Array, endStream: boolean): void;
  /** Copies; false at the high-water mark. */
  write(stream: FrameStream, bytes: Uint8Array, start: number, end: number): boolean;
  end(stream: FrameStream): void;
  /** The peer has widened the window of the connection, or changed that of all streams. Throws `H2Error`. */
  widen(increment: number): void;
  widenAll(initialWindow: number): void;
  /** That of one stream; false when it is too large. */
  widenStream(stream: FrameStream, change: number): boolean;
  /** Sends as much as the carrier takes. */
  pump(): void;
  /** The carrier takes more. */
  drained(): void;
}

/** `told` is whoever is told now. */
export function createSender(
  carrier: ByteCarrier,
  streams: FrameStreams,
  told: () => Http2SessionHandler,
): Sender {
  const { ready } = streams;
  let window = H2_WINDOW;
  let blocked = false;
  let controlWaiting = 0;

  const put = (bytes: Uint8Array, start: number, end: number): void => {
    if (!carrier.write(bytes, start, end)) blocked = true;
  };
  const frames = createFrameWriter((bytes, start, end) => {
    if (blocked) controlWaiting += end - start;
    put(bytes, start, end);
  });
  const lineUp = (stream: FrameStream): void => {
    if (stream.out.buffered > 0 && stream.out.window > 0) streams.lineUp(stream);
    else streams.leaveLine(stream);
  };
  const sendNext = (stream: FrameStream): void => {
    const { id, out } = stream;
    const { buffered } = out;
    const count = Math.min(buffered, sender.frameSize, out.window, window);
    const last = count === buffered;
    frames.data(id, count, last && out.ending && !out.trailers);
    out.window -= count;
    window -= count;
    const drained = out.take(count, put);
    // Never out of the call that asks for it.
    if (drained) queueMicrotask(() => out.ending || stream.cut || told().drain(id));
    if (last) sentAll(stream);
  };
  /** Everything that was written went; what follows needs no window. */
  const sentAll = (stream: FrameStream): void => {
    const { id, out } = stream;
    if (out.trailers) {
      const { block, endStream } = out.trailers;
      out.trailers = undefined;
      frames.headers(id, block, endStream, sender.frameSize);
      if (!endStream) return;
    } else if (!out.ending) return;
    stream.sent = true;
    streams.finishIfDone(stream);
    queueMicrotask(() => stream.cut || told().sent(id));
  };

  const sender: Sender & { initialWindow: number } = {
    frames,
    put,
    frameSize: H2_FRAME_SIZE,
    initialWindow: H2_WINDOW,
    idle: () => !blocked || ready.size === 0,
    flooded: () => controlWaiting > MOST_CONTROL,
    headers(stream, block, endStream) {
      const { out } = stream;
      if (out.ending) return;
      out.ending = endStream;
      const waits = out.buffered > 0;
      out.trailers = { block: waits ? new Uint8Array(block) : block, endStream };
      if (!waits) sentAll(stream);
    },
    write(stream, bytes, start, end) {
      if (stream.out.ending || end <= start) return true;
      const more = stream.out.add(bytes, start, end);
      lineUp(stream);
      sender.pump();
      return more;
    },
    end(stream) {
      if (stream.out.ending) return;
      stream.out.ending = true;
      if (stream.out.buffered > 0) return;
      frames.data(stream.id, 0, true);
      sentAll(stream);
    },
    widen(increment) {
      // RFC 9113 section 6.9.
      if (increment === 0) throw new H2Error('PROTOCOL_ERROR', 'WINDOW_UPDATE by 0');
      window += increment;
      if (window > H2_LARGEST_WINDOW) throw new H2Error('FLOW_CONTROL_ERROR', 'too large a window');
    },
    widenAll(value) {
      if (value > H2_LARGEST_WINDOW) throw new H2Error('FLOW_CONTROL_ERROR', `an initial window of ${value}`);
      // RFC 9113 section 6.9.2: the windows of all streams change by as much.
      const change = value - sender.initialWindow;
      sender.initialWindow = value;
      for (const stream of streams.all()) {
        if (sender.widenStream(stream, change)) continue;
        throw new H2Error('FLOW_CONTROL_ERROR', `too large a window of stream ${stream.id}`);
      }
    },
    widenStream(stream, change) {
      stream.out.window += change;
      lineUp(stream);
      return stream.out.window <= H2_LARGEST_WINDOW;
    },
    pump() {
      for (let { first } = ready; first && !blocked && window > 0; first = ready.first) {
        // Whoever has more goes to the end of the line.
        streams.leaveLine(first);
        sendNext(first);
        lineUp(first);
      }
    },
    drained() {
      blocked = false;
      controlWaiting = 0;
      sender.pump();
    },
  };
  return sender;
}
