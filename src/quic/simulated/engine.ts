import { isIP } from 'node:net';
import type { Clock, Timer } from '../../clock/clock.js';
import type { SocketAddress } from '../address.js';
import type { QuicAccept, QuicConnection } from '../connection.js';
import {
  QuicConfigurationError,
  QuicConnectError,
  type QuicConnectFailure,
  type QuicConnectOptions,
  type QuicEngine,
  type QuicListener,
  type QuicListenOptions,
} from '../engine.js';
import { createEnd, type End } from './connection.js';
import { type Host, localAddress } from './host.js';
import { createLane, type Link } from './link.js';
import type { Scheduler } from './scheduler.js';
import { createSimulatedTcpSockets } from './tcp.js';
import { transportOf } from './transport.js';
import { createSimulatedUdpSockets } from './udp.js';

export interface NetworkCore {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly link: Link;
  readonly hosts: Map<string, Host>;
  nextConnectionId(): number;
}

/** The TLS alert no_application_protocol (RFC 7301). */
const noApplicationProtocol = 120;
/** RFC 9000 section 20.1. */
const connectionRefused = 2;

type Answer = { readonly up: (client: End) => void; readonly end: End } | QuicConnectFailure;

export interface SimulatedListener {
  readonly options: QuicListenOptions;
  /** The client's first packet; answers after a round trip more when addresses are validated. */
  arrive(hello: Hello, answer: (answer: Answer) => void): void;
}

interface Hello {
  readonly client: Host;
  readonly from: SocketAddress;
  readonly options: QuicConnectOptions;
  readonly alive: () => boolean;
}

