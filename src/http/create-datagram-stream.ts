import { systemClock } from '../clock/system-clock.js';
import {
  CapsuleError,
  type CapsuleParser,
  type CapsuleRules,
  createCapsuleParser,
  MAX_DATAGRAM_PAYLOAD,
} from '../protocol/capsule.js';
import type { ResetReason } from '../protocol/reset-reason.js';
import type { DatagramOutcome } from '../quic/connection.js';
import type { DatagramSplice } from '../quic/datagram-splice.js';
import type { UdpSocket } from '../quic/udp-socket.js';
import { type CapsuleWriter, createCapsuleWriter } from './datagram-capsules.js';
import { createEarlyDatagrams, type EarlyDatagrams } from './datagram-early.js';
import type {
  DatagramStream,
  DatagramStreamBinding,
  DatagramStreamHandler,
  DatagramStreamOptions,
  DatagramStreamStatistics,
} from './datagram-stream.js';
import type { DatagramEnd, StreamOutcome, TunnelStream, TunnelStreamHandler } from './tunnel-stream.js';
import { createWaitingTime, type WaitingTime } from './waiting-time.js';

const nothing = new Uint8Array(0);
const defaults: DatagramStreamOptions = {};
const [RECEIVE_WINDOW, CAPSULE_QUEUE, EARLY_QUEUE] = [256 * 1024, 256 * 1024, 64 * 1024];
/** As a QUIC connection keeps datagrams. */
const CAPSULE_DELAY = 250;

/**
 * A class because there are thousands, and most of them have neither capsules nor early datagrams: what those need
 * is made with the first one.
 */
class Datagrams implements DatagramStream {
  stream: TunnelStream | undefined;
  private started = false;
  private sending = true;
  private over = false;
  private used = 0;
  private held = false;
  private deaf = false;
  private parser: CapsuleParser | undefined;
  private writer: CapsuleWriter | undefined;
  private waiting: WaitingTime | undefined;
  private early: EarlyDatagrams | undefined;
  private readonly counters = {
    datagramsSent: 0,
    datagramsReceived: 0,
    droppedCapsuleQueueFull: 0,
    droppedQueueFull: 0,
    droppedTooLarge: 0,
    droppedEnded: 0,
    capsulesSkipped: 0,
  };

  constructor(
    private readonly handler: DatagramStreamHandler,
    private readonly options: DatagramStreamOptions,
  ) {}

  get maxDatagramSize(): number {
    const { stream } = this;
    if (!stream || this.over) return 0;
    return stream.nativeDatagrams ? stream.maxDatagramSize : MAX_DATAGRAM_PAYLOAD;
  }

  sendDatagram(head: Uint8Array, body: Uint8Array, start: number, end: number): DatagramOutcome {
    const { stream, counters } = this;
    // RFC 9297 section 2: none is sent once the sending side is closed.
    if (!stream || !this.sending) {
      counters.droppedEnded += 1;
      return 'dropped';
    }
    if (!stream.nativeDatagrams) return this.sendCapsuleDatagram(stream, head, body, start, end);
    // RFC 9298 section 5, RFC 9484 section 8: one that does not fit is dropped, and never put into a capsule
    // where QUIC datagrams are in use.
    const outcome = stream.sendDatagram(head, body, start, end);
    if (outcome === 'sent') counters.datagramsSent += 1;
    else if (outcome === 'dropped') counters.droppedQueueFull += 1;
    else counters.droppedTooLarge += 1;
    return outcome;
  }

  splice(far: UdpSocket | DatagramEnd): DatagramSplice | undefined {
    const { stream, handler } = this;
    if (!stream || !this.carries) return undefined;
    if (stream.nativeDatagrams) return stream.spliceDatagrams?.(far);
    // The engine skips capsules of all other types.
    const others = handler.capsules !== undefined || (handler.otherCapsules?.() ?? -1) >= 0;
    if (others || 'number' in far) return undefined;
    return stream.spliceCapsules?.(far, (most) => this.takeRest(most));
  }

  datagramEnd(): DatagramEnd | undefined {
    return this.carries ? this.stream?.datagramEnd?.() : undefined;
  }

  sendCapsule(type: number, value: Uint8Array): boolean {
    const { stream } = this;
    if (!stream || !this.sending) return true;
    this.writer ??= createCapsuleWriter();
    return this.writer.capsule(stream, type, value);
  }

  holdBack(held: boolean): void {
    this.held = held;
    if (!held && this.used > 0 && !this.over) this.grantUsed();
  }

  end(): void {
    this.sending = false;
    this.stream?.end();
  }

  reset(reason: ResetReason): void {
    this.sending = false;
    this.stopParsing();
    this.stream?.reset(reason);
  }

  statistics(): DatagramStreamStatistics {
    return { ...this.counters, droppedEarly: this.early?.dropped ?? 0 };
  }

  start(): void {
    if (this.started || this.over) return;
    this.started = true;
    this.stream?.grant(this.options.receiveWindow ?? RECEIVE_WINDOW);
    this.early?.deliver((bytes, start, end) => this.receive(bytes, start, end));
  }

  // what the stream tells

  content(bytes: Uint8Array, start: number, end: number): void {
    if (!this.started || this.over) return;
    if (!this.parse(bytes, start, end, false)) return;
    this.used += end - start;
    const window = this.options.receiveWindow ?? RECEIVE_WINDOW;
    if (!this.held && this.used >= window / 4) this.grantUsed();
  }

  peerEnded(): void {
    if (this.started && !this.parse(nothing, 0, 0, true)) return;
    this.handler.end();
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    if (this.over) return;
    if (this.started) {
      this.receive(bytes, start, end);
      return;
    }
    this.early ??= createEarlyDatagrams(this.options.earlyQueue ?? EARLY_QUEUE);
    this.early.keep(bytes, start, end);
  }

