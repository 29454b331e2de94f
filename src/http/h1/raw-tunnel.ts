import type { ByteSplice } from '../../quic/byte-splice.js';
import type { TcpSocketHandler } from '../../quic/tcp-socket.js';
import { createHeldBytes } from '../tcp/held-bytes.js';
import { joinedCopy } from '../tcp/joined-copy.js';
import { type LossRecord, recordTcpEnd } from '../tcp/loss.js';
import type { TcpConnection } from '../tcp/tcp-connection.js';
import { withBuffered } from '../tcp/with-buffered.js';
import type { FramedStream, StreamOutcome, TunnelStream, TunnelStreamHandler } from '../tunnel-stream.js';

const highWater = 64 * 1024;

/** Framing and bytes up to this size in all are written as one. */
const joined = 4 * 1024;

/** The bytes of a connection that left HTTP, as a tunnel stream; shut until `open`. */
export interface RawTunnel extends FramedStream {
  /** What the connection tells is for this from the start: let it hold the connection. */
  readonly holder: TcpSocketHandler;
  /** From here on received bytes are delivered and written ones sent. */
  open(): void;
  /** Gives up what was received, for the next message; somebody else holds the connection then. */
  giveBack(): Buffer[];
  /** The outcome of a tunnel that never opened. */
  conclude(outcome: StreamOutcome): void;
  /** The connection is gone, or going; the cause is in the record. */
  lose(): void;
  over(): boolean;
  /** All was sent and all has come, and the last of it waits for credit: the connection is not needed for that. */
  delivering(): boolean;
}

export interface RawTunnelOptions {
  readonly connection: TcpConnection;
  readonly record: LossRecord;
  /** Received behind the head. */
  readonly unread: readonly Buffer[];
  /** A bare FIN counts as an end: classic CONNECT, which has no other end of its own. */
  readonly bareFinEnds: boolean;
}

