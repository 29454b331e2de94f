/** Events for any number of readers, each with its own bounded backlog; the oldest are given up first. */
export interface EventFeed<T> {
  emit(event: T): void;
  /** The last event has been emitted: iterations end after their backlog. */
  end(): void;
  /** Events from now on. */
  subscribe(): AsyncIterableIterator<T>;
}

const BACKLOG = 256;

interface Subscriber<T> {
  readonly backlog: T[];
  wake: (() => void) | undefined;
}

export function createEventFeed<T>(): EventFeed<T> {
  const subscribers = new Set<Subscriber<T>>();
  let ended = false;
  const wake = (subscriber: Subscriber<T>): void => {
    const waiting = subscriber.wake;
    subscriber.wake = undefined;
    waiting?.();
  };
  return {
    emit(event) {
      if (ended) return;
      for (const subscriber of subscribers) {
        if (subscriber.backlog.length === BACKLOG) subscriber.backlog.shift();
        subscriber.backlog.push(event);
        wake(subscriber);
      }
    },
    end() {
      ended = true;
      for (const subscriber of subscribers) wake(subscriber);
    },
    subscribe() {
      const subscriber: Subscriber<T> = { backlog: [], wake: undefined };
      subscribers.add(subscriber);
      let returned = false;
      const iterator: AsyncIterableIterator<T> = {
        [Symbol.asyncIterator]: () => iterator,
        async next() {
          for (;;) {
            const event = subscriber.backlog.shift();
            if (event !== undefined) return { done: false, value: event };
            if (ended || returned) {
              subscribers.delete(subscriber);
              return { done: true, value: undefined };
            }
            await new Promise<void>((resolve) => {
              subscriber.wake = resolve;
            });
          }
        },
        async return() {
          returned = true;
          subscribers.delete(subscriber);
          subscriber.backlog.length = 0;
          wake(subscriber);
          return { done: true, value: undefined };
        },
      };
      return iterator;
    },
  };
}
