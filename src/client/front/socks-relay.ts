import type { Timer } from '../../clock/clock.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { readSocks5Address, readSocks5DatagramHead } from '../../protocol/socks5.js';
import { formatHostPort, makeTarget, type Target } from '../../protocol/target.js';
import type { SocketAddress } from '../../quic/address.js';
import type { UdpSocket } from '../../quic/udp-socket.js';
import { SOCKET_BUFFER } from '../../tunnel/udp/socket-buffer.js';
import { listenError } from '../listen-error.js';
import { createUdpFlow, type UdpFlow } from '../udp-flow.js';
import type { FrontContext } from './carry-tcp.js';
import { unmapped } from './unmapped.js';

export interface AssociationOptions extends FrontContext {
  readonly local: SocketAddress;
  /** Who may send: this address alone, and once it did, from that port alone. */
  readonly app: { readonly address: string; readonly port: number | undefined };
  /** Room for an answer of any size. */
  readonly answer: Uint8Array;
}

/** The UDP port of one app. */
export interface Association {
  readonly localAddress: SocketAddress;
  close(): void;
}

/** Datagrams to and from one target. */
interface Route {
  /** RSV, FRAG, type, address and port, as the app writes them: also the head of every answer. */
  readonly head: Uint8Array;
  readonly target: string;
  readonly flow: UdpFlow;
}

/** RSV and FRAG, in front of the address. */
const BEFORE_ADDRESS = 3;

/** FNV-1a. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = 0x811c9dc5;
  for (let at = start; at < end; at++) value = Math.imul(value ^ (bytes[at] ?? 0), 0x01000193);
  return value;
}

function sameAddress({ head }: Route, bytes: Uint8Array, start: number, end: number): boolean {
  if (head.length - BEFORE_ADDRESS !== end - start) return false;
  for (let at = start; at < end; at++) {
    if (bytes[at] !== head[BEFORE_ADDRESS + at - start]) return false;
  }
  return true;
}

function readTarget(bytes: Uint8Array, start: number, end: number): Target | undefined {
  const { host, port } = readSocks5Address(bytes, start, end);
  try {
    return makeTarget(host, port);
  } catch (error) {
    if (error instanceof BautaError) return undefined;
    throw error;
  }
}

/**
 * Opens the UDP port of an app (RFC 1928 section 7). Each target that it names has a tunnel of its own, opened
 * by the first datagram; the one that was quiet longest makes room for another. Answers come with the address as
 * the app wrote it. Dropped are fragments, what is malformed, and what comes from anybody else.
 */
export async function openAssociation(options: AssociationOptions): Promise<Association> {
  const { clock, limits, event, answer } = options;
  const routes = new Map<number, Route[]>();
  let count = 0;
  let latest: Route | undefined;
  let appPort = options.app.port;
  let appAddress: SocketAddress | undefined;
  let closed = false;

  const each = function* (): Generator<readonly [number, Route]> {
    for (const [key, list] of routes) for (const route of list) yield [key, route];
  };
  const finish = (key: number, route: Route, how: 'ended' | 'idle'): void => {
    const left = routes.get(key)?.filter((other) => other !== route) ?? [];
    if (left.length > 0) routes.set(key, left);
    else routes.delete(key);
    count -= 1;
    if (latest === route) latest = undefined;
    route.flow.end();
    if (route.flow.tunnel) event({ type: 'tunnel-closed', ...subjectOf(route), how, dataPath: 'js' });
  };
  const subjectOf = ({ target }: Pick<Route, 'target'>) =>
    ({
      app: appAddress ?? { address: options.app.address, port: 0 },
      network: 'udp',
      target,
    }) as const;
  const makeRoom = (): void => {
    let quietest: readonly [number, Route] | undefined;
    for (const one of each()) {
      if (!quietest || one[1].flow.lastActive < quietest[1].flow.lastActive) quietest = one;
    }
    if (quietest) finish(...quietest, 'idle');
  };

  const newRoute = (key: number, bytes: Uint8Array, start: number, end: number): Route | undefined => {
    const parsed = readTarget(bytes, start, end);
    if (!parsed) return undefined;
    if (count >= limits.associationTargets) makeRoom();
    const head = new Uint8Array(BEFORE_ADDRESS + end - start);
    head.set(bytes.subarray(start, end), BEFORE_ADDRESS);
    const target = formatHostPort(parsed.host, parsed.port);
    const route: Route = {
      head,
      target,
      flow: createUdpFlow({
        clock,
        open: (handler, signal) =>
          options.ground.openRawUdp({ host: parsed.host, port: parsed.port }, handler, {
            signal,
            timeout: limits.openTimeout,
          }),
        payload(payload, from, to) {
          if (!appAddress) return;
          answer.set(head);
          answer.set(payload.subarray(from, to), head.length);
          socket.send(answer, 0, head.length + to - from, appAddress);
        },
        opened: () => event({ type: 'tunnel-opened', ...subjectOf({ target }) }),
        failed: (error) => event({ type: 'tunnel-failed', ...subjectOf({ target }), error }),
        ended: () => finish(key, route, 'ended'),
        count: () => undefined,
      }),
    };
    const others = routes.get(key);
    if (others) others.push(route);
    else routes.set(key, [route]);
    count += 1;
    return route;
  };
  const routeFor = (bytes: Uint8Array, start: number, end: number): Route | undefined => {
    if (latest && sameAddress(latest, bytes, start, end)) return latest;
    const key = hash(bytes, start, end);
    latest =
      routes.get(key)?.find((route) => sameAddress(route, bytes, start, end)) ??
      newRoute(key, bytes, start, end);
    return latest;
  };
  const admitted = (from: SocketAddress): boolean => {
    if (appAddress && from.port === appAddress.port && from.address === appAddress.address) return true;
    if (appAddress || unmapped(from).address !== options.app.address) return false;
    if (appPort !== undefined && from.port !== appPort) return false;
    appPort = from.port;
    appAddress = { address: from.address, port: from.port };
    return true;
  };
  const packet = (bytes: Uint8Array, start: number, end: number, from: SocketAddress | undefined): void => {
    if (closed || !from || !admitted(from)) return;
    const head = readSocks5DatagramHead(bytes, start, end);
    // RFC 1928 section 7: what does not put fragments together MUST drop them.
    if (head?.fragment !== 0) return;
    routeFor(bytes, head.addressStart, head.payloadStart)?.flow.send(bytes, head.payloadStart, end);
  };

  let socket: UdpSocket;
  try {
    socket = await options.ground
      .sockets()
      .open({ local: options.local, bufferSize: SOCKET_BUFFER }, { packet, problem: () => undefined });
  } catch (error) {
    throw listenError(error, options.local);
  }
  let timer: Timer;
  const sweep = (): void => {
    const before = clock.now() - limits.udpIdleTimeout;
    for (const [key, route] of [...each()]) if (route.flow.lastActive <= before) finish(key, route, 'idle');
    timer = clock.setTimeout(sweep, limits.udpIdleTimeout / 8);
  };
  timer = clock.setTimeout(sweep, limits.udpIdleTimeout / 8);
  return {
    localAddress: socket.localAddress,
    close() {
      if (closed) return;
      closed = true;
      clock.clearTimeout(timer);
      for (const [key, route] of [...each()]) finish(key, route, 'ended');
      socket.close();
    },
  };
}
