import type { Readable } from 'node:stream';

export interface CreditGateTarget {
  data(bytes: Uint8Array, start: number, end: number): void;
  /** After the last byte; told without credit too. */
  end(): void;
}

/** Lets a Node stream's bytes through within a credit. */
export interface CreditGate {
  grant(bytes: number): void;
  /** Bytes are kept here for want of credit. */
  readonly holding: boolean;
  /** Nothing more is told; what comes is thrown away, so that an end or an error is still noticed. */
  stop(): void;
  /** As `stop`, but the stream is left paused, and what was kept is given back, first byte first. */
  detach(): Buffer[];
}

/**
 * Reads at once, so that an end or an error is noticed, and pauses the stream over the first chunk that
 * finds no credit: what waits here is bounded by what the stream had already read.
 */
export function createCreditGate(stream: Readable, target: CreditGateTarget): CreditGate {
  const held: Buffer[] = [];
  let start = 0;
  let credit = 0;
  let ended = false;
  let stopped = false;
  let pumping = false;
  let scheduled = false;

  const pump = (): void => {
    if (pumping) return;
    pumping = true;
    while (!stopped && credit > 0) {
      const chunk = held[0];
      if (!chunk) break;
      const from = start;
      const to = Math.min(chunk.length, from + credit);
      credit -= to - from;
      start = to;
      if (to === chunk.length) {
        held.shift();
        gate.holding = held.length > 0;
        start = 0;
      }
      target.data(chunk, from, to);
    }
    pumping = false;
    if (stopped) return;
    if (held.length > 0) stream.pause();
    else if (ended) tellEnd();
    else if (stream.isPaused()) stream.resume();
  };
  const tellEnd = (): void => {
    stopped = true;
    target.end();
  };
  const onData = (chunk: Buffer): void => {
    if (stopped) return;
    held.push(chunk);
    gate.holding = true;
    pump();
  };
  const onEnd = (): void => {
    ended = true;
    if (!stopped && held.length === 0) tellEnd();
  };
  const run = (): void => {
    scheduled = false;
    pump();
  };
  const gate: CreditGate & { holding: boolean } = {
    holding: false,
    grant(bytes) {
      credit += bytes;
      if (scheduled || held.length === 0 || stopped) return;
      scheduled = true;
      process.nextTick(run);
    },
    stop() {
      stopped = true;
      held.length = 0;
      gate.holding = false;
      if (stream.isPaused() && !stream.destroyed) stream.resume();
    },
    detach() {
      stopped = true;
      stream.off('data', onData);
      stream.off('end', onEnd);
      stream.pause();
      const rest = held.splice(0);
      gate.holding = false;
      const first = rest[0];
      if (first) rest[0] = first.subarray(start);
      return rest;
    },
  };
  stream.on('data', onData);
  stream.on('end', onEnd);
  return gate;
}
