import type { SocketAddress } from '../address.js';
import type { QuicTransportOptions } from '../engine.js';
import type { CertificateProblem } from '../tls.js';
import type { End } from './connection.js';
import type { SimulatedListener } from './engine.js';
import type { SimulatedTcpListener } from './tcp.js';
import type { TcpEndpoint } from './tcp-end.js';
import type { SimulatedUdpSocket } from './udp.js';

/** What is special about one machine of the network. */
export interface HostOptions {
  /** Wins over what `listen` and `connect` ask for. */
  readonly transport?: QuicTransportOptions;
  /** What clients find wrong with its certificate; nothing by default. Insecure clients do not look. */
  readonly certificateProblem?: CertificateProblem;
  /** The pin that such clients are told they saw. */
  readonly pin?: string;
  /** The certificates that the other side sees, DER, leaf first. */
  readonly certificates?: readonly Uint8Array[];
}

/** A machine of the network, with what is open on it. */
export interface Host {
  readonly address: string;
  options: HostOptions;
  readonly listeners: Map<number, SimulatedListener>;
  readonly ends: Set<End>;
  readonly sockets: Map<number, SimulatedUdpSocket>;
  readonly tcpListeners: Map<number, SimulatedTcpListener>;
  readonly tcpEnds: Set<TcpEndpoint>;
  /** The TCP ports in use, which are others than those of UDP. */
  readonly tcpPorts: Set<number>;
  /** A port that nothing on this machine uses. */
  freePort(): number | undefined;
  freeTcpPort(): number | undefined;
}

const firstEphemeral = 49_152;
const lastPort = 65_535;

export function createHost(address: string, options: HostOptions): Host {
  let next = firstEphemeral;
  const find = (used: (port: number) => boolean): number | undefined => {
    for (let tries = firstEphemeral; tries <= lastPort; tries++) {
      const port = next;
      next = next === lastPort ? firstEphemeral : next + 1;
      if (!used(port)) return port;
    }
    return undefined;
  };
  const host: Host = {
    address,
    options,
    listeners: new Map(),
    ends: new Set(),
    sockets: new Map(),
    tcpListeners: new Map(),
    tcpEnds: new Set(),
    tcpPorts: new Set(),
    freePort: () => find((port) => host.listeners.has(port) || host.sockets.has(port)),
    freeTcpPort: () => find((port) => host.tcpPorts.has(port)),
  };
  return host;
}

/** The address that a socket of this host has when it asks for `wanted`; undefined for another machine's. */
export function localAddress(host: Host, wanted: SocketAddress | undefined): string | undefined {
  const address = wanted?.address;
  const any = address === undefined || address === '0.0.0.0' || address === '::';
  return any || address === host.address ? host.address : undefined;
}
