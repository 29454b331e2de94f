import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createDelayLine, type DelayLine } from './delay-line.js';

const HOST = '127.0.0.1';
/**
 * Milliseconds without a packet after which a flow is forgotten; longer than between two keep-alives, or the proxy
 * would see its client move and have to validate the new path.
 */
const FLOW_IDLE = 20_000;
const BUFFER = 4 * 1024 * 1024;
/**
 * The target sees that many addresses, so that its limits for one address (512 handshakes at once) do not stand
 * in the way of what is measured.
 */
const SOURCES = 8;

const sourceOf = (flow: number): string => `127.0.0.${2 + (flow % SOURCES)}`;

async function openUdp(): Promise<UdpSocket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: BUFFER, sendBufferSize: BUFFER });
  socket.on('error', () => undefined);
  return socket;
}

/**
 * Forwards each UDP flow to the port of this machine, and back, `delay` milliseconds later each way. Gives the
 * port on which it listens.
 */
export async function delayUdp(port: number, delay: number): Promise<number> {
  const front = await openUdp();
  const flows = new Map<number, { readonly back: UdpSocket; readonly there: DelayLine; last: number }>();
  let count = 0;
  const flowOf = (client: number) => {
    const known = flows.get(client);
    if (known) return known;
    const back = createSocket({ type: 'udp4' });
    const here = createDelayLine(delay);
    const made = { back, there: createDelayLine(delay), last: 0 };
    flows.set(client, made);
    back.on('error', () => undefined);
    back.on('message', (packet) => {
      made.last = performance.now();
      here.push(() => front.send(packet, client, HOST));
    });
    back.bind(0, sourceOf(count++));
    return made;
  };
  front.on('message', (packet, from) => {
    const flow = flowOf(from.port);
    flow.last = performance.now();
    flow.there.push(() => flow.back.send(packet, port, HOST));
  });
  setInterval(() => {
    const oldest = performance.now() - FLOW_IDLE;
    for (const [client, { back, last }] of flows) {
      if (last > oldest) continue;
      flows.delete(client);
      back.close();
    }
  }, 500);
  front.bind(0, HOST);
  await once(front, 'listening');
  return front.address().port;
}

/** Brings what comes on one socket to the other, later; `held` gives what the next bytes wait for besides. */
function pipeLater(from: Socket, to: Socket, line: DelayLine, held: () => number): void {
  from.on('data', (bytes) => line.push(() => to.write(bytes), held()));
  from.on('end', () => line.push(() => to.end(), held()));
  from.on('close', () => line.push(() => to.destroy()));
  from.on('error', () => undefined);
}

/**
 * The same for TCP. The kernel answers a client's SYN at once, so the round trip of TCP's handshake is charged
 * to the client's first bytes: they set out one round trip after the connection.
 */
export async function delayTcp(port: number, delay: number): Promise<number> {
  let count = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const ready = performance.now() + 2 * delay;
    const localAddress = sourceOf(count++);
    const next = connect({ host: HOST, port, localAddress, noDelay: true, allowHalfOpen: true });
    pipeLater(client, next, createDelayLine(delay), () => Math.max(0, ready - performance.now()));
    pipeLater(next, client, createDelayLine(delay), () => 0);
  });
  server.listen({ host: HOST, port: 0, backlog: 4_096 });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
