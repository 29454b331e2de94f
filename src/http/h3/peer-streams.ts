import { H3Error, h3ErrorCodes } from '../../protocol/h3-error.js';
import { h3StreamKind, isCriticalStream } from '../../protocol/h3-stream-type.js';
import { checkEncoderStream, createDecoderStreamReader } from '../../protocol/qpack/instruction-streams.js';
import { INCOMPLETE, VarintReader } from '../../protocol/varint.js';
import type { QuicStream, QuicStreamHandler } from '../../quic/stream.js';
import { deafHandler } from './deaf-handler.js';
import { createPeerControl, type PeerControlHandler } from './peer-control.js';

export interface PeerStreamsHandler extends PeerControlHandler {
  /** The peer broke the protocol: close the connection. */
  fail(code: number, detail: string): void;
  /** A stream of unknown type was refused. */
  unknownStream(): void;
}

/** Bytes of such a stream that may be on their way here; given again as they are read. */
const CREDIT = 4096;

type Read = (bytes: Uint8Array, start: number, end: number) => void;

/** Takes the peer's unidirectional streams (RFC 9114 section 6.2). */
export function createPeerStreams(
  role: 'client' | 'server',
  handler: PeerStreamsHandler,
): (stream: QuicStream) => QuicStreamHandler {
  const opened = new Set<string>();

  /** What reads a stream of this type; undefined where it is to be refused. */
  const reader = (type: number): Read | undefined => {
    const kind = h3StreamKind(type);
    if (kind === 'unknown') return undefined;
    if (kind === 'push') {
      // RFC 9114 section 6.2.2: only servers push; section 4.6: and only after MAX_PUSH_ID, which is never sent.
      if (role === 'server') throw new H3Error('H3_STREAM_CREATION_ERROR', 'a push stream from a client');
      throw new H3Error('H3_ID_ERROR', 'a push stream that was not allowed');
    }
    // RFC 9114 section 6.2.1, RFC 9204 section 4.2: one of each.
    if (opened.has(kind)) throw new H3Error('H3_STREAM_CREATION_ERROR', `a second ${kind} stream`);
    opened.add(kind);
    if (kind === 'control') {
      const control = createPeerControl(role, handler);
      return (bytes, start, end) => control.push(bytes, start, end);
    }
    return kind === 'qpack-encoder' ? checkEncoderStream : createDecoderStreamReader().push;
  };

  return (stream) => {
    const header = new VarintReader();
    let read: Read | undefined;
    let critical = false;
    let refused = false;
    stream.grant(CREDIT - stream.firstCredit);

    const take: Read = (bytes, start, end) => {
      let at = start;
      if (!read) {
        at = header.read(bytes, start, end);
        if (at === INCOMPLETE) return;
        read = reader(header.value);
        critical = isCriticalStream(header.value);
        if (!read) {
          // RFC 9114 section 6.2: reading is aborted; the connection goes on.
          refused = true;
          stream.stop(h3ErrorCodes.H3_STREAM_CREATION_ERROR);
          handler.unknownStream();
          return;
        }
      }
      read(bytes, at, end);
    };
    const closed = (): void => {
      // RFC 9114 section 6.2: a stream may end before its type is whole.
      if (!read && !refused) handler.unknownStream();
      if (critical) handler.fail(h3ErrorCodes.H3_CLOSED_CRITICAL_STREAM, 'the peer closed a critical stream');
    };

    return {
      ...deafHandler,
      data(bytes, start, end) {
        if (refused) return;
        try {
          take(bytes, start, end);
        } catch (error) {
          if (!(error instanceof H3Error)) throw error;
          refused = true;
          handler.fail(error.code, error.message);
        }
        if (!refused) stream.grant(end - start);
      },
      end: closed,
      reset: closed,
    };
  };
}
