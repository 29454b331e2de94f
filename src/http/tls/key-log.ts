import { closeSync, openSync, writeSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { QuicConfigurationError } from '../../quic/engine.js';

export interface KeyLog {
  /** One line of the NSS key log format, with its line end. */
  append(line: Uint8Array): void;
  close(): void;
}

/** Opens the file for appending, readable by its owner only. Throws `QuicConfigurationError`. */
export function openKeyLog(path: string): KeyLog {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'a', 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new QuicConfigurationError(`the TLS key log ${path} cannot be opened: ${code ?? message}`, code);
  }
  return {
    append(line) {
      if (descriptor === undefined) return;
      try {
        writeSync(descriptor, line);
      } catch {
        // A full disk must not end a connection.
      }
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

/** Logs this connection's secrets until it closes; call before the handshake starts. */
export function logKeys(socket: TLSSocket, keyLog: KeyLog): void {
  socket.on('keylog', (line) => keyLog.append(line));
  socket.once('close', () => keyLog.close());
}
