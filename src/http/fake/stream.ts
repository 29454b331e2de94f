import { codeOf, type ResetReason, reasonOf } from '../../protocol/reset-reason.js';
import { encodeVarint, varintSize } from '../../protocol/varint.js';
import type { QuicStream, QuicStreamHandler } from '../../quic/stream.js';
import { createEarlyDatagrams } from '../datagram-early.js';
import type { StreamOutcome, TunnelStream, TunnelStreamHandler } from '../tunnel-stream.js';
import { createFakeContent } from './content.js';
import { createFrameReader, type FrameReader, sendFrame } from './frame.js';
import type { FakeSession } from './session.js';

/** What the two sides make of a stream differently. */
export interface FakeSide {
  /** A head; true when content follows it. */
  head(value: unknown): boolean;
  /** A stream that had to wait is open. */
  opened?(id: number): void;
}

/** One tunnel stream of the fake, on a simulated QUIC stream. */
export interface FakeStream {
  readonly tunnel: TunnelStream;
  readonly quicHandler: QuicStreamHandler;
  /** False before `sendHead` of the final head: content would come before it. */
  contentAllowed: boolean;
  attach(quic: QuicStream): void;
  handle(handler: TunnelStreamHandler): void;
  sendHead(value: unknown): void;
  datagram(bytes: Uint8Array, start: number, end: number): void;
  maxDatagramSizeChanged(): void;
  /** Asks the peer to send no more, and goes on sending. */
  stopPeer(reason: ResetReason): void;
  /** Ends it without a word to the peer. */
  finish(outcome: StreamOutcome): void;
  /** Ends it and lets the peer know that nothing is wanted. */
  abandon(outcome: StreamOutcome): void;
}

const earlyBytes = 64 * 1024;
const nothing = new Uint8Array(0);

