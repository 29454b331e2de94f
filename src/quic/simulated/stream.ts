import type { QuicStream, QuicStreamHandler } from '../stream.js';
import type { Frame, StreamFrame } from './frame.js';
import { createLane, type Lane } from './link.js';
import { giveView } from './poison.js';

/** `buffered` from which `write` says stop, and below which `drain` comes; bytes. */
export const highWater = 64 * 1024;
export const lowWater = 32 * 1024;

/** What a stream needs of its connection. */
export interface StreamOwner {
  /** False once the connection is over: then nothing does anything. */
  readonly alive: boolean;
  /** The stream has something to send. */
  ready(stream: SimulatedStream): void;
  /** Sends in order with the stream's other frames. */
  send(lane: Lane, frame: Frame): void;
  /** Runs soon, and never before this returns. */
  soon(run: () => void): void;
  /** These bytes no longer take room on the connection. */
  consumed(bytes: number): void;
  /** Neither direction has anything left to do, or the stream was given up before it was opened. */
  finished(stream: SimulatedStream): void;
}

/** One end of a stream: the public face, and what its connection does with it. */
export interface SimulatedStream {
  readonly face: QuicStream;
  readonly lane: Lane;
  handler: QuicStreamHandler;
  priority: number;
  /** Gives a local stream its id. */
  open(id: number, room: number): void;
  /** Something can be sent now, given this much room on the connection. */
  sendable(connectionRoom: number): boolean;
  /** Sends one segment of at most `size` bytes; returns the bytes taken. */
  sendSegment(size: number): number;
  receive(frame: StreamFrame): void;
  /** The connection is gone. */
  lose(): void;
}

