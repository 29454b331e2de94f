import type { Clock } from '../clock/clock.js';
import { BautaError } from '../protocol/bauta-error.js';
import { Asker } from '../tunnel/asker.js';
import type { Authenticate } from './authenticate.js';
import { parseCredential, type User } from './credentials.js';

export type LoginOutcome =
  | { readonly kind: 'user'; readonly user: User }
  /** Nothing shown, or nothing that is valid. */
  | { readonly kind: 'stranger' }
  /** The check itself failed. */
  | { readonly kind: 'failed'; readonly error: unknown };

/** Who is on one connection. */
export interface ConnectionLogin {
  /**
   * Checks the value of an (Proxy-)Authorization field. A value that was found valid is remembered for a
   * minute on this connection, and one check serves all requests that wait for it: a flood of tunnels costs
   * one verification.
   */
  login(value: string | undefined): Promise<LoginOutcome>;
  /** True once a credential was valid here. */
  readonly known: boolean;
  /** Values that were checked and not valid. */
  readonly failures: number;
  /** Aborts what runs. */
  close(): void;
}

export interface LoginOptions {
  readonly clock: Clock;
  /** Who checks now; may be replaced while connections run. */
  readonly authenticate: () => Authenticate | 'anyone';
  /** Where the connection comes from, as `Authenticate` has it. */
  readonly from: string;
  /** Milliseconds that one check may take. */
  readonly timeout: number;
  /** Grows when the set of users changes: what was remembered before no longer counts. */
  readonly generation: () => number;
  /** Called once, when a credential is valid for the first time. */
  readonly becameKnown?: () => void;
}

/** Different credentials checked at once on one connection. */
const MAX_RUNNING = 8;
/** Milliseconds for which a valid credential is remembered. */
const REMEMBER = 60_000;

interface Remembered {
  /** As the client wrote it: only who has shown it on this connection is compared with it. */
  readonly value: string;
  readonly generation: number;
  readonly until: number;
  readonly user: User;
}

const ANYONE: LoginOutcome = { kind: 'user', user: { name: 'anyone' } };
const STRANGER: LoginOutcome = { kind: 'stranger' };

export function createConnectionLogin(options: LoginOptions): ConnectionLogin {
  const { clock } = options;
  const closing = new Asker();
  const running = new Map<string, Promise<LoginOutcome>>();
  let remembered: Remembered | undefined;

  const check = async (value: string, verify: Authenticate): Promise<LoginOutcome> => {
    const credential = parseCredential(value);
    if (!credential) return STRANGER;
    const limit = new AbortController();
    const timer = clock.setTimeout(() => limit.abort(), options.timeout);
    const signal = AbortSignal.any([limit.signal, closing.signal]);
    try {
      const user = await raced(verify(credential, signal, options.from), signal);
      return user ? { kind: 'user', user } : STRANGER;
    } catch (error) {
      return { kind: 'failed', error };
    } finally {
      clock.clearTimeout(timer);
    }
  };

  const made: ConnectionLogin & { known: boolean; failures: number } = {
    known: options.authenticate() === 'anyone',
    failures: 0,
    async login(value) {
      const authenticate = options.authenticate();
      if (authenticate === 'anyone') return ANYONE;
      if (value === undefined) return STRANGER;
      const generation = options.generation();
      if (
        remembered?.value === value &&
        remembered.generation === generation &&
        clock.now() < remembered.until
      ) {
        return { kind: 'user', user: remembered.user };
      }
      const key = `${generation} ${value}`;
      const waiting = running.get(key);
      if (waiting) return waiting;
      if (running.size >= MAX_RUNNING) return { kind: 'failed', error: new BautaError('ERR_TOO_MANY') };
      const started = check(value, authenticate).then((outcome) => {
        running.delete(key);
        if (outcome.kind === 'user') {
          if (!made.known) options.becameKnown?.();
          made.known = true;
          remembered = { value, generation, until: clock.now() + REMEMBER, user: outcome.user };
        } else if (outcome.kind === 'stranger') {
          made.failures++;
        }
        return outcome;
      });
      running.set(key, started);
      return started;
    },
    close: () => closing.leave(),
  };
  return made;
}

/** The promise's result, or a rejection as soon as the signal aborts. */
function raced<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(new Error('the check of a credential took too long'));
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
