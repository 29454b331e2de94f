import http, { type AgentOptions, type ClientRequest, type RequestOptions } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock/clock.js';
import { Asker } from '../tunnel/asker.js';
import { createByteDuplex } from '../tunnel/tcp/byte-duplex.js';
import type { ByteSide, ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import type { Admitted } from './admission.js';
import type { OpenWay } from './open-way.js';
import type { Refusal } from './refusal.js';

/** Why there is no connection to an origin. */
export class OriginRefusedError extends Error {
  override readonly name = 'OriginRefusedError';
  constructor(readonly refusal: Refusal) {
    super(refusal.detail);
  }
}

/** Opens a connection for a request that was admitted. */
export type OpenOrigin = (
  admitted: Admitted,
  handler: ByteSideHandler,
  signal: AbortSignal,
) => Promise<OpenWay<ByteSide> | Refusal>;

/** Connections to origins for the plain requests of one client's connection. */
export interface OriginAgents {
  /** Throws for a head that cannot be sent. `reuse`: a connection that served before will do. */
  request(admitted: Admitted, options: OriginRequest, reuse: boolean): ClientRequest;
  /** Closes what is open. */
  close(): void;
}

export type OriginRequest = Pick<RequestOptions, 'method' | 'path' | 'headers'>;

/** Connections to one origin, and in all; requests beyond wait. */
const MOST_OF_ORIGIN = 32;
const MOST = 128;
/** Unused connections that are kept, and for how long, milliseconds. */
const MOST_FREE = 8;
const KEEP = 10_000;
/** Bytes of a response head. */
const HEAD_SIZE = 64 * 1024;

const agentOptions: AgentOptions = {
  maxSockets: MOST_OF_ORIGIN,
  maxTotalSockets: MOST,
  maxFreeSockets: MOST_FREE,
  timeout: KEEP,
};

/** A connection is shared only by requests of the same user that go the same way to the same place. */
function nameOf({ user, target, hop }: Admitted): string {
  const way = hop === undefined ? '' : typeof hop === 'string' ? hop : hop.url;
  return JSON.stringify([user.name, target.host, target.port, way]);
}

/** `open` judges each new connection anew. */
export function createOriginAgents(clock: Clock, open: OpenOrigin): OriginAgents {
  const closing = new Asker();
  const make = (admitted: Admitted, keepAlive: boolean): http.Agent => {
    const agent = new http.Agent({ ...agentOptions, keepAlive });
    agent.createConnection = (_options, callback) => {
      const { duplex, handler, attach } = createByteDuplex({ clock });
      open(admitted, handler, closing.signal).then((way) => {
        if (way.kind === 'refused') {
          duplex.destroy();
          callback?.(new OriginRefusedError(way), duplex);
          return;
        }
        way.far.start?.();
        attach(way.far);
        if (closing.gone) duplex.resetAndDestroy();
        else callback?.(null, duplex);
      });
      return undefined;
    };
    // What an origin says unasked, say that it closes, must not be taken for the answer to the next request.
    agent.keepSocketAlive = (socket) => {
      if (socket.readableLength > 0) return false;
      socket.on('data', closeTalker);
      http.Agent.prototype.keepSocketAlive.call(agent, socket);
      return true;
    };
    agent.reuseSocket = (socket, request) => {
      socket.off('data', closeTalker);
      http.Agent.prototype.reuseSocket.call(agent, socket, request);
    };
    return agent;
  };
  const agents = new Map<string, http.Agent>();
  const agentFor = (admitted: Admitted): http.Agent => {
    const name = nameOf(admitted);
    const known = agents.get(name) ?? make(admitted, true);
    agents.delete(name);
    agents.set(name, known);
    const [oldest] = agents;
    if (agents.size > MOST_FREE && oldest) {
      agents.delete(oldest[0]);
      // Requests that run keep their connections; those that wait for a next one are closed.
      closeFree(oldest[1]);
    }
    return known;
  };

  return {
    request(admitted, options, reuse) {
      const { host, port } = admitted.target;
      const agent = reuse ? agentFor(admitted) : make(admitted, false);
      return http.request({ ...options, host, port, agent, setHost: false, maxHeaderSize: HEAD_SIZE });
    },
    close() {
      closing.leave();
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

function closeTalker(this: Duplex): void {
  this.destroy();
}

function closeFree(agent: http.Agent): void {
  for (const sockets of Object.values(agent.freeSockets))
    for (const socket of sockets ?? []) socket.destroy();
}