export function createRawTunnel(options: RawTunnelOptions, handler: TunnelStreamHandler): RawTunnel {
  const { connection, record } = options;
  const held = createHeldBytes(options.unread);
  const early: Buffer[] = [];
  let earlyBytes = 0;
  let credit = 0;
  let opened = false;
  let blocked = false;
  let sendingEnded = false;
  let endTold = false;
  let scheduled = false;
  /** Reset from here: only the outcome is told any more. */
  let cut = false;
  let outcome: StreamOutcome | undefined;
  let resolveClosed: (outcome: StreamOutcome) => void = () => undefined;
  const closed = new Promise<StreamOutcome>((resolve) => {
    resolveClosed = resolve;
  });

  const finish = (value: StreamOutcome): void => {
    if (outcome) return;
    outcome = value;
    early.length = 0;
    held.takeAll();
    handler.closed(value);
    resolveClosed(value);
  };
  const lose = (): void => {
    record.record('reset', undefined, 'the connection was cut');
    const { cause } = record;
    if (cause) finish({ kind: 'lost', reason: cause.reason, detail: cause.detail });
  };
  const silent = (): boolean => cut || outcome !== undefined;
  const room = (): void => {
    if (silent() || !blocked) return;
    blocked = false;
    handler.drain();
  };

  const tellEnd = (): void => {
    if (endTold) return;
    endTold = true;
    if (connection.peerEnd === 'truncated' && !options.bareFinEnds) {
      record.record('peer-closed', undefined, 'TLS ended without close_notify');
      lose();
      connection.reset();
      return;
    }
    handler.end();
    if (connection.over) finish({ kind: 'ended' });
  };
  /** What came goes on within the credit, and the end behind it; then as much is asked for as is missing. */
  const pump = (): void => {
    while (opened && !silent()) {
      const bytes = held.take(credit);
      if (!bytes) break;
      credit -= bytes.length;
      handler.data(bytes, 0, bytes.length);
    }
    if (!opened || silent()) return;
    if (held.length === 0 && connection.peerEnd) tellEnd();
    else connection.grant(credit - held.length - connection.credit);
  };
  const pumpSoon = (): void => {
    if (scheduled) return;
    scheduled = true;
    process.nextTick(() => {
      scheduled = false;
      pump();
    });
  };

  const holder: TcpSocketHandler = {
    data(bytes, start, end) {
      let at = start;
      while (opened && at < end && credit > 0 && held.length === 0 && !silent()) {
        const from = at;
        at = Math.min(end, from + credit);
        credit -= at - from;
        handler.data(bytes, from, at);
      }
      if (at < end && !silent()) held.add(Buffer.from(bytes.subarray(at, end)));
    },
    end() {
      if (opened && held.length === 0 && !silent()) tellEnd();
    },
    drain: room,
    closed(end) {
      if (cut) return;
      if (end.kind === 'ended') {
        if (endTold) finish({ kind: 'ended' });
      } else if (end.by === 'peer' && end.errno === 'ECONNRESET') {
        finish({ kind: 'reset', by: 'peer', reason: 'unknown', code: undefined, version: 'h1' });
      } else {
        recordTcpEnd(record, end);
        lose();
      }
    },
  };

  const writable = (): boolean => !sendingEnded && !silent() && connection.writable;
  const send = (bytes: Uint8Array, start: number, end: number): boolean => {
    const more = connection.socket.write(bytes, start, end);
    if (!more) blocked = true;
    return more;
  };
  // RFC 9931 section 4: nothing goes out before the response allows it.
  const later = (bytes: Buffer): boolean => {
    if (bytes.length > 0) early.push(bytes);
    earlyBytes += bytes.length;
    blocked = earlyBytes >= highWater;
    return !blocked;
  };

  const spliceable = (): boolean => opened && !connection.peerEnd && writable();
  const spliceBytes: TunnelStream['spliceBytes'] = (far, capsule, begun) => {
    if ('stream' in far || credit > 0 || !spliceable()) return false;
    const told = (splice: ByteSplice | undefined): void => {
      if (splice) {
        held.takeAll();
        connection.revoked();
      }
      begun(splice);
    };
    const request = { capsule, prefix: held.joined(), begun: told };
    return connection.socket.spliceTo?.(far, request) ?? false;
  };

  const spliceCapsules: TunnelStream['spliceCapsules'] = (far, rest) => {
    if (!spliceable()) return undefined;
    return connection.socket.spliceCapsules?.(far, (most) => {
      const first = rest(most - held.length);
      return first && Buffer.concat([first, ...held.takeAll()]);
    });
  };

  const buffered = (): number => {
    if (outcome) return 0;
    return opened ? connection.socket.buffered : earlyBytes;
  };
  const tunnel: RawTunnel = withBuffered<RawTunnel>(buffered, {
    version: 'h1',
    id: 0,
    nativeDatagrams: false,
    maxDatagramSize: 0,
    closed,
    holder,
    over: () => outcome !== undefined,
    delivering: () => !outcome && !endTold && connection.over?.kind === 'ended',
    open() {
      if (opened || outcome) return;
      opened = true;
      const waited = blocked;
      blocked = false;
      for (const bytes of early.splice(0)) send(bytes, 0, bytes.length);
      if (sendingEnded) connection.end();
      else if (waited && !blocked) {
        blocked = true;
        process.nextTick(room);
      }
      pumpSoon();
    },
    giveBack: held.takeAll,
    conclude: finish,
    lose,
    grant(bytes) {
      if (silent()) return;
      credit += bytes;
      if (!opened || scheduled) return;
      if (held.length > 0) pumpSoon();
      else connection.grant(credit - connection.credit);
    },
    write(bytes, start, end) {
      if (!writable() || end <= start) return true;
      return opened ? send(bytes, start, end) : later(Buffer.from(bytes.subarray(start, end)));
    },
    writeFramed(head, headEnd, body, start, end) {
      if (!writable()) return true;
      if (!opened) return later(joinedCopy(head, headEnd, body, start, end));
      const length = headEnd + end - start;
      if (length <= joined) return send(joinedCopy(head, headEnd, body, start, end), 0, length);
      send(head, 0, headEnd);
      return send(body, start, end);
    },
    end() {
      if (sendingEnded || silent()) return;
      sendingEnded = true;
      if (opened) connection.end();
    },
    sendDatagram: () => 'too-large',
    reset(reason) {
      if (silent()) return;
      record.record('closed', undefined, `reset: ${reason}`);
      cut = true;
      connection.reset();
      process.nextTick(finish, { kind: 'reset', by: 'local', reason, code: undefined, version: 'h1' });
    },
  });
  if (connection.socket.spliceTo) tunnel.spliceBytes = spliceBytes;
  if (connection.socket.spliceCapsules) tunnel.spliceCapsules = spliceCapsules;
  return tunnel;
}
