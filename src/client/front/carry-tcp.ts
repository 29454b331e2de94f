import type { Clock } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { formatHostPort } from '../../protocol/target.js';
import type { ByteSplice, ByteSpliceStatistics } from '../../quic/byte-splice.js';
import type { TcpSocket } from '../../quic/tcp-socket.js';
import type { DataPath } from '../../tunnel/data-path.js';
import { watchIdle } from '../../tunnel/idle-watch.js';
import type { SideEnd } from '../../tunnel/side-end.js';
import { askForSplice } from '../../tunnel/tcp/ask-for-splice.js';
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
  /** What moves the bytes of a tunnel; default `auto`, the engine where it can. */
  readonly dataPath?: DataPath | undefined;
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
  /** Takes what the app sent early, where that does not wait at its connection; it goes to the target. */
  readonly takeEarly?: () => Uint8Array;
}

const nothing: ByteSpliceStatistics = { bytesIn: 0, bytesOut: 0 };

function nameOf(target: Target): string {
  return typeof target === 'string' ? target : formatHostPort(target.host, target.port);
}

/** How a tunnel went as a whole, by how each side of it did. */
function worst(...ends: readonly SideEnd[]): SideEnd['kind'] {
  return (['lost', 'reset'] as const).find((kind) => ends.some((end) => end.kind === kind)) ?? 'ended';
}

/**
 * Opens a tunnel to the target for an app's connection and joins the two: bytes, half closes and resets of each
 * go to the other, the bytes by the engine alone where it can. `opened` is asked for what goes first. Rejects with
 * `BautaError` when there is no tunnel; the app's connection is as it was then. Never dials the target itself.
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
  let splice: ByteSplice | undefined;
  try {
    const tunnel = await context.ground.openRawTcp(target, join.b, {
      signal: app.over,
      timeout: limits.openTimeout,
    });
    event({ type: 'tunnel-opened', ...subject });
    const { answer, takeEarly = () => app.take(app.unread.length) } = opened();
    if (answer) app.write(answer);
    const joinSides = (): void => {
      tunnel.start?.();
      join.start(socketSide(app.socket), tunnel);
      app.handOver(socketSideHandler(join.a), takeEarly());
    };
    const begun = (made: ByteSplice | undefined): void => {
      splice = made;
      joinSides();
    };
    // What the app sent early, perhaps while the engine was asked, goes first.
    const socket = (): TcpSocket => {
      const early = takeEarly();
      tunnel.write(early, 0, early.length);
      return app.socket;
    };
    if (context.dataPath === 'js' || !askForSplice(tunnel, socket, begun)) joinSides();
  } catch (thrown) {
    const error = dialError(thrown);
    if (app.over.aborted) throw new BautaError('ERR_ABORTED', { cause: error });
    event({ type: 'tunnel-failed', ...subject, error });
    throw error;
  }
  const carried = (): number => {
    const { bytesIn, bytesOut } = splice?.statistics() ?? nothing;
    return join.bytesFromA + join.bytesFromB + bytesIn + bytesOut;
  };
  let idle = false;
  const release = watchIdle(clock, limits.tcpIdleTimeout, carried, () => {
    idle = true;
    join.reset('cancelled');
  });
  void join.closed.then(({ a, b }) => {
    release();
    const how = idle ? 'idle' : worst(a, b);
    event({ type: 'tunnel-closed', ...subject, how, dataPath: splice ? 'splice' : 'js' });
  });
}
