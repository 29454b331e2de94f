import type { Clock } from '../../src/clock/clock.js';
import type { UpstreamTarget } from '../../src/upstream/target.js';
import type { TransportDriver } from '../../src/upstream/transport.js';
import { createFakeTransport, type FakeConditions, type FakeTransport } from './fake-transport.js';

/** What becomes of a dial. */
export type FakeDial =
  /** Up after so many milliseconds. */
  | { readonly kind: 'up'; readonly after?: number; readonly conditions?: Partial<FakeConditions> }
  | { readonly kind: 'fail'; readonly after?: number; readonly error: Error }
  /** A handshake that never ends, until it is aborted; with `deaf` not even then. */
  | { readonly kind: 'never'; readonly deaf?: boolean };

export interface FakeDriver extends TransportDriver {
  readonly dials: { readonly target: UpstreamTarget; readonly at: number; aborted: boolean }[];
  readonly transports: (FakeTransport & { readonly target: UpstreamTarget })[];
  /** Dials that have no result. */
  readonly underWay: number;
  /** Connections that are not closed. */
  readonly open: number;
  plan: (target: UpstreamTarget, dial: number) => FakeDial;
}

export const latency = 20;

export function createFakeDriver(
  clock: Clock,
  plan: FakeDriver['plan'] = () => ({ kind: 'up' }),
): FakeDriver {
  let underWay = 0;
  let ids = 0;
  const driver: FakeDriver = {
    dials: [],
    transports: [],
    plan,
    get underWay() {
      return underWay;
    },
    get open() {
      return driver.transports.filter((transport) => !transport.closed).length;
    },
    dial(target, signal) {
      const note = { target, at: clock.now(), aborted: false };
      const planned = driver.plan(target, driver.dials.length);
      driver.dials.push(note);
      underWay += 1;
      return new Promise((resolve, reject) => {
        const settle = (then: () => void): void => {
          underWay -= 1;
          clock.clearTimeout(timer);
          signal.removeEventListener('abort', aborted);
          then();
        };
        const aborted = (): void => {
          note.aborted = true;
          if (planned.kind !== 'never' || !planned.deaf) settle(() => reject(new Error('aborted')));
        };
        const timer =
          planned.kind === 'never'
            ? undefined
            : clock.setTimeout(() => {
                settle(() => {
                  if (planned.kind === 'fail') {
                    reject(planned.error);
                    return;
                  }
                  ids += 1;
                  const made = createFakeTransport(ids, { version: target.version, ...planned.conditions });
                  const transport = Object.defineProperties(
                    { target },
                    Object.getOwnPropertyDescriptors(made),
                  ) as FakeTransport & { target: UpstreamTarget };
                  driver.transports.push(transport);
                  resolve(transport.connection);
                });
              }, planned.after ?? latency);
        signal.addEventListener('abort', aborted, { once: true });
        if (signal.aborted) aborted();
      });
    },
  };
  return driver;
}

export function target(changes: Partial<UpstreamTarget> = {}): UpstreamTarget {
  return {
    host: 'proxy.test',
    port: 443,
    version: 'h3',
    tls: { trust: { mode: 'system' } },
    ...changes,
  };
}

/** The index-th connection that was dialled; fails where there is none. */
export function transportAt(driver: FakeDriver, index: number): FakeDriver['transports'][number] {
  const transport = driver.transports[index];
  if (!transport) throw new Error(`no connection ${index}`);
  return transport;
}
