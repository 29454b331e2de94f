import { setTimeout as wait } from 'node:timers/promises';
import { LINES } from '../../src/client/bench/tcp-responder.js';
import type { Client, TcpTunnel } from '../../src/client/index.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { residentKib, tcpBufferKib } from './process-cost.js';
import { openStage, type Stage } from './proxied-client.js';
import { markdownTable } from './table.js';

const READERS = 1_000;
const BATCH = 50;
/** Each reads this much at a time, bytes, ten times a second. */
const SIP = 1_024;
const SIP_EVERY = 100;
const SECONDS = 8;

async function openTunnels(client: Client, count: number, to: string): Promise<TcpTunnel[]> {
  const tunnels: TcpTunnel[] = [];
  while (tunnels.length < count) {
    tunnels.push(...(await Promise.all(Array.from({ length: BATCH }, () => client.openTcp(to)))));
  }
  for (const tunnel of tunnels) tunnel.on('error', () => undefined);
  return tunnels;
}

interface Held {
  /** Of the proxy's process, for each tunnel. */
  readonly kibEach: number;
  /** Of all sockets of the machine: both sides of the proxy, and the other ends. */
  readonly kernelKibEach: number;
}

async function measure(version: HttpVersion, way: 'down' | 'up'): Promise<Held> {
  await using stage: Stage = await openStage();
  const client = await stage.client(version, false);
  try {
    const to = way === 'down' ? stage.target : stage.deaf;
    // Code and buffers that the proxy needs once are not a tunnel's.
    for (const tunnel of await openTunnels(client, 100, to)) tunnel.destroy();
    await wait(1_000);
    const before = residentKib(stage.proxy.pid);
    const kernelBefore = tcpBufferKib();
    const tunnels = await openTunnels(client, READERS, to);
    const chunk = Buffer.alloc(64 * 1_024);
    for (const tunnel of tunnels) {
      if (way === 'down') tunnel.write(LINES.source);
      else {
        const fill = (): void => {
          while (tunnel.write(chunk));
        };
        tunnel.on('drain', fill);
        fill();
      }
    }
    for (const end = performance.now() + SECONDS * 1_000; performance.now() < end; ) {
      if (way === 'down') for (const tunnel of tunnels) tunnel.read(SIP);
      await wait(SIP_EVERY);
    }
    const held = {
      kibEach: (residentKib(stage.proxy.pid) - before) / READERS,
      kernelKibEach: (tcpBufferKib() - kernelBefore) / READERS,
    };
    for (const tunnel of tunnels) tunnel.destroy();
    return held;
  } finally {
    await client.close();
  }
}

/** What 1,000 tunnels hold whose reader is far slower than their writer. */
export async function measureSlowReaders(json: boolean): Promise<void> {
  const lines = [['case', 'proxy KiB/tunnel', 'kernel TCP buffers KiB/tunnel (whole machine)']];
  for (const version of ['h3', 'h2', 'h1'] as const) {
    for (const way of ['down', 'up'] as const) {
      const name = `${version}-slow-readers-${way}`;
      const held = await measure(version, way);
      if (json) console.log(JSON.stringify({ event: 'slow-readers', case: name, ...held }));
      lines.push([name, held.kibEach.toFixed(0), held.kernelKibEach.toFixed(0)]);
    }
  }
  if (!json) console.log(markdownTable(lines));
}
