import { getSystemErrorName } from 'node:util';
import type { TcpProblem } from '../tcp-socket.js';
import type { UdpProblem } from '../udp-socket.js';

/** The name of an error number of this system, `EADDRINUSE` say. */
export function errnoName(errno: number): string {
  return getSystemErrorName(-errno) ?? `errno ${errno}`;
}

const problems: Readonly<Record<string, UdpProblem>> = {
  ECONNREFUSED: 'refused',
  ENOPROTOOPT: 'refused',
  EHOSTUNREACH: 'host-unreachable',
  EHOSTDOWN: 'host-unreachable',
  ENETUNREACH: 'network-unreachable',
  ENETDOWN: 'network-unreachable',
  EMSGSIZE: 'too-large',
  EADDRINUSE: 'no-ports',
  EADDRNOTAVAIL: 'no-ports',
  EMFILE: 'no-descriptors',
  ENFILE: 'no-descriptors',
  ENOBUFS: 'no-memory',
  ENOMEM: 'no-memory',
  EACCES: 'denied',
  EPERM: 'denied',
};

/** What an error of a UDP socket means. */
export function udpProblem(errno: string): UdpProblem {
  return problems[errno] ?? 'other';
}

const tcpProblems: Readonly<Record<string, TcpProblem>> = {
  ECONNREFUSED: 'refused',
  ETIMEDOUT: 'timeout',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  EHOSTUNREACH: 'host-unreachable',
  EHOSTDOWN: 'host-unreachable',
  ENETUNREACH: 'network-unreachable',
  ENETDOWN: 'network-unreachable',
  EADDRINUSE: 'no-ports',
  EADDRNOTAVAIL: 'no-ports',
  EMFILE: 'no-descriptors',
  ENFILE: 'no-descriptors',
  ENOBUFS: 'no-memory',
  ENOMEM: 'no-memory',
  EACCES: 'denied',
  EPERM: 'denied',
};

/** What it means that a TCP connection could not be made or a port not be listened on. */
export function tcpProblem(errno: string): TcpProblem {
  return tcpProblems[errno] ?? 'other';
}
