import type { TLSSocket } from 'node:tls';
import type { Carrier } from '../tcp/carrier.js';

/** What the end of a TLS socket's incoming bytes was. */
export type EndVerdict =
  /** close_notify. */
  | 'clean'
  /** A FIN without close_notify (RFC 8446 section 6.1). */
  | 'truncated'
  /** A TCP reset that Node showed as an end. */
  | 'reset';

/** Bytes of a TLS 1.3 record with an alert; TLS 1.2 has 23 to 85, by cipher. */
const alertRecord13 = 24;
const alertRecord12 = { least: 23, most: 85 };

interface HandleWithPeer {
  getpeername?(into: object): number;
}

export interface EndWatch {
  readonly verdict: EndVerdict;
  stop(): void;
}

/**
 * Tells how the bytes of a socket end; call it before they do. Node shows every case as `end`, so the
 * verdict comes from outside: a close_notify is a record that adds to the TCP bytes without adding content,
 * or comes in the same read as the last content. A FIN comes alone and adds nothing. This finds accidents, not
 * somebody on the path who cuts at a byte of his choice. A socket that was reset has no peer any more.
 */
export function watchEnd(socket: TLSSocket, raw: Carrier): EndWatch {
  let atLastContent = taken(raw);
  let sameTurn = false;
  const turnOver = (): void => {
    sameTurn = false;
  };
  const noteTurn = (): void => {
    if (sameTurn) return;
    sameTurn = true;
    setImmediate(turnOver);
  };
  noteTurn();
  // A session ticket adds bytes without content too.
  const onSession = (): void => {
    atLastContent = taken(raw);
  };
  socket.on('session', onSession);
  const { push } = socket;
  socket.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk === null) {
      const added = taken(raw) - atLastContent;
      // Once this side has sent its FIN too, the socket has no peer after any end.
      if (!socket.writableEnded && peerIsGone(raw)) watch.verdict = 'reset';
      else if (!sameTurn && !isAlert(added, socket)) watch.verdict = 'truncated';
    } else {
      atLastContent = taken(raw);
      noteTurn();
    }
    return push.call(socket, chunk, encoding);
  };
  const watch: EndWatch & { verdict: EndVerdict } = {
    verdict: 'clean',
    stop() {
      socket.push = push;
      socket.off('session', onSession);
    },
  };
  return watch;
}

/** Bytes that TLS has had; some of a carrier's may still wait for it. */
function taken(raw: Carrier): number {
  return raw.bytesRead - raw.readableLength;
}

function isAlert(bytes: number, socket: TLSSocket): boolean {
  if (socket.getProtocol() === 'TLSv1.3') return bytes === alertRecord13;
  return bytes >= alertRecord12.least && bytes <= alertRecord12.most;
}

/** getpeername fails with ENOTCONN once the connection was reset; after a FIN it still answers. */
export function peerIsGone(raw: Carrier): boolean {
  const { _handle: handle } = raw as unknown as { _handle?: HandleWithPeer | null };
  return typeof handle?.getpeername === 'function' && handle.getpeername({}) !== 0;
}