export function createSimulatedStream(
  owner: StreamOwner,
  shape: {
    readonly id: number;
    readonly bidirectional: boolean;
    readonly local: boolean;
    readonly window: number;
    readonly room: number;
    readonly firstCredit: number;
  },
  handler: QuicStreamHandler,
): SimulatedStream {
  let id = shape.id;
  // Sending.
  const queue: Uint8Array[] = [];
  let buffered = 0;
  let room = shape.room;
  let wantsDrain = false;
  let resetCode: number | undefined;
  let sending: 'open' | 'ending' | 'ended' | 'done' = shape.local || shape.bidirectional ? 'open' : 'done';
  // Receiving.
  const received: Uint8Array[] = [];
  let credit = shape.firstCredit;
  let consumed = 0;
  let finReceived = false;
  let stopCode: number | undefined;
  let receiving: 'open' | 'done' = !shape.local || shape.bidirectional ? 'open' : 'done';
  let delivering = false;
  let over = false;

  const checkFinished = (): void => {
    if (over || sending !== 'done' || receiving !== 'done') return;
    over = true;
    owner.finished(stream);
  };
  const stopSending = (): void => {
    sending = 'done';
    queue.length = 0;
    buffered = 0;
    wantsDrain = false;
  };
  const giveRoom = (bytes: number): void => {
    owner.consumed(bytes);
    consumed += bytes;
    if (consumed < shape.window / 4) return;
    owner.send(lane, { type: 'room', id, bytes: consumed });
    consumed = 0;
  };
  const dropReceived = (): void => {
    receiving = 'done';
    let bytes = 0;
    for (const chunk of received) bytes += chunk.length;
    received.length = 0;
    owner.consumed(bytes);
  };
  // Nothing is read without credit, the end included: who reads no more does not learn that there is no more.
  const deliver = (): void => {
    while (owner.alive && receiving === 'open' && credit > 0) {
      const chunk = received[0];
      if (!chunk) {
        if (!finReceived) return;
        receiving = 'done';
        stream.handler.end();
        break;
      }
      const length = Math.min(chunk.length, credit);
      credit -= length;
      if (length === chunk.length) received.shift();
      else received[0] = chunk.subarray(length);
      giveRoom(length);
      giveView(chunk, 0, length, (view, start, end) => stream.handler.data(view, start, end));
    }
    checkFinished();
  };
  const deliverSoon = (): void => {
    if (delivering) return;
    delivering = true;
    owner.soon(() => {
      delivering = false;
      deliver();
    });
  };

  const lane = createLane();
  const face: QuicStream = {
    get id() {
      return id;
    },
    bidirectional: shape.bidirectional,
    local: shape.local,
    firstCredit: shape.firstCredit,
    get buffered() {
      return buffered;
    },
    write(bytes, start, end) {
      if (!owner.alive || sending !== 'open') return true;
      if (end > start) {
        queue.push(Uint8Array.prototype.slice.call(bytes, start, end));
        buffered += end - start;
        owner.ready(stream);
      }
      if (buffered >= highWater) wantsDrain = true;
      return !wantsDrain;
    },
    end() {
      if (!owner.alive || sending !== 'open') return;
      sending = 'ending';
      owner.ready(stream);
    },
    reset(code) {
      if (!owner.alive || sending === 'done') return;
      stopSending();
      resetCode = code;
      if (id >= 0) owner.send(lane, { type: 'reset', id, code });
      checkFinished();
    },
    stop(code) {
      if (!owner.alive || receiving === 'done') return;
      if (id >= 0) owner.send(lane, { type: 'stop', id, code });
      else stopCode = code;
      dropReceived();
      checkFinished();
    },
    grant(bytes) {
      if (!owner.alive || receiving === 'done' || bytes <= 0) return;
      credit += bytes;
      if (received.length > 0 || finReceived) deliverSoon();
    },
    setPriority(value) {
      stream.priority = value;
    },
  };

  const stream: SimulatedStream = {
    face,
    lane,
    handler,
    priority: 0,
    open(newId, newRoom) {
      id = newId;
      room = newRoom;
      stream.handler.opened?.(newId);
      if (resetCode !== undefined) owner.send(lane, { type: 'reset', id, code: resetCode });
      if (stopCode !== undefined) owner.send(lane, { type: 'stop', id, code: stopCode });
      owner.ready(stream);
    },
    sendable(connectionRoom) {
      if (id < 0) return false;
      if (queue.length === 0) return sending === 'ending';
      return room > 0 && connectionRoom > 0;
    },
    sendSegment(size) {
      const chunk = queue[0];
      const length = chunk ? Math.min(chunk.length, size, room) : 0;
      if (chunk) {
        if (length === chunk.length) queue.shift();
        else queue[0] = chunk.subarray(length);
        buffered -= length;
        room -= length;
      }
      const fin = sending === 'ending' && queue.length === 0;
      if (fin) sending = 'ended';
      owner.send(lane, {
        type: 'stream',
        id,
        bytes: chunk ? chunk.subarray(0, length) : new Uint8Array(0),
        fin,
      });
      if (wantsDrain && buffered < lowWater) {
        wantsDrain = false;
        stream.handler.drain();
      }
      return length;
    },
    receive(frame) {
      switch (frame.type) {
        case 'stream':
          if (frame.fin) owner.send(lane, { type: 'acknowledged', id });
          if (receiving === 'done') {
            owner.consumed(frame.bytes.length);
            return;
          }
          if (frame.bytes.length > 0) received.push(frame.bytes);
          finReceived = frame.fin;
          deliver();
          return;
        case 'reset':
          // RFC 9000 section 3.2: a reset after all bytes have come may be ignored.
          if (receiving === 'done' || finReceived) return;
          dropReceived();
          stream.handler.reset(frame.code);
          checkFinished();
          return;
        case 'stop':
          if (sending === 'done') return;
          stopSending();
          // RFC 9000 section 3.5: STOP_SENDING is answered with RESET_STREAM.
          owner.send(lane, { type: 'reset', id, code: frame.code });
          stream.handler.stopped(frame.code);
          checkFinished();
          return;
        case 'room':
          room += frame.bytes;
          owner.ready(stream);
          return;
        case 'acknowledged':
          if (sending !== 'ended') return;
          sending = 'done';
          checkFinished();
          return;
      }
    },
    lose() {
      if (over) return;
      over = true;
      sending = 'done';
      receiving = 'done';
      received.length = 0;
      queue.length = 0;
      buffered = 0;
      stream.handler.lost();
    },
  };
  return stream;
}
