import type { Timer } from '../clock/clock.js';
import type { RequestHead } from '../http/request.js';
import { createAcquisition } from './acquisition.js';
import { createCapacity } from './capacity.js';
import { createGoneSessions } from './gone-sessions.js';
import { createIdleTimer } from './idle-timer.js';
import type { AcquireOptions, Owner, OwnerOptions, Reservation } from './owner.js';
import { OwnerBooks } from './owner-books.js';
import { ownerInfo } from './owner-info.js';
import { type AcquiredStream, HeldStream, type Session, type SessionEnd } from './session.js';
import { endOfFailure, endOfOutcome, errorOfEnd, failureOfClose } from './session-end.js';
import { Slot } from './slot.js';
import type { TransportConnection, TransportEvents, TransportStream } from './transport.js';
import { UpstreamError, type UpstreamFailure } from './upstream-error.js';

/** Streams that may wait for the peer's leave on one connection; more are refused with `stream_limit`. */
const MOST_WAITING = 1_024;

/**
 * Makes an owner of a connection that is up. From here on nobody else may use it. Throws `invalid_option` for
 * a `maxStreams` that is no positive integer.
 */
export function adoptConnection(connection: TransportConnection, options: OwnerOptions): Owner {
  const { clock, events = {} } = options;
  const acquireTimeout = options.acquireTimeout ?? 30_000;
  const capacity = createCapacity(connection, options.maxStreams);
  const books = new OwnerBooks(connection, options.fingerprint, capacity, clock);
  const { slots } = books;
  const born = clock.now();
  /** Requests sent whose acquire is not settled. */
  let opening = 0;
  /** Streams whose acquire succeeded. */
  let established = 0;
  let datagramsRouted = 0;
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
    pending: () => books.reserved > 0 || opening > 0,
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
    if (!books.leave(slot)) return false;
    if (slot.watch) gone.unwatch(slot.session.gone, slot.watch);
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
    if (books.state === 'stopped') return;
    if (options.singleUse && books.state === 'open' && books.load === 0) {
      void stop({ kind: 'stopped', detail: 'its session is over' });
      return;
    }
    if (books.state === 'draining') lingerWhenEmpty();
    idle.settled();
    if (books.state === 'open') guarded(() => events.room?.(owner));
  };
  const lingerWhenEmpty = (): void => {
    if (books.load > 0) return;
    linger ??= clock.setTimeout(
      () => void stop({ kind: 'stopped', detail: 'drained' }),
      options.drainLinger ?? 2_000,
    );
  };
  const beginDraining = (): void => {
    if (books.state !== 'open') return;
    books.state = 'draining';
    guarded(() => events.draining?.(owner));
    lingerWhenEmpty();
  };

  const endSession = (slot: Slot, end: SessionEnd): void => {
    guarded(() => slot.conclude(end, () => give(slot, end.kind === 'reset')));
  };
  const stop = (failure: UpstreamFailure = { kind: 'stopped', detail: '' }): Promise<void> => {
    if (stopping) return stopping;
    books.state = 'stopped';
    over = failure;
    idle.stop();
    clock.clearTimeout(linger);
    let resolveStopping: () => void = () => undefined;
    stopping = new Promise<void>((resolve) => {
      resolveStopping = resolve;
    });
    const end = endOfFailure(failure);
    for (const slot of slots.values()) {
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
      books.opened(slot);
      slot.acquisition.check();
      if (books.state === 'open') guarded(() => events.room?.(owner));
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
      if (slot.waits) slot.acquisition.fail(errorOfEnd(end));
      else endSession(slot, end);
    },
    draining(from) {
      if (from === connection) beginDraining();
    },
    settings(from) {
      if (from !== connection) return;
      capacity.settingsChanged();
      if (books.state === 'open') guarded(() => events.room?.(owner));
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
    const acquired = new HeldStream(connection, stream.tunnel, () => {
      if (acquisition.settled) give(slot, true);
      else acquisition.fail(new UpstreamError({ kind: 'aborted', of: 'acquire' }));
    });
    const acquisition = createAcquisition({
      clock,
      timeout,
      signal,
      complete: () => (registered && stream.tunnel.id >= 0 ? acquired : undefined),
      succeeded() {
        opening -= 1;
        established += 1;
        books.used = true;
        idle.end();
      },
      failed() {
        opening -= 1;
        drop(slot, true);
        freed();
      },
    });
    const slot = new Slot(stream, session, acquisition);
    books.enter(slot);
    slot.watch = gone.watch(session.gone, slot);

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

  const reserve = (): Reservation => {
    if (books.state === 'open' && !connection.usable) beginDraining();
    if (books.state === 'stopped') {
      const detail = over ? new UpstreamError(over).message : '';
      throw new UpstreamError({ kind: 'stopped', detail });
    }
    if (books.state === 'draining') throw new UpstreamError({ kind: 'draining' });
    const limit = capacity.limit();
    const { load } = books;
    if ((limit !== undefined && load >= limit) || books.waitingToOpen.size >= MOST_WAITING) {
      throw new UpstreamError({ kind: 'stream_limit', by: 'here', streams: load, limit });
    }
    books.reserved += 1;
    let held = true;
    return {
      owner,
      async acquireStream(head, session, acquireOptions = {}) {
        if (!held) throw new UpstreamError({ kind: 'checkout_over' });
        held = false;
        books.reserved -= 1;
        const refused = refusal(session, acquireOptions.signal);
        if (!refused) return open(head, session, acquireOptions);
        freed();
        throw new UpstreamError(refused);
      },
      cancel() {
        if (!held) return;
        held = false;
        books.reserved -= 1;
        freed();
      },
    };
  };
  /** What stands against using a place that is held. */
  const refusal = (session: Session, signal: AbortSignal | undefined): UpstreamFailure | undefined => {
    if (books.state === 'open' && !connection.usable) beginDraining();
    if (over) return { kind: 'stopped', detail: new UpstreamError(over).message };
    if (books.state === 'draining') return { kind: 'draining' };
    if (session.gone.aborted) return { kind: 'session_gone' };
    return signal?.aborted ? { kind: 'aborted', of: 'acquire' } : undefined;
  };

  const owner: Owner = Object.assign(books, {
    stopped,
    reserve,
    async acquireStream(head, session, acquireOptions) {
      return reserve().acquireStream(head, session, acquireOptions);
    },
    releaseStream(id) {
      const slot = books.withId(id);
      if (slot) give(slot, true);
    },
    info: () =>
      ownerInfo(owner, {
        waitingToOpen: books.waitingToOpen.size,
        maxStreams: capacity.maxStreams,
        idle: idle.idleFor(),
        age: clock.now() - born,
        datagramsRouted,
      }),
    drain: beginDraining,
    stop,
  } satisfies Partial<Owner>);
  idle.arm();
  connection.listen(sink);
  return owner;
}
