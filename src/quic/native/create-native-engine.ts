import { NumberTable } from '../../tables/number-table.js';
import type { CongestionControl } from '../congestion.js';
import type { QuicEngine } from '../engine.js';
import type { EngineThread } from '../engine-thread.js';
import { createSharedRoom, type SharedRoom } from '../write-gauge.js';
import { createArena } from './arena.js';
import { loadBinding, type NativeBinding } from './binding.js';
import { dispatch, type EngineEvents } from './completions.js';
import { guarded } from './connection.js';
import type { EngineContext } from './context.js';
import { connect, listen } from './endpoints.js';
import { createRecordReader } from './record-reader.js';
import { completion, operation } from './records.js';
import { listenSecure } from './secure.js';
import type { EngineShard } from './shard.js';
import { joinShards } from './sharded-engine.js';
import { createUdpSockets } from './sockets.js';
import { createSubmission } from './submission.js';
import { createTcpSockets, loseTcp } from './tcp.js';

export const mostShards = 64;

/** Full arenas drained in one turn of the event loop, so that others have theirs. */
const turn = 4;

/**
 * What the native side calls. It keeps the callback, and with it all that this can reach, so the way
 * to the rest is cleared at the end; a scope of its own holds nothing else.
 */
function createWakeUp(): { readonly call: () => void; target: (() => void) | undefined } {
  const slot: { target: (() => void) | undefined } = { target: undefined };
  return {
    call: () => slot.target?.(),
    get target() {
      return slot.target;
    },
    set target(target) {
      slot.target = target;
    },
  };
}

export interface NativeEngineOptions {
  /**
   * Threads, at most 64; default 1. With several, connections are spread over them by the first byte of their
   * connection ids; where the system cannot do that, listeners use one (`QuicListener.shards`).
   */
  readonly shards?: number;
  /** Of connections that say nothing else; default `cubic`. */
  readonly congestion?: CongestionControl;
}

/**
 * An engine with threads of its own. Throws `BautaError` ERR_NATIVE_ENGINE where none was built, and RangeError
 * for a number of shards that there cannot be. The process stays alive while the engine has listeners,
 * connections or sockets.
 */
export function createNativeEngine({
  shards = 1,
  congestion = 'cubic',
}: NativeEngineOptions = {}): QuicEngine {
  if (!Number.isInteger(shards) || shards < 1 || shards > mostShards) {
    throw new RangeError(`${shards} is not a number of shards from 1 to ${mostShards}`);
  }
  const binding = loadBinding();
  const writeRoom = createSharedRoom();
  const common = { binding, writeRoom, shards, congestion };
  const first = createShard(common, 0);
  if (shards === 1) return first;
  const others = Array.from({ length: shards - 1 }, (_, index) => createShard(common, index + 1));
  return joinShards(binding, [first, ...others]);
}

/** What all shards of an engine have. */
interface Common {
  readonly binding: NativeBinding;
  readonly writeRoom: SharedRoom;
  readonly shards: number;
  readonly congestion: CongestionControl;
}

