import type { Clock } from '../clock/clock.js';
import type { HttpClientConnection } from '../http/connection.js';
import type { ResponseHead } from '../http/request.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { Fields } from '../protocol/fields.js';
import type { TunnelNeeds } from '../upstream/tunnel-needs.js';
import { openOn } from './checkout-stream.js';
import type { OpenOptions } from './client.js';
import { atHop } from './hop-error.js';
import type { ProxyAccess } from './proxy-access.js';
import type { ProxyConnections } from './proxy-connections.js';
import { startTimeLimit } from './time-limit.js';

/** A tunnel that the proxy was asked for. */
export interface AskedTunnel {
  readonly ready: Promise<ResponseHead>;
}

export interface AnsweredTunnel<T extends AskedTunnel> {
  readonly tunnel: T;
  readonly head: ResponseHead;
}

/** What a request for a tunnel is made with. */
export interface TunnelQuestion {
  readonly connection: Pick<HttpClientConnection, 'open'>;
  /** The peer takes extended CONNECT, or an upgrade. */
  readonly extendedConnect: boolean;
  /** The credentials, as `Authorization`. */
  readonly fields: Fields;
  readonly clock: Clock;
  /** Milliseconds left for the answer. */
  readonly timeout: number;
  readonly signal: AbortSignal;
}

/**
 * Asks on a connection that can carry what is needed. Asks again, once, where the connection was lost before
 * the proxy had answered.
 */
export type AskForTunnel = <T extends AskedTunnel>(
  needs: TunnelNeeds,
  open: (question: TunnelQuestion) => T,
) => Promise<AnsweredTunnel<T>>;

/** Runs what opens one tunnel, all of it within the time limit; what it throws is told with its hop. */
export type OpenWithin = <R>(options: OpenOptions, opening: (ask: AskForTunnel) => Promise<R>) => Promise<R>;

export interface TunnelAskerOptions {
  readonly access: ProxyAccess;
  readonly connections: Pick<ProxyConnections, 'take'>;
  readonly clock: Clock;
  /** Aborts when the client is closed. */
  readonly closing: AbortSignal;
  readonly hop: number | undefined;
}

const OPEN_TIMEOUT = 15_000;

/** What tunnels of every kind have in common until they are open: credentials, a connection, limits, errors. */
export function createTunnelAsker(options: TunnelAskerOptions): OpenWithin {
  const { access, connections, clock, closing, hop } = options;
  return async (given, opening) => {
    if (closing.aborted) throw new BautaError('ERR_CLOSED');
    using limit = startTimeLimit(clock, given.timeout ?? OPEN_TIMEOUT, given.signal, closing);
    let asked = false;
    const ask: AskForTunnel = async (needs, open) => {
      for (let again = true; ; again = false) {
        asked = false;
        const fields = await access.credentials();
        const checkout = await connections.take(limit.signal, needs);
        const tunnel = open({
          connection: openOn(checkout),
          extendedConnect: checkout.owner.settings.extendedConnect,
          fields,
          clock,
          timeout: limit.left(),
          signal: limit.signal,
        });
        asked = true;
        try {
          return { tunnel, head: await tunnel.ready };
        } catch (error) {
          // The connection had gone before the proxy answered: nothing was promised, so it may be asked again.
          const lost = error instanceof BautaError && error.code === 'ERR_CONNECTION_LOST';
          if (!lost || !again || closing.aborted) throw error;
        }
      }
    };
    try {
      return await opening(ask);
    } catch (error) {
      throw atHop(limit.explain(error, asked ? 'ERR_PROXY_TIMEOUT' : 'ERR_TIMEOUT'), hop);
    }
  };
}
