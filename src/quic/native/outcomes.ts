import type { QuicCloseReason, QuicStatistics } from '../connection.js';
import type { QuicConnectFailure } from '../engine.js';
import { SecureConnectError } from '../secure-socket.js';
import type { CertificateProblem } from '../tls.js';
import { errnoName } from './errno.js';
import type { RecordReader } from './record-reader.js';

/** Reads why a connection ended. */
export function readCloseReason(reader: RecordReader): QuicCloseReason {
  const kind = reader.word();
  const code = reader.long();
  const byPeer = reader.word() !== 0;
  const reason = reader.text();
  switch (kind) {
    case 1:
      return { kind: 'application', code, reason, byPeer };
    case 2:
      return { kind: 'transport', code, reason, byPeer };
    case 3:
      return { kind: 'idle' };
    case 4:
      return { kind: 'stateless-reset' };
    default:
      return { kind: 'engine', reason };
  }
}

/** Reads why a connection did not come up. */
export function readConnectFailure(reader: RecordReader): QuicConnectFailure {
  const kind = reader.word();
  const code = reader.long();
  const problem = reader.text();
  const pin = reader.text();
  const reason = reader.text();
  switch (kind) {
    case 1:
      return { kind: 'timeout' };
    case 2:
      return { kind: 'unreachable', errno: errnoName(code) };
    case 3:
      return { kind: 'certificate', problem: problem as CertificateProblem, pin, reason };
    case 4:
      return { kind: 'tls', alert: code === 0 ? undefined : code - 1, reason };
    case 5:
      return { kind: 'refused', code, reason };
    case 6:
      return { kind: 'version' };
    default:
      return { kind: 'engine', reason };
  }
}

/** The same of TLS over TCP, which has neither versions to negotiate nor close codes. */
export function secureConnectError(failure: QuicConnectFailure): SecureConnectError {
  if (failure.kind !== 'refused' && failure.kind !== 'version') return new SecureConnectError(failure);
  return new SecureConnectError({ kind: 'engine', reason: failure.kind });
}

export function readStatistics(reader: RecordReader): QuicStatistics {
  return {
    rtt: reader.long() / 1000,
    congestionWindow: reader.long(),
    pathMtu: reader.long(),
    bytesSent: reader.long(),
    bytesReceived: reader.long(),
    packetsSent: reader.long(),
    packetsReceived: reader.long(),
    packetsLost: reader.long(),
    datagramsSent: reader.long(),
    datagramsReceived: reader.long(),
    datagramsDroppedSending: reader.long(),
    datagramsDroppedReceiving: reader.long(),
  };
}
