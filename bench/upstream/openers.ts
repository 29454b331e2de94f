import { setMaxListeners } from 'node:events';
import type { RequestHead } from '../../src/http/request.js';
import {
  type AcquiredStream,
  dialOwner,
  type Pool,
  type Session,
  systemClock,
  type TransportDriver,
  type UpstreamTarget,
} from '../../src/upstream/index.js';

/** Opens one tunnel; resolves once the proxy has said yes, with the way to end it. */
export type OpenTunnel = () => Promise<() => Promise<void>>;

/** The request for a UDP tunnel to this port of 127.0.0.1. */
export function udpRequest(port: number): RequestHead {
  return {
    kind: 'extended',
    protocol: 'connect-udp',
    scheme: 'https',
    authority: 'localhost',
    path: `/.well-known/masque/udp/127.0.0.1/${port}/`,
    fields: [['capsule-protocol', '?1']],
  };
}

interface Opening {
  readonly session: Session;
  /** The answer. */
  readonly open: Promise<AcquiredStream>;
  readonly closed: Promise<void>;
}

/** A session that tells when the proxy has answered. */
export function createOpening(): Opening {
  let acquired: AcquiredStream | undefined;
  let opened: (stream: AcquiredStream) => void = () => undefined;
  let failed: (error: Error) => void = () => undefined;
  let over: () => void = () => undefined;
  const open = new Promise<AcquiredStream>((resolve, reject) => {
    opened = resolve;
    failed = reject;
  });
  open.catch(() => undefined);
  const closed = new Promise<void>((resolve) => {
    over = resolve;
  });
  const session: Session = {
    gone: new AbortController().signal,
    attach(stream) {
      acquired = stream;
      stream.stream.grant(65_536);
    },
    response({ status }) {
      if (status === 200 && acquired) opened(acquired);
      else failed(new Error(`status ${status}`));
    },
    data: () => undefined,
    end: () => undefined,
    datagram: () => undefined,
    drain: () => undefined,
    closed(end) {
      failed(new Error(end.kind === 'reset' ? `reset: ${end.reason}` : end.kind));
      over();
    },
  };
  return { session, open, closed };
}

/** Each tunnel is a stream on a connection of the pool. */
export function pooledOpener(pool: Pool, target: UpstreamTarget, head: RequestHead): OpenTunnel {
  return async () => {
    const { session, open, closed } = createOpening();
    await pool.openStream(target, head, session);
    const { stream } = await open;
    return async () => {
      stream.end();
      await closed;
    };
  };
}

/** Each tunnel has a connection of its own. */
export function freshOpener(driver: TransportDriver, target: UpstreamTarget, head: RequestHead): OpenTunnel {
  const never = new AbortController().signal;
  setMaxListeners(0, never);
  return async () => {
    const result = await dialOwner(driver, target, { clock: systemClock, tag: 'fresh' }, never);
    if (result.kind === 'failed') throw result.error;
    const { owner } = result;
    const { session, open } = createOpening();
    try {
      await owner.acquireStream(head, session);
      await open;
    } catch (error) {
      await owner.stop();
      throw error;
    }
    return () => owner.stop();
  };
}