  drained(): void {
    this.handler.drain?.();
  }

  peerStopped(): void {
    this.sending = false;
  }

  resized(size: number): void {
    this.handler.maxDatagramSize?.(size);
  }

  closed(outcome: StreamOutcome): void {
    this.over = true;
    this.sending = false;
    this.early?.clear();
    this.stopParsing();
    this.handler.closed(outcome);
  }

  // within

  private get carries(): boolean {
    return this.sending && this.started && !this.over && !this.deaf;
  }

  /** As `TakeRest`. */
  private takeRest(most: number): Uint8Array | undefined {
    if (!this.carries) return undefined;
    const rest = this.parser?.rest() ?? nothing;
    if (rest.length > most) return undefined;
    this.parser = undefined;
    return rest;
  }

  private receive(bytes: Uint8Array, start: number, end: number): void {
    this.counters.datagramsReceived += 1;
    this.handler.datagram(bytes, start, end);
  }

  // RFC 9297 section 3.2: capsules of unknown types are skipped silently.
  private createParser(): CapsuleParser {
    const { handler } = this;
    const largest = handler.otherCapsules?.bind(handler);
    const rules: CapsuleRules = {
      ...(handler.capsules ? { whole: handler.capsules } : {}),
      // A type beyond what a number holds cannot be handed on as it is.
      ...(largest ? { others: (type, length) => length <= largest() && Number.isSafeInteger(type) } : {}),
    };
    return createCapsuleParser(rules, {
      datagram: (bytes, start, end) => this.receive(bytes, start, end),
      capsule: (type, value) => handler.capsule?.(type, value),
      skipped: () => {
        this.counters.capsulesSkipped += 1;
      },
    });
  }

  private stopParsing(): void {
    this.deaf = true;
    this.parser?.stop();
  }

  private grantUsed(): void {
    this.stream?.grant(this.used);
    this.used = 0;
  }

  /** Runs the parser; capsules that cannot be parsed make the message malformed (RFC 9297 section 3.3). */
  private parse(bytes: Uint8Array, start: number, end: number, last: boolean): boolean {
    if (this.deaf) return false;
    try {
      if (last) this.parser?.end();
      else {
        this.parser ??= this.createParser();
        this.parser.push(bytes, start, end);
      }
      return true;
    } catch (error) {
      if (!(error instanceof CapsuleError)) throw error;
      this.reset('message-error');
      return false;
    }
  }

  private sendCapsuleDatagram(
    to: TunnelStream,
    head: Uint8Array,
    body: Uint8Array,
    start: number,
    end: number,
  ): DatagramOutcome {
    const { counters } = this;
    if (head.length + end - start > MAX_DATAGRAM_PAYLOAD) {
      counters.droppedTooLarge += 1;
      return 'too-large';
    }
    const {
      capsuleQueue = CAPSULE_QUEUE,
      capsuleDelay = CAPSULE_DELAY,
      now = systemClock.now,
    } = this.options;
    // A datagram that waits behind so much, or for so long, is late anyway; it is dropped before it is framed.
    const waited = this.waiting?.note(to.buffered) ?? 0;
    if (to.buffered >= capsuleQueue || waited >= capsuleDelay) {
      counters.droppedCapsuleQueueFull += 1;
      return 'dropped';
    }
    this.writer ??= createCapsuleWriter();
    this.writer.datagram(to, head, body, start, end);
    if (to.buffered > 0) {
      this.waiting ??= createWaitingTime(now);
      this.waiting.note(to.buffered);
    }
    counters.datagramsSent += 1;
    return 'sent';
  }
}

/** Brings the events of a tunnel stream to its datagram stream, whose own `end` is the holder's. */
class StreamEvents implements TunnelStreamHandler {
  constructor(private readonly datagrams: Datagrams) {}

  data(bytes: Uint8Array, start: number, end: number): void {
    this.datagrams.content(bytes, start, end);
  }

  end(): void {
    this.datagrams.peerEnded();
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    this.datagrams.datagram(bytes, start, end);
  }

  drain(): void {
    this.datagrams.drained();
  }

  peerStopped(): void {
    this.datagrams.peerStopped();
  }

  maxDatagramSize(size: number): void {
    this.datagrams.resized(size);
  }

  closed(outcome: StreamOutcome): void {
    this.datagrams.closed(outcome);
  }
}

class Binding implements DatagramStreamBinding {
  readonly streamHandler: TunnelStreamHandler;

  constructor(readonly datagrams: Datagrams) {
    this.streamHandler = new StreamEvents(datagrams);
  }

  attach(stream: TunnelStream): void {
    this.datagrams.stream = stream;
  }

  start(): void {
    this.datagrams.start();
  }
}

/** Makes the datagram stream of a tunnel stream that is about to be opened or answered. */
export function createDatagramStream(
  handler: DatagramStreamHandler,
  options = defaults,
): DatagramStreamBinding {
  return new Binding(new Datagrams(handler, options));
}

/** Its events as functions of their own, for a handler that takes some of them and has others. */
export function eventsOf({ streamHandler }: DatagramStreamBinding): TunnelStreamHandler {
  return {
    data: (bytes, start, end) => streamHandler.data(bytes, start, end),
    end: () => streamHandler.end(),
    datagram: (bytes, start, end) => streamHandler.datagram(bytes, start, end),
    drain: () => streamHandler.drain(),
    peerStopped: (reason) => streamHandler.peerStopped?.(reason),
    maxDatagramSize: (size) => streamHandler.maxDatagramSize?.(size),
    closed: (outcome) => streamHandler.closed(outcome),
  };
}
