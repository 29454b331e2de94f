import { guarded, NativeConnection } from './connection.js';
import type { EngineContext } from './context.js';
import { accepted } from './engine-listener.js';
import { tellSession } from './http2-completions.js';
import { readCloseReason, readConnectFailure, readStatistics, secureConnectError } from './outcomes.js';
import { completion, high, operation } from './records.js';
import { NativeSecureSocket, readSettledTls } from './secure-socket.js';
import { socketClosed } from './sockets.js';

/** What a drain cannot tell to one connection, endpoint or socket. */
export interface EngineEvents {
  engineClosed(): void;
  engineFailed(reason: string): void;
}

/** Tells the record that begins at this word of the arena to whom it concerns. */
export function dispatch(context: EngineContext, at: number, events: EngineEvents): void {
  const { words, bytes } = context.arena;
  const kind = (words[at] as number) & 0xff;
  const subject = words[at + 1] as number;
  const third = words[at + 2] as number;
  switch (kind) {
    case completion.datagram: {
      const start = (at + 3) * 4;
      context.connections[subject]?.handler?.datagram(bytes, start, start + third);
      return;
    }
    case completion.udpPacket: {
      const start = (at + 4) * 4;
      context.sockets[subject]?.packet(bytes, start, start + (words[at + 3] as number), third);
      return;
    }
    case completion.streamData: {
      const start = (at + 4) * 4;
      const end = start + (words[at + 3] as number);
      context.connections[subject]?.stream(third)?.data(bytes, start, end);
      return;
    }
    case completion.tcpData: {
      const start = (at + 3) * 4;
      context.tcpSockets.get(subject)?.data(bytes, start, start + third);
      return;
    }
    case completion.http2Data: {
      const start = (at + 4) * 4;
      const end = start + (words[at + 3] as number);
      context.tcpSockets.get(subject)?.session?.data(third, bytes, start, end);
      return;
    }
    case completion.http2Space:
      context.tcpSockets.get(subject)?.session?.space(third, words[at + 3] as number);
      return;
    case completion.tcpSpace:
      context.tcpSockets.get(subject)?.space(third);
      return;
    case completion.tcpEnd:
      context.tcpSockets.get(subject)?.peerEnded(third !== 0);
      return;
    case completion.tcpClosed:
      context.tcpSockets.get(subject)?.closed(third, words[at + 3] as number);
      return;
    case completion.datagramSpace:
      context.connections[subject]?.datagramSpace(third);
      return;
    case completion.udpSpace:
      context.sockets[subject]?.space(third);
      return;
    case completion.streamSpace:
      context.connections[subject]?.stream(third)?.space(words[at + 3] as number);
      return;
    case completion.streamOpened:
      context.connections[subject]?.streamOpened(third, long(words, at + 3), words[at + 5] !== 0);
      return;
    case completion.streamId:
      context.connections[subject]?.stream(third)?.opened(long(words, at + 3));
      return;
    case completion.streamEnd:
      context.connections[subject]?.stream(third)?.peerEnded();
      return;
    case completion.streamReset:
      context.connections[subject]?.stream(third)?.peerReset(long(words, at + 3));
      return;
    case completion.streamStopped:
      context.connections[subject]?.stream(third)?.peerStopped(long(words, at + 3));
      return;
    case completion.streamDone:
      context.connections[subject]?.streamDone(third);
      return;
    case completion.maxDatagramSize:
      context.connections[subject]?.resized(third);
      return;
    case completion.streamLimit:
      context.connections[subject]?.streamsAllowed(long(words, at + 2));
      return;
    case completion.udpProblem:
      context.sockets[subject]?.problem(third);
      return;
    case completion.udpClosed:
      socketClosed(context, subject);
      return;
    case completion.virtualTransmit: {
      const start = (at + 4) * 4;
      const to = context.addresses[third];
      if (to) context.endpoints[subject]?.transmit(bytes, start, start + (words[at + 3] as number), to);
      return;
    }
    case completion.bytesSpliced:
    case completion.socketsSpliced:
      context.tcpSockets.get(subject)?.spliced(third !== 0);
      return;
    case completion.streamsJoined:
      context.streamJoins.get(subject)?.begun(third !== 0);
      return;
    case completion.spliceHeld:
      context.sockets[subject]?.spliceHeld(third !== 0);
      return;
    case completion.joinHeld:
      context.joins.get(subject)?.held(third !== 0);
      return;
    case completion.endpointClosed:
      context.endpoints[subject]?.closed();
      return;
    case completion.engineClosed:
      events.engineClosed();
      return;
    default:
      if (kind >= completion.http2Headers && kind <= completion.http2Sent) {
        const session = context.tcpSockets.get(subject)?.session;
        if (session) tellSession(context, session, kind, at);
        return;
      }
      dispatchRare(context, kind, subject, at, events);
  }
}

