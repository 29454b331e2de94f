import type { RequestHead } from '../../src/http/request.js';
import type { AcquiredStream, Session, SessionEnd } from '../../src/upstream/session.js';

/** A session that notes what it is told, in order. */
export interface RecordingSession extends Session {
  readonly log: string[];
  readonly ends: SessionEnd[];
  readonly acquired: AcquiredStream | undefined;
  /** The session vanishes without releasing. */
  vanish(): void;
  /** Runs inside `closed`. */
  onClosed: (end: SessionEnd) => void;
}

export function recordingSession(
  options: { readonly controller?: AbortController; readonly credit?: number } = {},
): RecordingSession {
  const log: string[] = [];
  const ends: SessionEnd[] = [];
  const { controller = new AbortController(), credit = 1 << 20 } = options;
  let acquired: AcquiredStream | undefined;
  const text = (bytes: Uint8Array, start: number, end: number): string =>
    Buffer.from(bytes.subarray(start, end)).toString();
  const session: RecordingSession = {
    log,
    ends,
    gone: controller.signal,
    get acquired() {
      return acquired;
    },
    attach(given) {
      acquired = given;
      given.stream.grant(credit);
    },
    informational: (head) => void log.push(`informational ${head.status}`),
    response: (head) => void log.push(`response ${head.status}`),
    data: (bytes, start, end) => void log.push(`data ${text(bytes, start, end)}`),
    end: () => void log.push('end'),
    datagram: (bytes, start, end) => void log.push(`datagram ${text(bytes, start, end)}`),
    drain: () => void log.push('drain'),
    closed(end) {
      ends.push(end);
      log.push(end.kind === 'reset' ? `reset ${end.code}` : end.kind);
      session.onClosed(end);
    },
    vanish: () => controller.abort(),
    onClosed: () => undefined,
  };
  return session;
}

export const head: RequestHead = {
  kind: 'extended',
  protocol: 'connect-udp',
  scheme: 'https',
  authority: 'proxy.test',
  path: '/.well-known/masque/udp/192.0.2.6/443/',
  fields: [['capsule-protocol', '?1']],
};
