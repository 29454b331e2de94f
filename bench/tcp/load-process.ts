/*
 * bauta's own load: streams through a proxy, or plain ones through a forwarder, to or from sinks and sources.
 * Its argument is a plan as JSON; it prints one line with what came of it.
 */
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { type ByteStream, measureTcpRate } from '../../src/client/bench/tcp-rate.js';
import { connect } from '../../src/client/index.js';
import { systemClock } from '../../src/clock/system-clock.js';
import { machineSeconds, processSeconds } from './process-cost.js';
import type { Transfer, TransferPlan } from './transfer.js';

const plan = JSON.parse(process.argv[2] ?? '') as TransferPlan;
const portOf = (address: string): number => Number(address.split(':')[1]);

interface Opener {
  open(): Promise<ByteStream>;
  close(): Promise<void>;
}

async function opener(): Promise<Opener> {
  const { transport } = plan;
  if (transport === 'plain') {
    return {
      async open() {
        const socket = connectSocket(portOf(plan.address), '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      },
      close: async () => undefined,
    };
  }
  const client = await connect(`https://${plan.address}/#pin=${plan.pin}`, { versions: [transport] });
  return { open: () => client.openTcp(plan.target), close: () => client.close() };
}

const seconds = () => ({
  server: processSeconds(plan.pid),
  target: processSeconds(plan.targetPid),
  client: processSeconds(process.pid),
  machine: machineSeconds(),
  time: performance.now() / 1_000,
});

const { open, close } = await opener();
let begin = seconds();
let end = begin;
const rate = await measureTcpRate({
  direction: plan.direction,
  streams: plan.streams,
  duration: plan.seconds * 1_000,
  warmUp: plan.warmUp * 1_000,
  open,
  clock: systemClock,
  signal: new AbortController().signal,
  measuring: (edge) => {
    if (edge === 'begin') begin = seconds();
    else end = seconds();
  },
});
const gigabytes = rate.bytes / 1e9;
const time = end.time - begin.time;
const [server, client] = [end.server - begin.server, end.client - begin.client];
const known = server + client + end.target - begin.target;
const transfer: Transfer = {
  megabytesPerSecond: rate.megabytesPerSecond,
  serverSecondsPerGb: server / gigabytes,
  clientSecondsPerGb: client / gigabytes,
  serverCores: server / time,
  foreignCores: (end.machine - begin.machine - known) / time,
};
console.log(JSON.stringify(transfer));
await close();
