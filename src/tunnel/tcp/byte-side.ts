import type { ByteEnd } from '../../http/tunnel-stream.js';
import type { ResetReason } from '../../protocol/reset-reason.js';
import type { ByteSplice } from '../../quic/byte-splice.js';
import type { TcpSocket } from '../../quic/tcp-socket.js';
import type { SideEnd } from '../side-end.js';

/**
 * One side of a TCP tunnel, whatever carries its bytes: a stream of classic CONNECT, a stream with DATA
 * capsules, or a TCP socket. Half close in both directions; credit for what comes, marks for what goes.
 */
export interface ByteSide {
  /** Where the side is just this socket, and its bytes may be spliced. */
  readonly socket?: TcpSocket;
  /** What its bytes may be spliced with, where the side is a stream and can be now. */
  byteEnd?(): ByteEnd | undefined;
  /**
   * Where the side is a stream: as `TunnelStream.spliceBytes`, as long as it has not been started. False where it
   * cannot be now.
   */
  splice?(far: TcpSocket | ByteEnd, begun: (splice: ByteSplice | undefined) => void): boolean;
  /** Reading begins: of a side that waits for that. Idempotent. */
  start?(): void;
  /** Bytes that `write` took and the carrier has not yet. */
  readonly buffered: number;
  /** Lets `bytes` more bytes be delivered. Starts at zero: nothing comes without. */
  grant(bytes: number): void;
  /**
   * Queues `bytes[start, end)`; copied before this returns.
   * False once `buffered` is at the high-water mark: stop, wait for `drain`. Nothing after `end`.
   */
  write(bytes: Uint8Array, start: number, end: number): boolean;
  /** Ends the sending direction after the last write. */
  end(): void;
  /** Cuts both directions off. On a finished side it does nothing. */
  reset(reason: ResetReason): void;
}

/** What a side does, whatever it knows. */
export type SideActs = Pick<ByteSide, 'grant' | 'write' | 'end' | 'reset'>;

/** A side of which its heirs know how much is buffered. A class because there are thousands. */
export abstract class ActingSide implements ByteSide {
  readonly grant: SideActs['grant'];
  readonly write: SideActs['write'];
  readonly end: SideActs['end'];
  readonly reset: SideActs['reset'];

  constructor(acts: SideActs) {
    this.grant = acts.grant;
    this.write = acts.write;
    this.end = acts.end;
    this.reset = acts.reset;
  }

  abstract get buffered(): number;
}

/** What a side tells. Calls are synchronous and in order. */
export interface ByteSideHandler {
  /** Bytes, within the credit; the view is valid only during the call. */
  data(bytes: Uint8Array, start: number, end: number): void;
  /** Its direction ended cleanly, after its last byte. */
  end(): void;
  /** `buffered` fell below the low-water mark after `write` returned false. */
  drain(): void;
  /** Both directions are over: exactly once, last. */
  closed(how: SideEnd): void;
}
