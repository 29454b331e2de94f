import type { Clock, Timer } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import type { DatagramOutcome } from '../../quic/connection.js';
import type { OpenUdpTunnel, UdpTunnelHandler } from '../../tunnel/udp/open-udp.js';
import {
  COOKIE_SIZE,
  HEADER,
  HELLO_SIZE,
  kindOf,
  kinds,
  REPORT_SIZE,
  readUint32,
  SOURCE_SIZE,
  writeHeader,
  writeUint32,
} from './datagram-format.js';

/** What a responder says of a run. */
export interface RunReport {
  readonly counted: number;
  readonly sent: number;
}

/** A UDP tunnel to a responder that has accepted this side's address. */
export interface UdpSession {
  /** Largest datagram that can be sent now, bytes. */
  readonly maxSize: number;
  /** A run of its own for what follows; what still comes of earlier ones is not told. */
  startRun(told: (sequence: number, sentAt: number) => void): void;
  /** One datagram of the run. `size` is at least `HEADER`. */
  send(kind: 'echo' | 'sink', sequence: number, size: number): DatagramOutcome;
  /** Asks for datagrams; to be repeated within `SOURCE_GRANT`. A rate of 0 ends it. */
  askForSource(rate: number, size: number): void;
  /** The responder's counters of this run. Rejects with `ERR_TARGET_TIMEOUT`. */
  report(signal: AbortSignal): Promise<RunReport>;
  end(): void;
}

const AGAIN = 200;
const ATTEMPTS = 15;

/**
 * Opens a tunnel to a responder and gets its cookie. Rejects with what `open` does, or with `ERR_TARGET_TIMEOUT`
 * where nothing answers.
 */
export async function openUdpSession(
  open: (handler: UdpTunnelHandler) => Promise<OpenUdpTunnel>,
  clock: Clock,
  signal: AbortSignal,
): Promise<UdpSession> {
  const cookie = new Uint8Array(COOKIE_SIZE);
  const packet = new Uint8Array(65_536);
  const times = new DataView(packet.buffer);
  const stamp = new Uint8Array(8);
  const stampView = new DataView(stamp.buffer);
  let run = 0;
  let told: (sequence: number, sentAt: number) => void = () => undefined;
  let answered: (report: RunReport) => void = () => undefined;
  let wanted = 0;

  const handler: UdpTunnelHandler = {
    payload(bytes, start, end) {
      const kind = kindOf(bytes, start, end);
      if (kind === 0 || readUint32(bytes, start + 16) !== run) return;
      if (kind === kinds.echoed || kind === kinds.sourced) {
        const sentAt = kind === kinds.echoed ? readTime(bytes, start + 24) : 0;
        told(readUint32(bytes, start + 20), sentAt);
      } else if (kind === wanted) {
        if (kind === kinds.cookie) cookie.set(bytes.subarray(start + 8, start + 8 + COOKIE_SIZE));
        answered(
          kind === kinds.counted && end - start >= REPORT_SIZE
            ? { counted: readUint32(bytes, start + 32), sent: readUint32(bytes, start + 36) }
            : { counted: 0, sent: 0 },
        );
      }
    },
  };
  const tunnel = await open(handler);

  /** Sends the packet until there is an answer of this kind. */
  const ask = (kind: number, size: number, what: string): Promise<RunReport> =>
    new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const over = (): void => {
        clock.clearTimeout(timer);
        wanted = 0;
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        over();
        reject(new BautaError('ERR_ABORTED'));
      };
      let left = ATTEMPTS;
      const attempt = (): void => {
        if (left-- === 0) {
          over();
          reject(new BautaError('ERR_TARGET_TIMEOUT', { detail: what }));
          return;
        }
        fill(kind, size);
        tunnel.send(packet, 0, size);
        timer = clock.setTimeout(attempt, AGAIN);
      };
      wanted = kind === kinds.hello ? kinds.cookie : kinds.counted;
      answered = (report) => {
        over();
        resolve(report);
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      attempt();
    });
  const fill = (kind: number, size: number): void => {
    writeHeader(packet, kind, cookie);
    writeUint32(packet, 16, run);
    packet.fill(0, HEADER, Math.min(size, HELLO_SIZE));
  };

  try {
    await ask(kinds.hello, HELLO_SIZE, 'no responder of bauta bench answers there');
  } catch (error) {
    tunnel.end();
    throw error;
  }
  return {
    get maxSize() {
      return Math.min(tunnel.maxPayloadSize, 65_000);
    },
    startRun(given) {
      run += 1;
      told = given;
    },
    send(kind, sequence, size) {
      writeHeader(packet, kinds[kind], cookie);
      writeUint32(packet, 16, run);
      writeUint32(packet, 20, sequence);
      times.setFloat64(24, clock.now());
      return tunnel.send(packet, 0, size);
    },
    askForSource(rate, size) {
      fill(kinds.source, SOURCE_SIZE);
      writeUint32(packet, 32, rate);
      writeUint32(packet, 36, size << 16);
      tunnel.send(packet, 0, SOURCE_SIZE);
    },
    report: () => ask(kinds.count, REPORT_SIZE, 'the responder does not answer any more'),
    end: () => tunnel.end(),
  };

  function readTime(bytes: Uint8Array, at: number): number {
    for (let index = 0; index < 8; index++) stamp[index] = bytes[at + index] ?? 0;
    return stampView.getFloat64(0);
  }
}
