import type { EventEmitter } from 'node:events';
import type { Http2SecureServer } from 'node:http2';
import type { Server as HttpsServer } from 'node:https';
import type { Clock } from '../clock/clock.js';
import type { HttpAccept } from '../http/connection.js';
import { BautaError } from '../protocol/bauta-error.js';
import { http1Tunnels } from './attach-http1.js';
import { http2Tunnels } from './attach-http2.js';
import type { ListeningAddress } from './events.js';
import type { Listeners } from './listeners.js';
import { isTunnelToken } from './serve-request.js';

/** A server of `node:https` or `node:http2` (`createSecureServer`) that keeps its own requests. */
export type AttachableServer = Http2SecureServer | HttpsServer;

export function isAttachable(listen: unknown): listen is AttachableServer {
  return typeof listen === 'object' && listen !== null && 'setSecureContext' in listen;
}

/**
 * Serves the tunnels that have templates on a server that belongs to the caller: it is neither started nor stopped
 * here, and all other requests are its own, classic CONNECT too. HTTP/2 and HTTP/1.1 only, as QUIC needs a listener
 * of its own.
 */
export function attachServer(server: AttachableServer, clock: Clock, accept: HttpAccept): Listeners {
  const emitter: EventEmitter = server;
  // RFC 8441 section 3: without it in the first SETTINGS no client asks for a tunnel.
  if ('updateSettings' in server) server.updateSettings({ enableConnectProtocol: true });
  let last = 0;
  const nextId = (): number => ++last;
  const listeners = [
    ...http2Tunnels(emitter, isTunnelToken, nextId, accept),
    ...http1Tunnels(emitter, isTunnelToken, clock, nextId, accept),
  ];
  for (const [event, listener] of listeners) emitter.on(event, listener as (...values: unknown[]) => void);
  const address = server.address();
  const addresses: ListeningAddress[] =
    address === null || typeof address === 'string'
      ? []
      : [{ transport: 'tcp', address: address.address, port: address.port }];
  return {
    addresses,
    shards: 1,
    setCertificates() {
      throw new BautaError('ERR_USAGE', { detail: 'an attached server has a certificate of its own' });
    },
    // Requests that come while it drains are answered with 503; the listeners go last.
    stopAccepting: () => undefined,
    async close() {
      for (const [event, listener] of listeners)
        emitter.off(event, listener as (...values: unknown[]) => void);
    },
  };
}