export function createSimulatedEngine(network: NetworkCore, host: Host): QuicEngine {
  const { clock, scheduler, link } = network;
  const listeners = new Set<QuicListener>();
  const ends = new Set<End>();
  const udp = createSimulatedUdpSockets(network, host);
  const tcp = createSimulatedTcpSockets(network, host);
  let over = false;

  const makeEnd = (
    byClient: boolean,
    local: SocketAddress,
    remote: SocketAddress,
    alpn: string,
    hello: Hello,
    peerHost: Host,
    own: QuicListenOptions | QuicConnectOptions,
    gone: (end: End) => void,
  ): End => {
    const { serverName } = hello.options.tls;
    const end = createEnd(clock, scheduler, link, {
      id: network.nextConnectionId(),
      byClient,
      host: host.address,
      local,
      remote,
      alpn,
      // RFC 6066 section 3: an address is not sent as SNI.
      serverName: isIP(serverName) === 0 ? serverName : undefined,
      peerCertificates: peerHost.options.certificates ?? [],
      transport: transportOf(own.transport, host.options.transport),
      firstCredit: 'firstCredit' in own ? (own.firstCredit ?? 0) : 0,
      gone(finished) {
        ends.delete(finished);
        host.ends.delete(finished);
        gone(finished);
      },
    });
    ends.add(end);
    host.ends.add(end);
    return end;
  };
  /** Finds a larger MTU some round trips after the start, as RFC 8899 does. */
  const discoverMtu = (end: End): void => {
    scheduler.after(4 * link.conditions.latency, () => {
      const { mtuDiscoveryUpTo } = end.transport;
      if (mtuDiscoveryUpTo > 0) end.pathMtu(Math.min(link.conditions.mtu, mtuDiscoveryUpTo));
    });
  };

  const listen = async (options: QuicListenOptions, accept: QuicAccept): Promise<QuicListener> => {
    if (over) throw new QuicConfigurationError('the engine is closed');
    if (options.path) throw new QuicConfigurationError('the simulated network carries no packet paths');
    const address = localAddress(host, options.local);
    if (address === undefined) {
      throw new QuicConfigurationError(`no such address: ${options.local.address}`, 'EADDRNOTAVAIL');
    }
    const port = options.local.port === 0 ? host.freePort() : options.local.port;
    if (port === undefined || host.listeners.has(port) || host.sockets.has(port)) {
      throw new QuicConfigurationError(`port ${options.local.port} is in use`, 'EADDRINUSE');
    }
    const local: SocketAddress = { address, port };
    const mine = new Set<End>();
    const count = { handshakes: 0, refused: 0, retries: 0 };
    let underWay = 0;

    const settle = (hello: Hello, answer: (answer: Answer) => void): void => {
      const offered = hello.options.tls.alpn;
      const alpn = options.tls.alpn.find((name) => offered.includes(name));
      if (alpn === undefined) {
        answer({ kind: 'tls', alert: noApplicationProtocol, reason: 'no application protocol in common' });
        return;
      }
      const problem = host.options.certificateProblem;
      if (problem !== undefined && hello.options.tls.trust.mode !== 'insecure') {
        const pin = host.options.pin ?? 'sha256-simulated';
        answer({ kind: 'certificate', problem, pin, reason: `simulated: ${problem}` });
        return;
      }
      underWay += 1;
      count.handshakes += 1;
      let waiting = true;
      const done = (): void => {
        if (!waiting) return;
        waiting = false;
        underWay -= 1;
        clock.clearTimeout(timer);
      };
      const end = makeEnd(false, local, hello.from, alpn, hello, hello.client, options, (gone) => {
        mine.delete(gone);
        done();
      });
      mine.add(end);
      const timer: Timer = clock.setTimeout(end.vanish, options.handshakeTimeout ?? 10_000);
      timer.unref();
      const up = (client: End): void => {
        if (!waiting) return;
        done();
        end.join(client);
        end.up(accept(end.face));
        discoverMtu(end);
      };
      answer({ up, end });
    };
    host.listeners.set(port, {
      options,
      arrive(hello, answer) {
        if (underWay >= (options.maxHandshakes ?? 4096)) {
          count.refused += 1;
          answer({ kind: 'refused', code: connectionRefused, reason: 'too many handshakes' });
          return;
        }
        if (underWay < (options.retryAbove ?? 256)) {
          settle(hello, answer);
          return;
        }
        count.retries += 1;
        scheduler.after(2 * link.conditions.latency, () => {
          if (hello.alive()) settle(hello, answer);
        });
      },
    });

    const stopAccepting = (): void => {
      host.listeners.delete(port);
    };
    const listener: QuicListener = {
      localAddress: local,
      setCertificates(certificates) {
        if (certificates.length === 0) throw new QuicConfigurationError('no certificate');
      },
      statistics: () => ({ ...count }),
      stopAccepting,
      async close(code, reason) {
        stopAccepting();
        listeners.delete(listener);
        const closing = [...mine];
        for (const end of closing) end.face.close(code, reason);
        await Promise.all(closing.map((end) => end.closed));
      },
    };
    listeners.add(listener);
    return listener;
  };

  const connect = (
    options: QuicConnectOptions,
    accept: QuicAccept,
    signal: AbortSignal,
  ): Promise<QuicConnection> => {
    const { promise, resolve, reject } = deferred<QuicConnection>();
    const port = host.freePort();
    let waiting = true;
    const settled = (): void => {
      waiting = false;
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
    };
    const fail = (failure: QuicConnectFailure): void => {
      if (!waiting) return;
      settled();
      reject(new QuicConnectError(failure));
    };
    const aborted = (): void => fail({ kind: 'aborted' });
    const timer = clock.setTimeout(() => fail({ kind: 'timeout' }), options.handshakeTimeout ?? 10_000);
    if (over) fail({ kind: 'engine', reason: 'the engine is closed' });
    else if (options.path) fail({ kind: 'engine', reason: 'the simulated network carries no packet paths' });
    else if (port === undefined) fail({ kind: 'unreachable', errno: 'EADDRNOTAVAIL' });
    else if (signal.aborted) aborted();
    if (!waiting || port === undefined) return promise;
    signal.addEventListener('abort', aborted);

    const { remote } = options;
    const local: SocketAddress = { address: host.address, port };
    const lane = createLane();
    const back = createLane();
    const hello: Hello = { client: host, from: local, options, alive: () => waiting };
    link.sendReliable(host.address, remote.address, lane, () => {
      const server = network.hosts.get(remote.address);
      const listener = server?.listeners.get(remote.port);
      // Where nobody listens nobody answers, and the handshake times out.
      if (!server || !listener || !waiting) return;
      listener.arrive(hello, (answer) => {
        link.sendReliable(remote.address, host.address, back, () => {
          if ('kind' in answer) {
            fail(answer);
            return;
          }
          if (!waiting) {
            answer.end.vanish();
            return;
          }
          settled();
          const { alpn } = answer.end.face;
          const end = makeEnd(true, local, remote, alpn, hello, server, options, () => undefined);
          end.join(answer.end);
          const attached = accept(end.face);
          link.sendReliable(host.address, remote.address, lane, () => answer.up(end));
          end.up(attached);
          discoverMtu(end);
          resolve(end.face);
        });
      });
    });
    return promise;
  };

  return {
    listen,
    connect,
    udp: udp.face,
    tcp: tcp.face,
    async close() {
      over = true;
      await Promise.all([...listeners].map((listener) => listener.close(0, '')));
      const closing = [...ends];
      for (const end of closing) end.face.close(0, '');
      await Promise.all(closing.map((end) => end.closed));
      udp.closeAll();
      tcp.closeAll();
    },
  };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
