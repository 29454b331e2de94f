import type { ByteEnd, TunnelStream, TunnelStreamHandler } from '../../http/tunnel-stream.js';
import { writeCapsuleHeader } from '../../protocol/capsule.js';
import {
  type ConnectTcpCapsules,
  type ConnectTcpRevision,
  newestConnectTcpCapsules,
} from '../../protocol/connect-tcp.js';
import { ConnectTcpError, createConnectTcpParser } from '../../protocol/connect-tcp-bytes.js';
import { type SideEnd, sideEndOf } from '../side-end.js';
import { ActingSide, type ByteSide, type ByteSideHandler, type SideActs } from './byte-side.js';
import type { ByteStreamBinding } from './byte-stream.js';

/** Bytes of a capsule's longest header: two varints. */
const LONGEST_HEADER = 16;

/**
 * Content that may come beyond the holder's credit, so that FINAL_DATA is seen without any. As many bytes may
 * have to be kept.
 */
const ALLOWANCE = LONGEST_HEADER;

/** Credit that capsule headers and skipped capsules used up is given again in steps of this size. */
const STEP = 4096;

class CapsuleSide extends ActingSide {
  stream: TunnelStream | undefined;

  constructor(
    acts: SideActs,
    readonly start: () => void,
    readonly byteEnd: () => ByteEnd | undefined,
    readonly splice: NonNullable<ByteSide['splice']>,
  ) {
    super(acts);
  }

  override get buffered(): number {
    return this.stream?.buffered ?? 0;
  }
}

