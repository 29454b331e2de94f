import type { Timer } from '../clock/clock.js';
import type { RequestHead } from '../http/request.js';
import { createAcquisition } from './acquisition.js';
import { createCapacity } from './capacity.js';
import { createGoneSessions } from './gone-sessions.js';
import { createIdleTimer } from './idle-timer.js';
import type { AcquireOptions, Owner, OwnerOptions, Reservation } from './owner.js';
import { ownerInfo } from './owner-info.js';
import type { AcquiredStream, Session, SessionEnd } from './session.js';
import { endOfFailure, endOfOutcome, errorOfEnd, failureOfClose } from './session-end.js';
import { Slot } from './slot.js';
import type { TransportConnection, TransportEvents, TransportStream } from './transport.js';
import { UpstreamError, type UpstreamFailure } from './upstream-error.js';

/** Streams that may wait for the peer's leave on one connection; more are refused with `stream_limit`. */
const MOST_WAITING = 1_024;

/** Where the limit is not known, streams that have no leave yet, before others are opened elsewhere. */
const MOST_UNCONFIRMED = 100;

/** An engine may take this long to give a stream its id; one that has none after it waits for the peer, milliseconds. */
const OPENING_TIME = 100;

/**
 * Makes an owner of a connection that is up. From here on nobody else may use it. Throws `invalid_option` for
 * a `maxStreams` that is no positive integer.
 */
