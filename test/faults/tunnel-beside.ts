import type { HttpClientConnection } from '../../src/http/connection.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { openTunnel, type RealTunnel, startEcho } from '../proxy/real-proxy.js';
import { type ChildProxy, startChildProxy } from './child-proxy.js';
import { createFaultDialler, type FaultDialler } from './dial.js';

/** A proxy in a process of its own, and on one connection a tunnel that is to run on whatever happens beside it. */
export interface TunnelBeside {
  readonly proxy: ChildProxy;
  readonly dialler: FaultDialler;
  readonly connection: HttpClientConnection;
  /** Of the echo that it leads to, on 127.0.0.1. */
  readonly port: number;
  readonly tunnel: RealTunnel;
}

export async function startTunnelBeside(version: HttpVersion): Promise<TunnelBeside> {
  const proxy = await startChildProxy();
  const dialler = createFaultDialler();
  const { port } = await startEcho();
  const connection = await dialler.dial(version, proxy);
  const tunnel = openTunnel(connection, '127.0.0.1', port);
  await tunnel.ready;
  return { proxy, dialler, connection, port, tunnel };
}
