import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../clock/clock.js';
import type { TcpEnd, TcpSocket, TcpSocketHandler } from '../../quic/tcp-socket.js';
import type { Carrier } from '../tcp/carrier.js';
import { createCreditGate } from '../tcp/credit-gate.js';
import { hangUp, resetSocket } from '../tcp/hang-up.js';
import { errnoOf } from '../tcp/loss.js';
import { createSlabWriter, type WriteMemory } from '../tcp/slab-writer.js';
import { socketAddress } from '../tcp/socket-identity.js';
import { withBuffered } from '../tcp/with-buffered.js';
import { watchEnd } from './end-verdict.js';

/** A TLS connection of Node's, with the face of a `TcpSocket`. */
export interface TlsCarrier extends TcpSocket {
  /** Whom everything is told; before anything can be. */
  attach(handler: TcpSocketHandler): void;
  hangUp(): void;
}

/** Takes a TLS connection from which nothing was read yet. */
export function carryTls(socket: TLSSocket, raw: Carrier, clock: Clock, memory: WriteMemory): TlsCarrier {
  let handler: TcpSocketHandler | undefined;
  let failure: string | undefined;
  let bytesSent = 0;
  let bytesReceived = 0;
  let peerEnded = false;
  let cut = false;
  let over = false;

  const finish = (end: TcpEnd): void => {
    if (over) return;
    over = true;
    gate.stop();
    writer.stop();
    handler?.closed(end);
  };
  const endedBothWays = (): void => {
    if (!socket.writableFinished) return;
    // TLS itself would leave what it stands on open.
    if (socket.readableEnded) raw.destroy();
    if (peerEnded) finish({ kind: 'ended' });
  };
  const failed = (error: Error): void => {
    failure ??= errnoOf(error) ?? error.message;
    if (!cut) finish({ kind: 'reset', by: 'peer', errno: failure === 'EPIPE' ? 'ECONNRESET' : failure });
  };
  const onEnd = (): void => {
    if (over || cut) return;
    const { verdict } = watch;
    if (verdict === 'reset') {
      raw.destroy();
      finish({ kind: 'reset', by: 'peer', errno: 'ECONNRESET' });
      return;
    }
    handler?.end(verdict === 'truncated');
    peerEnded = true;
    endedBothWays();
  };

  const watch = watchEnd(socket, raw);
  const writer = createSlabWriter(socket, memory, () => {
    if (!over && !cut) handler?.drain();
  });
  const gate = createCreditGate(socket, {
    data(bytes, start, end) {
      bytesReceived += end - start;
      handler?.data(bytes, start, end);
    },
    end: onEnd,
  });
  socket.on('error', failed);
  raw.on('error', failed);
  socket.on('finish', endedBothWays);
  socket.on('end', endedBothWays);
  socket.on('close', () => {
    // Node destroys a socket whose directions have both ended, whoever still has bytes of it to tell.
    if (gate.holding && socket.readableEnded && socket.writableFinished) return;
    endedBothWays();
    finish({ kind: 'reset', by: 'local', errno: 'ECONNABORTED' });
  });

  const local = raw instanceof Socket ? socketAddress(raw.localAddress, raw.localPort) : nowhere;
  const remote = raw instanceof Socket ? socketAddress(raw.remoteAddress, raw.remotePort) : nowhere;
  return withBuffered<TlsCarrier>(() => writer.buffered, {
    localAddress: local,
    remoteAddress: remote,
    attach(given) {
      handler = given;
    },
    grant(bytes) {
      if (!over && !cut) gate.grant(bytes);
    },
    write(bytes, start, end) {
      if (over || cut || end <= start) return true;
      bytesSent += end - start;
      return writer.write(bytes, start, end);
    },
    end: () => writer.end(),
    reset() {
      if (cut || over) return;
      cut = true;
      gate.stop();
      writer.stop();
      resetSocket(socket, raw, clock);
      process.nextTick(finish, { kind: 'reset', by: 'local', errno: 'ECONNABORTED' });
    },
    hangUp() {
      if (cut || over) return;
      cut = true;
      gate.stop();
      writer.stop();
      hangUp(socket, raw, clock);
    },
    statistics: () => ({ bytesSent, bytesReceived }),
  });
}

const nowhere = { address: '0.0.0.0', port: 0 };
