import { createEarlyDatagrams, type EarlyDatagrams } from '../http/datagram-early.js';
import type { ResponseHead } from '../http/request.js';
import { copyBytes } from '../protocol/copy-bytes.js';
import type { ResetReason } from '../protocol/reset-reason.js';
import type { Place } from '../tables/line.js';
import type { Acquisition } from './acquisition.js';
import type { Session, SessionEnd } from './session.js';
import type { StreamContent, TransportStream } from './transport.js';

/** Datagrams held until the session is registered, bytes; the newest beyond are dropped. */
const HELD_DATAGRAMS = 256 * 1024;

/**
 * One stream of an owner and the session that it belongs to. Events that come before the session is registered
 * are held, in order (content is bounded by its credit). A class, because there is one for each tunnel.
 */
export class Slot implements StreamContent {
  /** Where it waits for the peer's leave. */
  waits: Place<number> | undefined;
  /** Where it is told that its session is gone. */
  watch: Place<Slot> | undefined;
  private held: (() => void)[] | undefined = [];
  private heldDatagrams: EarlyDatagrams | undefined;
  private silent = false;

  constructor(
    readonly stream: TransportStream,
    readonly session: Session,
    readonly acquisition: Acquisition,
  ) {}

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.silent) return;
    if (!this.held) this.session.data(bytes, start, end);
    else {
      const copy = copyBytes(bytes, start, end);
      this.held.push(() => this.session.data(copy, 0, copy.length));
    }
  }

  end(): void {
    this.tell(() => this.session.end());
  }

  drain(): void {
    if (this.held) this.tell(() => this.session.drain());
    else if (!this.silent) this.session.drain();
  }

  peerStopped(reason: ResetReason): void {
    this.tell(() => this.session.peerStopped?.(reason));
  }

  maxDatagramSize(size: number): void {
    // What the size was before is of no interest.
    if (!this.silent && !this.held) this.session.maxDatagramSize?.(size);
  }

  informational(head: ResponseHead): void {
    this.tell(() => this.session.informational?.(head));
  }

  response(head: ResponseHead): void {
    this.tell(() => this.session.response(head));
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    if (this.silent) return;
    if (this.held) this.holdDatagram(bytes, start, end);
    else this.session.datagram(bytes, start, end);
  }

  /** The last thing told; `then` runs after it. */
  conclude(end: SessionEnd, then: () => void): void {
    this.tell(() => {
      try {
        this.session.closed(end);
      } finally {
        then();
      }
    });
  }

  /** The session is registered: what was held is given out in order, and from here on nothing is held. */
  open(): void {
    // What is told may bring more, which then follows.
    for (let next = this.held?.shift(); next && !this.silent; next = this.held?.shift()) next();
    this.held = undefined;
    this.heldDatagrams = undefined;
  }

  /** Nothing is told from here on. */
  silence(): void {
    this.silent = true;
    this.held = undefined;
    this.heldDatagrams = undefined;
  }

  private tell(run: () => void): void {
    if (this.silent) return;
    if (this.held) this.held.push(run);
    else run();
  }

  private holdDatagram(bytes: Uint8Array, start: number, end: number): void {
    // This queue only counts, so that the bound is the one of early datagrams everywhere.
    this.heldDatagrams ??= createEarlyDatagrams(HELD_DATAGRAMS);
    const { dropped } = this.heldDatagrams;
    this.heldDatagrams.keep(bytes, start, end);
    if (this.heldDatagrams.dropped > dropped) return;
    const copy = copyBytes(bytes, start, end);
    this.held?.push(() => this.session.datagram(copy, 0, copy.length));
  }
}