/** One engine with a thread of its own, and its number among them. */
function createShard({ binding, writeRoom, shards, congestion }: Common, index: number): EngineShard {
  const arena = createArena();
  let held = 0;
  let holds = true;
  let closing: Promise<void> | undefined;
  let whenClosed: (() => void) | undefined;
  let tellFailed: (reason: string) => void = () => undefined;
  const failed = new Promise<string>((resolve) => {
    tellFailed = resolve;
  });
  const wakeUp = createWakeUp();
  const native = new binding.NativeEngine(wakeUp.call);
  const thread: EngineThread = {
    connect: (options, accept, signal) => connect(context, options, accept, signal),
    get udp() {
      return udp;
    },
    get tcp() {
      return tcp;
    },
  };
  const context: EngineContext = {
    native,
    arena,
    submission: createSubmission(arena, native),
    reader: createRecordReader(arena),
    connections: [],
    endpoints: [],
    sockets: [],
    freedEndpoints: [],
    freedSockets: [],
    tcpSockets: new NumberTable(),
    tcpListeners: new Map(),
    nextTcp: 2,
    writeRoom,
    congestion,
    addresses: [],
    joins: new Map(),
    streamJoins: new Map(),
    nextJoin: 0,
    nextConnectionId: index + 1,
    connectionIdStep: shards,
    thread: shards === 1 ? undefined : thread,
    open: true,
    hold(change) {
      held += change;
      if (holds && held === (change > 0 ? 1 : 0)) native.reference(held > 0);
    },
  };

  const udp = createUdpSockets(context);
  const tcp = createTcpSockets(context, binding);

  const finish = (): void => {
    context.open = false;
    wakeUp.target = undefined;
    const done = whenClosed;
    whenClosed = undefined;
    if (done) {
      context.hold(-1);
      // After what sockets have still to tell.
      setImmediate(done);
    }
  };
  const events: EngineEvents = {
    engineClosed() {
      loseTcp(context);
      finish();
    },
    engineFailed(reason) {
      for (const connection of context.connections) {
        if (connection) guarded(() => connection.ended({ kind: 'engine', reason }));
      }
      context.connections.length = 0;
      for (const endpoint of context.endpoints) {
        if (!endpoint) continue;
        guarded(() => endpoint.failed({ kind: 'engine', reason }));
        guarded(() => endpoint.closed());
      }
      for (const socket of context.sockets) {
        if (socket) guarded(() => socket.lost());
      }
      loseTcp(context);
      finish();
      tellFailed(reason);
    },
  };

  /** What is left of the last batch, in words of the arena. */
  let [at, end] = [0, 0];
  /** A request was taken in this turn. */
  let asked = false;
  /**
   * Dispatches what is left, up to a second request of this turn; false where it stopped there. The answer to the
   * first is on its way before the next is looked at, so that the engine and the client work meanwhile.
   */
  const dispatchBatch = (): boolean => {
    const { words } = arena;
    while (at < end) {
      const head = words[at] as number;
      const from = at;
      const request = (head & 0xff) === completion.streamOpened && words[at + 5] !== 0;
      if (request && asked) return false;
      asked ||= request;
      at += head >>> 8;
      try {
        dispatch(context, from, events);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    return true;
  };
  const drain = (): void => {
    const { submission } = context;
    const { completions } = arena;
    asked = false;
    submission.hold(true);
    for (let round = 0; ; round++) {
      if (!dispatchBatch() || round === turn) {
        setImmediate(drainOn);
        break;
      }
      const length = native.drain(arena.bytes, completions);
      if (length === 0) break;
      at = completions >>> 2;
      end = at + (length >>> 2);
      const small = length < (arena.bytes.length - completions) >>> 1;
      if (small && dispatchBatch()) break;
      submission.flush();
    }
    submission.hold(false);
    submission.settle();
  };
  /** What promises have brought about since goes before. */
  const drainOn = (): void => {
    context.submission.flush();
    drain();
  };

  wakeUp.target = drain;
  return {
    get load() {
      return held;
    },
    listen: (options, accept) => listen(context, options, accept),
    listenAs: (options, accept, place) => listen(context, options, accept, place),
    listenSecureAs: (options, accept, place) => listenSecure(context, options, accept, place),
    abandon(reason) {
      if (!context.open) return;
      context.submission.simple(operation.closeEngine, 0);
      events.engineFailed(reason);
    },
    connect: (options, accept, signal) => connect(context, options, accept, signal),
    udp,
    tcp,
    failed,
    holdProcess(hold) {
      if (holds === hold) return;
      holds = hold;
      if (held > 0) native.reference(hold);
    },
    close() {
      closing ??= new Promise((resolve) => {
        if (!context.open) return resolve();
        context.open = false;
        holds = true;
        context.hold(1);
        native.reference(true);
        whenClosed = resolve;
        context.submission.simple(operation.closeEngine, 0);
      });
      return closing;
    },
  };
}
