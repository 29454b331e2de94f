import type { ResetReason } from '../../protocol/reset-reason.js';
import { reasonBehind, type SideEnd } from '../side-end.js';
import { ByteFlow } from './byte-flow.js';
import type { ByteSide, ByteSideHandler } from './byte-side.js';

export interface JoinedSidesEnd {
  /** Who was the first to end it otherwise than cleanly: a side, or `reset` here. */
  readonly by: 'a' | 'b' | 'here' | undefined;
  readonly a: SideEnd;
  readonly b: SideEnd;
}

export interface JoinSidesOptions {
  /** Bytes that each side may deliver ahead of the other's taking them, at most; default `FLOW_WINDOW`. */
  readonly window?: number;
  /** A direction has ended; the other goes on. */
  halfClosed?(): void;
}

/** One side, as the join sees it, and what it tells. */
class Joined implements ByteSideHandler {
  side: ByteSide | undefined;
  over: SideEnd | undefined;
  /** It was cut off from here. */
  cut = false;

  constructor(
    readonly name: 'a' | 'b',
    private readonly join: JoinedSides,
    /** What it sends, and what is sent to it. */
    readonly out: ByteFlow,
    readonly into: ByteFlow,
  ) {}

  data(bytes: Uint8Array, start: number, end: number): void {
    this.out.data(bytes, start, end);
  }

  end(): void {
    if (this.out.ended) return;
    this.out.end();
    if (!this.into.ended) this.join.halfClosed();
  }

  drain(): void {
    this.into.drain();
  }

  closed(how: SideEnd): void {
    if (this.over) return;
    this.over = how;
    this.join.sideOver(this, how);
  }
}

/**
 * Two sides of a tunnel, each carrying on what the other tells: bytes with backpressure, half close in both
 * directions, and a reset or a loss of one as the reset of the other. A class because there are thousands.
 */
export class JoinedSides {
  /** Give these to the sides when they are made; what they tell before `start` waits for it. */
  readonly a: ByteSideHandler;
  readonly b: ByteSideHandler;
  /** Resolves once both sides are over; never rejects. */
  readonly closed: Promise<JoinedSidesEnd>;
  private readonly near: Joined;
  private readonly far: Joined;
  private by: JoinedSidesEnd['by'];
  private settle: (end: JoinedSidesEnd) => void = () => undefined;

  constructor(private readonly options: JoinSidesOptions = {}) {
    const fromA = new ByteFlow(options.window);
    const fromB = new ByteFlow(options.window);
    this.near = new Joined('a', this, fromA, fromB);
    this.far = new Joined('b', this, fromB, fromA);
    this.a = this.near;
    this.b = this.far;
    this.closed = new Promise<JoinedSidesEnd>((resolve) => {
      this.settle = resolve;
    });
  }

  start(sideA: ByteSide, sideB: ByteSide): void {
    const { near, far } = this;
    near.side = sideA;
    far.side = sideB;
    if (near.over) this.pass(near, near.over, far);
    if (far.over) this.pass(far, far.over, near);
    near.out.start(sideA, sideB);
    far.out.start(sideB, sideA);
  }

  get bytesFromA(): number {
    return this.near.out.bytes;
  }

  get bytesFromB(): number {
    return this.far.out.bytes;
  }

  /** Cuts both sides off with this reason. Idempotent. */
  reset(reason: ResetReason): void {
    this.by ??= 'here';
    this.cut(this.near, reason);
    this.cut(this.far, reason);
  }

  // what the sides tell

  halfClosed(): void {
    this.options.halfClosed?.();
  }

  sideOver(side: Joined, how: SideEnd): void {
    const { near, far } = this;
    this.pass(side, how, side === near ? far : near);
    if (near.over && far.over) this.settle({ by: this.by, a: near.over, b: far.over });
  }

  // within

  private cut(joined: Joined, reason: ResetReason): void {
    if (joined.over || joined.cut || !joined.side) return;
    joined.cut = true;
    joined.side.reset(reason);
  }

  /** Carries the end of one side over to the other. */
  private pass(from: Joined, end: SideEnd, to: Joined): void {
    if (to.over || !to.side) return;
    if (end.kind !== 'ended') {
      if (!from.cut) this.by ??= from.name;
      this.cut(to, reasonBehind(end));
    } else if (!to.out.ended) {
      // It was told everything and is gone: what still comes has no reader, as behind a socket that was closed.
      to.out.abandon(() => {
        this.by ??= from.name;
        this.cut(to, 'cancelled');
      });
    }
  }
}
