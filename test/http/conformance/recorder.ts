import { createHash } from 'node:crypto';
import type { ResponseHead } from '../../../src/http/request.js';
import type { ClientStreamHandler, StreamOutcome } from '../../../src/http/tunnel-stream.js';
import type { ResetReason } from '../../../src/protocol/reset-reason.js';

/** What one side of a stream was told; also the handler to give to it. */
export interface Recorder extends ClientStreamHandler {
  /** Kinds of events in order; runs of `data` are written once. */
  readonly order: string[];
  readonly informational: (head: ResponseHead) => void;
  readonly heads: ResponseHead[];
  readonly head: ResponseHead | undefined;
  readonly received: number;
  readonly largestPiece: number;
  readonly ended: boolean;
  readonly drains: number;
  readonly stopped: readonly ResetReason[];
  readonly datagrams: Buffer[];
  readonly sizes: number[];
  readonly outcome: StreamOutcome | undefined;
  readonly outcomes: number;
  /** All content; only kept where it is small. */
  content(): Buffer;
  sha256(): string;
  /** Called with each piece; to give credit back, say. */
  onData: ((size: number, piece: Buffer) => void) | undefined;
  onDrain: (() => void) | undefined;
  onEnd: (() => void) | undefined;
  onDatagram: ((datagram: Buffer) => void) | undefined;
  onClosed: (() => void) | undefined;
}

const keptAtMost = 4 << 20;

export function createRecorder(): Recorder {
  const order: string[] = [];
  const heads: ResponseHead[] = [];
  const pieces: Buffer[] = [];
  const datagrams: Buffer[] = [];
  const stopped: ResetReason[] = [];
  const sizes: number[] = [];
  const hash = createHash('sha256');
  let head: ResponseHead | undefined;
  let received = 0;
  let largestPiece = 0;
  let ended = false;
  let drains = 0;
  let outcome: StreamOutcome | undefined;
  let outcomes = 0;
  const note = (event: string): void => {
    if (order.at(-1) !== event || event !== 'data') order.push(event);
  };
  const recorder: Recorder = {
    order,
    heads,
    datagrams,
    sizes,
    stopped,
    onData: undefined,
    onDrain: undefined,
    onEnd: undefined,
    onDatagram: undefined,
    onClosed: undefined,
    get head() {
      return head;
    },
    get received() {
      return received;
    },
    get largestPiece() {
      return largestPiece;
    },
    get ended() {
      return ended;
    },
    get drains() {
      return drains;
    },
    get outcome() {
      return outcome;
    },
    get outcomes() {
      return outcomes;
    },
    content: () => Buffer.concat(pieces),
    sha256: () => hash.copy().digest('hex'),
    informational(given) {
      note('informational');
      heads.push(given);
    },
    response(given) {
      note('response');
      head = given;
    },
    data(bytes, start, end) {
      note('data');
      const piece = Buffer.from(bytes.subarray(start, end));
      received += piece.length;
      largestPiece = Math.max(largestPiece, piece.length);
      hash.update(piece);
      if (received <= keptAtMost) pieces.push(piece);
      recorder.onData?.(piece.length, piece);
    },
    end() {
      note('end');
      ended = true;
      recorder.onEnd?.();
    },
    datagram(bytes, start, end) {
      const copy = Buffer.from(bytes.subarray(start, end));
      datagrams.push(copy);
      recorder.onDatagram?.(copy);
    },
    drain() {
      drains += 1;
      recorder.onDrain?.();
    },
    peerStopped(reason) {
      stopped.push(reason);
    },
    maxDatagramSize(size) {
      sizes.push(size);
    },
    closed(given) {
      note('closed');
      outcome = given;
      outcomes += 1;
      recorder.onClosed?.();
    },
  };
  return recorder;
}
