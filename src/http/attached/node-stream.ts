import type { Http2Stream } from 'node:http2';
import { codeOf, type ResetReason, reasonOf } from '../../protocol/reset-reason.js';
import type { ConnectionClose } from '../connection.js';
import { type CreditGate, createCreditGate } from '../tcp/credit-gate.js';
import { createSlabWriter, type SlabWriter, type WriteMemory } from '../tcp/slab-writer.js';
import type { FramedStream, StreamOutcome, TunnelStreamHandler } from '../tunnel-stream.js';

/** What a stream needs to know of its connection. */
export interface StreamOwner {
  /** Why the connection is gone, or going at once; undefined while it is up. */
  readonly loss: ConnectionClose | undefined;
  /** The last stream of ours that the peer's GOAWAY says it processes. */
  readonly lastProcessed: number | undefined;
  /** Called when this side closes the connection, before the wire is done with it. */
  readonly losing: Set<(loss: ConnectionClose) => void>;
  /** For what streams send. */
  readonly memory: WriteMemory;
}

/** A tunnel stream on an open HTTP/2 stream, with what its own side adds. */
export interface H2Stream extends FramedStream {
  /** The sending side is over although nobody called `end` (an answer to HEAD). */
  sendingDone(): void;
  /** True once the outcome is decided. */
  readonly over: boolean;
}

/**
 * A tunnel stream over Node's HTTP/2 stream. The stream must have been opened or be answered with
 * `waitForTrailers`, so that Node never puts END_STREAM before a RST_STREAM by itself.
 */
export function createH2Stream(
  stream: Http2Stream,
  handler: TunnelStreamHandler,
  owner: StreamOwner,
): H2Stream {
  const id = stream.id ?? -1;
  let local: ResetReason | undefined;
  let sendingEnded = false;
  let receivingEnded = false;
  // True once the peer's END_STREAM came; Node ends a stream that was reset in the same way.
  let complete = 'endAfterHeaders' in stream && stream.endAfterHeaders === true;
  let outcome: StreamOutcome | undefined;
  let closing = false;
  let resolveClosed: (outcome: StreamOutcome) => void = () => undefined;
  const closed = new Promise<StreamOutcome>((resolve) => {
    resolveClosed = resolve;
  });

  const finish = (value: StreamOutcome): void => {
    if (outcome) return;
    outcome = value;
    owner.losing.delete(lose);
    gate.stop();
    writer.stop();
    handler.closed(value);
    resolveClosed(value);
  };

  const lose = (loss: ConnectionClose): void =>
    finish({ kind: 'lost', reason: loss.reason, detail: loss.detail });
  owner.losing.add(lose);

  const gate: CreditGate = createCreditGate(stream, {
    data: (bytes, start, end) => handler.data(bytes, start, end),
    end() {
      if (!complete || local !== undefined || stream.rstCode !== 0 || owner.loss) return;
      receivingEnded = true;
      handler.end();
      if (closing) conclude();
    },
  });

  const conclude = (): void => {
    if (outcome || (gate.holding && stream.rstCode === 0 && !owner.loss)) return;
    const code = stream.rstCode;
    if (code === 0 && sendingEnded && receivingEnded) finish({ kind: 'ended' });
    else if (unprocessed(code)) {
      finish({ kind: 'lost', reason: 'peer-closed', detail: 'left unprocessed by GOAWAY' });
    } else if (owner.loss) lose(owner.loss);
    else finish({ kind: 'reset', by: 'peer', reason: reasonOf(code, 'h2'), code, version: 'h2' });
  };

  // RFC 9113 section 6.8: streams above the last one named were not processed.
  const unprocessed = (code: number): boolean =>
    code === codeOf('refused', 'h2') && owner.lastProcessed !== undefined && id > owner.lastProcessed;

  const push = stream.push.bind(stream);
  stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk === null && !stream.closed) complete = true;
    // Read to its end, a stream that was reset would be destroyed before its RST_STREAM has left, and Node 26
    // aborts the process when it then comes to what is still queued of it. What closes it on the wire does it.
    if (local !== undefined && codeOf(local, 'h2') !== 0) return false;
    return push(chunk, encoding);
  };
  stream.on('error', () => undefined);
  stream.on('wantTrailers', () => {
    if (!stream.closed && !stream.destroyed && local === undefined) stream.sendTrailers({});
  });
  stream.on('aborted', () => {
    if (local !== undefined || owner.loss || stream.rstCode !== 0) return;
    // RFC 9113 section 8.1: RST_STREAM with NO_ERROR behind a complete message asks for no more bytes.
    if (complete) sendingEnded = true;
    else finish({ kind: 'reset', by: 'peer', reason: 'no-error', code: 0, version: 'h2' });
  });
  stream.on('close', () => {
    closing = true;
    conclude();
  });

  const writer: SlabWriter = createSlabWriter(stream, owner.memory, () => {
    if (!outcome) handler.drain();
  });

  const writable = (): boolean =>
    !sendingEnded && !outcome && local === undefined && !stream.destroyed && !stream.closed;
  return {
    version: 'h2',
    id,
    nativeDatagrams: false,
    maxDatagramSize: 0,
    closed,
    get buffered() {
      return outcome ? 0 : writer.buffered;
    },
    get over() {
      return outcome !== undefined;
    },
    grant: (bytes) => gate.grant(bytes),
    write: (bytes, start, end) => !writable() || writer.write(bytes, start, end),
    writeFramed: (head, headEnd, body, start, end) =>
      !writable() || writer.writeFramed(head, headEnd, body, start, end),
    end() {
      if (sendingEnded || outcome || local !== undefined) return;
      sendingEnded = true;
      writer.end();
    },
    sendingDone() {
      sendingEnded = true;
    },
    sendDatagram: () => 'too-large',
    reset(reason) {
      if (outcome || local !== undefined || stream.destroyed) return;
      if (sendingEnded && receivingEnded && stream.closed) return;
      local = reason;
      gate.stop();
      writer.stop();
      const code = codeOf(reason, 'h2');
      // In a turn of its own: Node 26 aborts the process when a stream that was closed while it reads a frame
      // is ended by a later frame of the same read.
      setImmediate(() => {
        if (!stream.destroyed) stream.close(code);
      });
      process.nextTick(finish, { kind: 'reset', by: 'local', reason, code, version: 'h2' });
    },
  };
}