export function adoptConnection(connection: TransportConnection, options: OwnerOptions): Owner {
  const { clock, events = {} } = options;
  const acquireTimeout = options.acquireTimeout ?? 30_000;
  const capacity = createCapacity(connection, options.maxStreams);
  const slots = new Map<number, Slot>();
  const byId = new Map<number, Slot>();
  /** Streams without an id, and since when. */
  const waitingToOpen = new Map<Slot, number>();
  const born = clock.now();
  let state: Owner['state'] = 'open';
  /** Places held without a request yet. */
  let reserved = 0;
  /** Requests sent whose acquire is not settled. */
  let opening = 0;
  /** Streams whose acquire succeeded. */
  let established = 0;
  let used = false;
  let datagramsRouted = 0;
  /** Streams that were open when the peer first made one wait. */
  let observed: number | undefined;
  let linger: Timer | undefined;
  let stopping: Promise<void> | undefined;
  let over: UpstreamFailure | undefined;
  let resolveStopped: (failure: UpstreamFailure) => void = () => undefined;
  const stopped = new Promise<UpstreamFailure>((resolve) => {
    resolveStopped = resolve;
  });

  /** Runs what belongs to others: that it throws must not break the owner. */
  const guarded = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      events.fault?.(error);
    }
  };
  const idle = createIdleTimer({
    clock,
    time: options.idleTimeout ?? 30_000,
    pending: () => reserved > 0 || opening > 0,
    expired() {
      if (options.mayExpire && !options.mayExpire()) idle.arm();
      else void stop({ kind: 'stopped', detail: 'idle' });
    },
  });
  const gone = createGoneSessions<Slot>((slot) => {
    if (slot.acquisition.settled) give(slot, true);
    else slot.acquisition.fail(new UpstreamError({ kind: 'session_gone' }));
  });

  /** Takes the slot out of the books; false when it is out already. */
  const drop = (slot: Slot, cancel: boolean): boolean => {
    if (!slots.delete(slot.stream.handle)) return false;
    byId.delete(slot.stream.tunnel.id);
    waitingToOpen.delete(slot);
    gone.unwatch(slot.session.gone, slot);
    slot.silence();
    guarded(() => connection.unregister(slot.stream));
    if (cancel) guarded(() => connection.cancel(slot.stream));
    return true;
  };
  /** A stream that was acquired is over. */
  const give = (slot: Slot, cancel: boolean): void => {
    if (!drop(slot, cancel)) return;
    established -= 1;
    if (established === 0) idle.arm();
    // What was ended in order still has its last bytes under way.
    if (options.singleUse && !cancel) beginDraining();
    freed();
  };
  const freed = (): void => {
    if (state === 'stopped') return;
    if (options.singleUse && state === 'open' && slots.size + reserved === 0) {
      void stop({ kind: 'stopped', detail: 'its session is over' });
      return;
    }
    if (state === 'draining') lingerWhenEmpty();
    idle.settled();
    if (state === 'open') guarded(() => events.room?.(owner));
  };
  const lingerWhenEmpty = (): void => {
    if (slots.size > 0 || reserved > 0) return;
    linger ??= clock.setTimeout(
      () => void stop({ kind: 'stopped', detail: 'drained' }),
      options.drainLinger ?? 2_000,
    );
  };
  const beginDraining = (): void => {
    if (state !== 'open') return;
    state = 'draining';
    guarded(() => events.draining?.(owner));
    lingerWhenEmpty();
  };

  const endSession = (slot: Slot, end: SessionEnd): void => {
    guarded(() => slot.conclude(end, () => give(slot, end.kind === 'reset')));
  };
  const stop = (failure: UpstreamFailure = { kind: 'stopped', detail: '' }): Promise<void> => {
    if (stopping) return stopping;
    state = 'stopped';
    over = failure;
    idle.stop();
    clock.clearTimeout(linger);
    let resolveStopping: () => void = () => undefined;
    stopping = new Promise<void>((resolve) => {
      resolveStopping = resolve;
    });
    const end = endOfFailure(failure);
    for (const slot of [...slots.values()]) {
      if (!slot.acquisition.settled) slot.acquisition.fail(new UpstreamError(failure));
      else if (slots.has(slot.stream.handle)) endSession(slot, end);
    }
    const timer = clock.setTimeout(resolveStopping, options.stopTimeout ?? 5_000);
    const done = (): void => {
      clock.clearTimeout(timer);
      resolveStopping();
    };
    const closeOnce = async (): Promise<void> => connection.close();
    closeOnce()
      .catch((error: unknown) => events.fault?.(error))
      .then(done);
    guarded(() => events.stopped?.(owner, failure));
    resolveStopped(failure);
    return stopping;
  };

  const sink: TransportEvents = {
    opened(from, handle) {
      const slot = from === connection ? slots.get(handle) : undefined;
      if (!slot) return;
      waitingToOpen.delete(slot);
      byId.set(slot.stream.tunnel.id, slot);
      slot.acquisition.check();
      if (state === 'open') guarded(() => events.room?.(owner));
    },
    informational(from, handle, head) {
      if (from === connection) slots.get(handle)?.informational(head);
    },
    response(from, handle, head) {
      if (from === connection) slots.get(handle)?.response(head);
    },
    datagram(from, handle, bytes, start, end) {
      if (from !== connection) return;
      const slot = slots.get(handle);
      if (!slot) return;
      datagramsRouted += 1;
      slot.datagram(bytes, start, end);
    },
    streamClosed(from, handle, outcome) {
      const slot = from === connection ? slots.get(handle) : undefined;
      if (!slot) return;
      const end = endOfOutcome(outcome, slots.size, capacity.limit());
      // A stream that never opened was never acquired.
      if (waitingToOpen.has(slot)) slot.acquisition.fail(errorOfEnd(end));
      else endSession(slot, end);
    },
    draining(from) {
      if (from === connection) beginDraining();
    },
    settings(from) {
      if (from !== connection) return;
      capacity.settingsChanged();
      if (state === 'open') guarded(() => events.room?.(owner));
    },
    closed(from, close) {
      if (from === connection) void stop(failureOfClose(close));
    },
  };

  const open = (
    head: RequestHead,
    session: Session,
    { timeout = acquireTimeout, signal }: AcquireOptions,
  ): Promise<AcquiredStream> => {
    let stream: TransportStream;
    opening += 1;
    try {
      stream = connection.openStream(head);
    } catch (error) {
      opening -= 1;
      freed();
      return Promise.reject(error);
    }
    let registered = false;
    const acquired: AcquiredStream = {
      connection,
      stream: stream.tunnel,
      get id() {
        return stream.tunnel.id;
      },
      release() {
        if (slot.acquisition.settled) give(slot, true);
        else slot.acquisition.fail(new UpstreamError({ kind: 'aborted', of: 'acquire' }));
      },
    };
    const acquisition = createAcquisition({
      clock,
      timeout,
      signal,
      complete: () => (registered && stream.tunnel.id >= 0 ? acquired : undefined),
      succeeded() {
        opening -= 1;
        established += 1;
        used = true;
        idle.end();
      },
      failed() {
        opening -= 1;
        drop(slot, true);
        freed();
      },
    });
    const slot = new Slot(stream, session, acquisition);
    slots.set(stream.handle, slot);
    if (stream.tunnel.id >= 0) byId.set(stream.tunnel.id, slot);
    else {
      waitingToOpen.set(slot, clock.now());
    }
    gone.watch(session.gone, slot);

    const complete = (): void => {
      if (acquisition.settled) return;
      try {
        session.attach?.(acquired);
      } catch (error) {
        acquisition.fail(error);
      }
      registered = true;
      acquisition.check();
      guarded(() => slot.open());
    };
    try {
      const registering = connection.register(stream, slot);
      if (registering) registering.then(complete, acquisition.fail);
      else complete();
    } catch (error) {
      acquisition.fail(error);
    }
    acquisition.wait();
    return acquisition.promise;
  };

  /** The peer gives no leave for another stream now; learns how many it did give. */
  const peerMakesWait = (): boolean => {
    const first = waitingToOpen.values().next().value;
    if (first === undefined || clock.now() - first < OPENING_TIME) return false;
    observed = slots.size - waitingToOpen.size;
    return true;
  };
  const reserve = (): Reservation => {
    if (state === 'open' && !connection.usable) beginDraining();
    if (state === 'stopped') {
      const detail = over ? new UpstreamError(over).message : '';
      throw new UpstreamError({ kind: 'stopped', detail });
    }
    if (state === 'draining') throw new UpstreamError({ kind: 'draining' });
    const limit = capacity.limit();
    const load = slots.size + reserved;
    if ((limit !== undefined && load >= limit) || waitingToOpen.size >= MOST_WAITING) {
      throw new UpstreamError({ kind: 'stream_limit', by: 'here', streams: load, limit });
    }
    reserved += 1;
    let held = true;
    return {
      owner,
      async acquireStream(head, session, acquireOptions = {}) {
        if (!held) throw new UpstreamError({ kind: 'checkout_over' });
        held = false;
        reserved -= 1;
        const refused = refusal(session, acquireOptions.signal);
        if (!refused) return open(head, session, acquireOptions);
        freed();
        throw new UpstreamError(refused);
      },
      cancel() {
        if (!held) return;
        held = false;
        reserved -= 1;
        freed();
      },
    };
  };
  /** What stands against using a place that is held. */
  const refusal = (session: Session, signal: AbortSignal | undefined): UpstreamFailure | undefined => {
    if (state === 'open' && !connection.usable) beginDraining();
    if (over) return { kind: 'stopped', detail: new UpstreamError(over).message };
    if (state === 'draining') return { kind: 'draining' };
    if (session.gone.aborted) return { kind: 'session_gone' };
    return signal?.aborted ? { kind: 'aborted', of: 'acquire' } : undefined;
  };

  const owner: Owner = {
    fingerprint: options.fingerprint,
    version: connection.version,
    connection,
    stopped,
    get settings() {
      return connection.settings;
    },
    get state() {
      return state;
    },
    get streams() {
      return slots.size;
    },
    get load() {
      return slots.size + reserved;
    },
    get used() {
      return used;
    },
    get capacity() {
      const { streamsLeft } = connection;
      return capacity.limit() ?? (streamsLeft === undefined ? observed : slots.size + streamsLeft);
    },
    get hasRoom() {
      const limit = capacity.limit();
      if (state !== 'open' || !connection.usable) return false;
      const { streamsLeft } = connection;
      if (streamsLeft !== undefined) {
        return reserved < streamsLeft && (limit === undefined || slots.size + reserved < limit);
      }
      if (peerMakesWait()) return false;
      return limit === undefined
        ? reserved + waitingToOpen.size < MOST_UNCONFIRMED
        : slots.size + reserved < limit;
    },
    reserve,
    async acquireStream(head, session, acquireOptions) {
      return reserve().acquireStream(head, session, acquireOptions);
    },
    releaseStream(id) {
      const slot = byId.get(id);
      if (slot) give(slot, true);
    },
    info: () =>
      ownerInfo(owner, {
        waitingToOpen: waitingToOpen.size,
        maxStreams: capacity.maxStreams,
        idle: idle.idleFor,
        age: clock.now() - born,
        datagramsRouted,
      }),
    drain: beginDraining,
    stop,
  };
  idle.arm();
  connection.listen(sink);
  return owner;
}