/** connect-tcp: bytes in DATA and FINAL_DATA capsules (draft-ietf-httpbis-connect-tcp section 3). */
export function bindCapsuleBytes(revision: ConnectTcpRevision, handler: ByteSideHandler): ByteStreamBinding {
  let started = false;
  /** What the holder lets in and has not got. */
  let credit = 0;
  /** What the stream may deliver and has not. With `inHand` and `keptBytes` at most `credit + ALLOWANCE`. */
  let granted = 0;
  /** The part of the stream's last piece that was not looked at yet. */
  let inHand = 0;
  let pieceEnd = 0;
  let kept: Uint8Array | undefined;
  let keptBytes = 0;
  let telling = false;
  let finalWaits = false;
  let finalTold = false;
  let finalSent = false;
  let blocked = false;
  /** The peer wants no more bytes. */
  let deaf = false;
  let over = false;
  /** What this side found wrong; the stream says that it is over a moment later. */
  let fault: SideEnd | undefined;

  const header = new Uint8Array(LONGEST_HEADER);
  const parser = createConnectTcpParser({
    bytes(bytes, start, end) {
      let at = start;
      telling = true;
      while (at < end && credit > 0 && keptBytes === 0 && !over) {
        const from = at;
        at = Math.min(end, from + credit);
        credit -= at - from;
        inHand = pieceEnd - at;
        handler.data(bytes, from, at);
      }
      telling = false;
      inHand = pieceEnd - end;
      if (at < end && !over) keep(bytes, at, end);
    },
    final() {
      if (keptBytes > 0) finalWaits = true;
      else tellFinal();
    },
  });

  const keep = (bytes: Uint8Array, start: number, end: number): void => {
    const needed = keptBytes + end - start;
    if (!kept || kept.length < needed) {
      const larger = new Uint8Array(Math.max(ALLOWANCE, needed));
      if (kept) larger.set(kept.subarray(0, keptBytes));
      kept = larger;
    }
    kept.set(bytes.subarray(start, end), keptBytes);
    keptBytes = needed;
  };
  const tellKept = (): void => {
    // Credit that is given while bytes are told is used by the call that tells them.
    if (telling) return;
    telling = true;
    while (kept && keptBytes > 0 && credit > 0 && !over) {
      const told = Math.min(credit, keptBytes);
      const bytes = kept.slice(0, told);
      kept.copyWithin(0, told, keptBytes);
      keptBytes -= told;
      credit -= told;
      handler.data(bytes, 0, told);
    }
    telling = false;
    if (!finalWaits || keptBytes > 0 || over) return;
    finalWaits = false;
    tellFinal();
  };
  const tellFinal = (): void => {
    finalTold = true;
    handler.end();
    endWhenBothDid();
  };
  /** draft-ietf-httpbis-connect-tcp section 3.4: the stream ends when the TCP connection is closed both ways. */
  const endWhenBothDid = (): void => {
    if (finalTold && finalSent) side.stream?.end();
  };
  const stop = (): void => {
    over = true;
    deaf = true;
    parser.stop();
  };
  const abort = (error: unknown): void => {
    if (!(error instanceof ConnectTcpError)) throw error;
    fault ??= { kind: 'reset', reason: error.reason };
    stop();
    side.stream?.reset(error.reason);
  };
  const topUp = (step: number): void => {
    if (!started || over) return;
    const missing = credit + ALLOWANCE - keptBytes - inHand - granted;
    if (missing <= 0 || (missing < step && granted >= ALLOWANCE)) return;
    granted += missing;
    side.stream?.grant(missing);
  };
  /** The revision's own; where it has none, those that the peer uses. */
  const capsules = (): ConnectTcpCapsules => revision.capsules ?? parser.capsules ?? newestConnectTcpCapsules;
  const unblock = (): void => {
    if (!blocked) return;
    blocked = false;
    handler.drain();
  };

  const acts: SideActs = {
    grant(bytes) {
      if (over) return;
      credit += bytes;
      tellKept();
      topUp(0);
    },
    write(bytes, start, end) {
      const { stream } = side;
      if (deaf || finalSent || !stream || start >= end) return true;
      const at = writeCapsuleHeader(header, 0, capsules().data, end - start);
      let room: boolean;
      if (stream.writeFramed) room = stream.writeFramed(header, at, bytes, start, end);
      else {
        stream.write(header, 0, at);
        room = stream.write(bytes, start, end);
      }
      // Only the drain ends it: Node may deliver bytes out of a write, before it is told.
      if (!room) blocked = true;
      return room;
    },
    end() {
      if (finalSent || over) return;
      finalSent = true;
      if (!deaf) {
        const at = writeCapsuleHeader(header, 0, capsules().finalData, 0);
        side.stream?.write(header, 0, at);
      }
      endWhenBothDid();
    },
    reset(reason) {
      stop();
      side.stream?.reset(reason);
    },
  };
  const start = (): void => {
    if (started) return;
    started = true;
    topUp(0);
  };
  // The capsules of a token that has none of its own follow the peer's.
  const spliced = (): number | undefined => (started ? undefined : revision.capsules?.data);
  const byteEnd = (): ByteEnd | undefined => {
    const capsule = spliced();
    return capsule === undefined ? undefined : side.stream?.byteEnd?.(capsule);
  };
  const splice: ByteSide['splice'] = (far, begun) => {
    const capsule = spliced();
    return capsule !== undefined && (side.stream?.spliceBytes?.(far, capsule, begun) ?? false);
  };
  const side = new CapsuleSide(acts, start, byteEnd, splice);
  const streamHandler: TunnelStreamHandler = {
    data(bytes, start, end) {
      if (over) return;
      granted -= end - start;
      pieceEnd = end;
      inHand = end - start;
      try {
        parser.push(bytes, start, end);
      } catch (error) {
        abort(error);
      }
      inHand = 0;
      topUp(STEP);
    },
    end() {
      if (over) return;
      try {
        parser.end();
      } catch (error) {
        abort(error);
      }
    },
    datagram: () => abort(new ConnectTcpError('datagram')),
    drain: unblock,
    // Its own bytes go on. What is still written to it is thrown away, as a socket does that is shut for reading.
    peerStopped() {
      deaf = true;
      unblock();
    },
    closed(outcome) {
      stop();
      handler.closed(fault ?? sideEndOf(outcome));
    },
  };
  return {
    side,
    streamHandler,
    attach(attached) {
      side.stream = attached;
    },
    start,
  };
}
