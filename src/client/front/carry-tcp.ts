import type { Clock } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { formatHostPort } from '../../protocol/target.js';
import { watchIdle } from '../../tunnel/idle-watch.js';
import type { SideEnd } from '../../tunnel/side-end.js';
import { JoinedSides } from '../../tunnel/tcp/join-sides.js';
import { socketSide, socketSideHandler } from '../../tunnel/tcp/socket-side.js';
import type { Target } from '../client.js';
import { dialError } from '../dial-failure.js';
import type { AppConnection } from './app-connection.js';
import type { FrontEvent } from './front-events.js';
import type { FrontGround } from './front-ground.js';
import type { FrontLimits } from './front-limits.js';

/** What carrying an app's connection needs. */
export interface CarryContext {
  readonly ground: Pick<FrontGround, 'openRawTcp'>;
  readonly clock: Clock;
  readonly limits: FrontLimits;
  readonly event: (event: FrontEvent) => void;
}

/** What every kind of front-end is given. */
export interface FrontContext extends CarryContext {
  readonly ground: FrontGround;
}

/** What goes first, once the tunnel is open. */
export interface FirstBytes {
  /** To the app, before the target's first byte. */
  readonly answer?: Uint8Array;
  /** To the target: what the app sent early, where it is not unread at its connection. */
  readonly early?: Uint8Array;
}

function nameOf(target: Target): string {
  return typeof target === 'string' ? target : formatHostPort(target.host, target.port);
}

/** How a tunnel went as a whole, by how each side of it did. */
function worst(...ends: readonly SideEnd[]): SideEnd['kind'] {
  return (['lost', 'reset'] as const).find((kind) => ends.some((end) => end.kind === kind)) ?? 'ended';
}

/**
 * Opens a tunnel to the target for an app's connection and joins the two: bytes, half closes and resets of each
 * go to the other. `opened` is asked for what goes first. Rejects with `BautaError` when
 * there is no tunnel; the app's connection is as it was then. Never dials the target itself.
 */
export async function carryTcp(
  app: AppConnection,
  target: Target,
  context: CarryContext,
  opened: () => FirstBytes,
): Promise<void> {
  const { clock, limits, event } = context;
  const subject = { app: app.remoteAddress, network: 'tcp', target: nameOf(target) } as const;
  const join = new JoinedSides();
  let first: FirstBytes;
  app.limitRequest(undefined);
  try {
    const tunnel = await context.ground.openRawTcp(target, join.b, {
      signal: app.over,
      timeout: limits.openTimeout,
    });
    event({ type: 'tunnel-opened', ...subject });
    first = opened();
    if (first.answer) app.write(first.answer);
    join.start(socketSide(app.socket), tunnel);
  } catch (thrown) {
    const error = dialError(thrown);
    if (app.over.aborted) throw new BautaError('ERR_ABORTED', { cause: error });
    event({ type: 'tunnel-failed', ...subject, error });
    throw error;
  }
  let idle = false;
  const release = watchIdle(
    clock,
    limits.tcpIdleTimeout,
    () => join.bytesFromA + join.bytesFromB,
    () => {
      idle = true;
      join.reset('cancelled');
    },
  );
  void join.closed.then(({ a, b }) => {
    release();
    event({ type: 'tunnel-closed', ...subject, how: idle ? 'idle' : worst(a, b) });
  });
  app.handOver(socketSideHandler(join.a), first.early);
}