function long(words: Uint32Array, at: number): number {
  return (words[at] as number) + (words[at + 1] as number) * high;
}

function dispatchRare(
  context: EngineContext,
  kind: number,
  subject: number,
  at: number,
  events: EngineEvents,
): void {
  const { reader } = context;
  reader.seek(at + 2);
  switch (kind) {
    case completion.connectionUp:
      connectionUp(context, subject);
      return;
    case completion.connectionClosed: {
      const connection = context.connections[subject];
      context.connections[subject] = undefined;
      context.submission.simple(operation.forgetConnection, subject);
      connection?.ended(readCloseReason(reader));
      return;
    }
    case completion.connectFailed:
      context.endpoints[subject]?.failed(readConnectFailure(reader));
      return;
    case completion.listening:
      context.endpoints[subject]?.listening(reader.word(), reader.address(), reader.word());
      return;
    case completion.rebound:
      context.endpoints[subject]?.rebound(reader.word(), reader.address());
      return;
    case completion.tcpOpened: {
      const socket = context.tcpSockets.get(subject);
      const errno = reader.word();
      const local = reader.address();
      const remote = reader.address();
      if (errno === 0 && socket instanceof NativeSecureSocket) socket.settled(readSettledTls(reader));
      socket?.opened(errno, local, remote);
      return;
    }
    case completion.secureFailed:
      context.tcpSockets.get(subject)?.failed(secureConnectError(readConnectFailure(reader)));
      return;
    case completion.secureListenerDone:
      context.tcpListeners.get(subject)?.gone();
      return;
    case completion.tcpListening:
      context.tcpListeners.get(subject)?.opened(reader.word(), reader.address());
      return;
    case completion.tcpAccepted:
      accepted(context, subject);
      return;
    case completion.address:
      context.addresses[subject] = reader.address();
      return;
    case completion.migrated:
      context.connections[subject]?.migrated(reader.address());
      return;
    case completion.statistics: {
      const request = reader.word();
      context.connections[subject]?.measured(request, readStatistics(reader));
      return;
    }
    case completion.engineFailed:
      events.engineFailed(reader.text());
      return;
  }
}

function connectionUp(context: EngineContext, subject: number): void {
  const { reader } = context;
  const index = reader.word();
  reader.word();
  const remoteAddress = reader.address();
  const localAddress = reader.address();
  const alpn = reader.text();
  const named = reader.word() !== 0;
  const serverName = reader.text();
  const maxDatagramSize = reader.word();
  const greeted = reader.word() !== 0;
  const streamLimit = reader.long();
  const peerCertificates = Array.from({ length: reader.word() }, () => reader.bytes());
  const endpoint = context.endpoints[index];
  if (!endpoint) return;
  const id = context.nextConnectionId;
  context.nextConnectionId += context.connectionIdStep;
  const connection = new NativeConnection(context, subject, index, id, endpoint, {
    remoteAddress,
    localAddress,
    alpn,
    serverName: named ? serverName : undefined,
    maxDatagramSize,
    greeted,
    streamLimit,
    peerCertificates,
  });
  context.connections[subject] = connection;
  guarded(() => endpoint.up(connection));
}