export function createFakeStream(session: FakeSession, side: FakeSide): FakeStream {
  let quic: QuicStream | undefined;
  let handler: TunnelStreamHandler | undefined;
  let reader: FrameReader | undefined;
  let inContent = false;
  let sending: 'open' | 'ended' | 'stopped' = 'open';
  let receivingEnded = false;
  let stopCode: number | undefined;
  let resetting = false;
  let outcome: StreamOutcome | undefined;
  /** The outcome of a reset from here, until it is told. */
  let decided: StreamOutcome | undefined;
  let prefix: Uint8Array | undefined;
  const waiting = createEarlyDatagrams(earlyBytes);
  let resolveClosed: (outcome: StreamOutcome) => void = () => undefined;
  const closed = new Promise<StreamOutcome>((resolve) => {
    resolveClosed = resolve;
  });
  const { version } = session;
  const noError = codeOf('no-error', version);

  const finish = (result: StreamOutcome): void => {
    if (outcome) return;
    const final = decided ?? result;
    outcome = final;
    waiting.clear();
    session.remove(stream);
    handler?.closed(final);
    resolveClosed(final);
  };
  const byPeer = (code: number): void => {
    finish({ kind: 'reset', by: 'peer', reason: reasonOf(code, version), code, version });
  };
  const settle = (): void => {
    if (!receivingEnded || resetting) return;
    if (stopCode !== undefined && stopCode !== noError) byPeer(stopCode);
    else if (sending !== 'open') finish({ kind: 'ended' });
  };
  const content = createFakeContent({
    data(bytes, start, end) {
      if (!outcome) handler?.data(bytes, start, end);
    },
    end() {
      if (outcome) return;
      receivingEnded = true;
      if (quic) session.received(quic.id);
      handler?.end();
      settle();
    },
  });

  const quicHandler: QuicStreamHandler = {
    opened(id) {
      session.opened(stream, id);
      prefix = encodeVarint(id / 4);
      waiting.deliver((bytes, start, end) => {
        session.quic.sendDatagram(prefix ?? nothing, bytes, start, end);
      });
      side.opened?.(id);
    },
    data(bytes, start, end) {
      let at = start;
      while (at < end && !inContent && reader && !outcome) at = reader.push(bytes, at, end);
      if (at < end && !outcome) content.push(bytes, at, end);
    },
    end() {
      if (outcome) return;
      if (inContent) content.finish();
      // A message without its final head.
      else tunnel.reset('message-error');
    },
    reset(code) {
      if (outcome) return;
      quic?.reset(code);
      byPeer(code);
    },
    stopped(code) {
      if (outcome || stopCode !== undefined) return;
      stopCode = code;
      const wasOpen = sending === 'open';
      sending = 'stopped';
      if (receivingEnded) settle();
      else if (wasOpen || code !== noError) handler?.peerStopped?.(reasonOf(code, version));
    },
    drain() {
      if (!outcome && sending === 'open') handler?.drain();
    },
    // The connection's own end follows, and tells why.
    lost: () => undefined,
  };

  const tunnel: TunnelStream = {
    version,
    closed,
    get id() {
      return quic?.id ?? -1;
    },
    get buffered() {
      return outcome ? 0 : (quic?.buffered ?? 0);
    },
    get nativeDatagrams() {
      return session.datagrams;
    },
    get maxDatagramSize() {
      if (!session.datagrams) return 0;
      return Math.max(0, session.quic.maxDatagramSize - (prefix?.length ?? varintSize(1 << 20)));
    },
    grant(bytes) {
      if (!outcome && !receivingEnded) content.grant(bytes);
    },
    write(bytes, start, end) {
      if (outcome || sending !== 'open' || !quic) return true;
      if (!stream.contentAllowed) throw new Error('content before the response');
      return quic.write(bytes, start, end);
    },
    end() {
      if (outcome || sending !== 'open' || !quic) return;
      if (!stream.contentAllowed) throw new Error('the end before the response');
      sending = 'ended';
      session.sentEnd(stream);
      quic.end();
      settle();
    },
    sendDatagram(head, body, start, end) {
      if (!session.datagrams || outcome || sending !== 'open') return 'dropped';
      if (head.length + end - start > tunnel.maxDatagramSize) return 'too-large';
      if (prefix) return session.quic.sendDatagram(Buffer.concat([prefix, head]), body, start, end);
      const { dropped } = waiting;
      const whole = Buffer.concat([head, body.subarray(start, end)]);
      waiting.keep(whole, 0, whole.length);
      return waiting.dropped > dropped ? 'dropped' : 'sent';
    },
    reset(reason) {
      if (outcome) return;
      const code = codeOf(reason, version);
      quic?.reset(code);
      quic?.stop(code);
      const result: StreamOutcome = { kind: 'reset', by: 'local', reason, code, version };
      sending = 'stopped';
      receivingEnded = true;
      resetting = true;
      // Told later, as on every real stream; a loss in between does not change what it was.
      session.soon(() => finish(result));
    },
  };

  const stream: FakeStream = {
    tunnel,
    quicHandler,
    contentAllowed: false,
    attach(given) {
      quic = given;
      if (given.id >= 0) prefix = encodeVarint(given.id / 4);
      const frames = createFrameReader(given, (value) => {
        if (side.head(value)) {
          inContent = true;
          content.start(given);
        } else frames.next();
      });
      reader = frames;
      frames.next();
    },
    handle(given) {
      handler = given;
      if (outcome) given.closed(outcome);
    },
    sendHead(value) {
      if (!outcome && sending === 'open' && quic) sendFrame(quic, value);
    },
    datagram(bytes, start, end) {
      if (!outcome && !receivingEnded) handler?.datagram(bytes, start, end);
    },
    maxDatagramSizeChanged() {
      if (!outcome && session.datagrams) handler?.maxDatagramSize?.(tunnel.maxDatagramSize);
    },
    stopPeer(reason) {
      quic?.stop(codeOf(reason, version));
    },
    finish,
    abandon(result) {
      if (outcome) return;
      const code = codeOf('cancelled', version);
      quic?.reset(code);
      quic?.stop(code);
      finish(result);
    },
  };
  return stream;
}
