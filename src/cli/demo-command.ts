import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from '../client/connect.js';
import type { UdpTunnel } from '../client/udp-tunnel.js';
import { publicKeyPin } from '../ops/public-key-pin.js';
import { formatAccessLink } from '../protocol/access-link.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import { createProxy } from '../proxy/create-proxy.js';
import { createPasswordStore } from '../proxy/password-store.js';
import { selfSigned } from '../quic/native/index.js';
import type { RunCommand } from './command.js';
import type { demoTable } from './demo-options.js';

const names: Record<HttpVersion, string> = { h3: 'HTTP/3', h2: 'HTTP/2', h1: 'HTTP/1.1' };
const ROUNDS = 200;
const PAYLOAD = 1_200;
const PATIENCE = 5_000;

/** What a version's echo showed; times in milliseconds. */
interface EchoResult {
  readonly datagrams: number;
  readonly lost: number;
  readonly median: number;
  readonly maxDatagramSize: number;
}

async function startEcho() {
  const socket = createSocket('udp4', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** Sends datagrams one by one and compares what comes back; one without an answer within a second is lost. */
async function echo(tunnel: UdpTunnel): Promise<EchoResult> {
  const times: number[] = [];
  let lost = 0;
  let expected = Buffer.alloc(0);
  let arrived: (same: boolean) => void = () => undefined;
  tunnel.on('message', (message: Buffer) => {
    if (message.equals(expected)) arrived(true);
  });
  const deadline = performance.now() + PATIENCE;
  for (let round = 0; round < ROUNDS && performance.now() < deadline; round++) {
    expected = randomBytes(Math.min(PAYLOAD, tunnel.maxDatagramSize));
    const since = performance.now();
    const answered = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 1_000);
      arrived = (same) => {
        clearTimeout(timer);
        resolve(same);
      };
      tunnel.send(expected);
    });
    if (answered) times.push(performance.now() - since);
    else lost += 1;
  }
  times.sort((a, b) => a - b);
  return {
    datagrams: times.length,
    lost,
    median: times[Math.floor(times.length / 2)] ?? Number.NaN,
    maxDatagramSize: tunnel.maxDatagramSize,
  };
}

export const runDemo: RunCommand<typeof demoTable> = async ({ options: { json } }, { terminal }) => {
  const say = (event: Record<string, unknown>, text: string): void =>
    terminal.out(json ? JSON.stringify(event) : text);
  const since = performance.now();
  const tls = selfSigned(['localhost', '127.0.0.1', '::1'], 1);
  const echoSocket = await startEcho();
  const target = `127.0.0.1:${echoSocket.address().port}`;
  const password = randomBytes(15).toString('base64url');
  try {
    say({ event: 'echo', target }, `echo server   ${target} (UDP)`);
    await using proxy = await createProxy({
      listen: '127.0.0.1:0',
      tls,
      authenticate: createPasswordStore([['demo', password]]).authenticate,
      targets: { allow: ['127.0.0.1'] },
    });
    const port = proxy.addresses[0]?.port ?? 0;
    const link = formatAccessLink({
      host: '127.0.0.1',
      port,
      user: { name: 'demo', password },
      pins: [publicKeyPin(tls.cert)],
      template: undefined,
    });
    say({ event: 'proxy', port }, `proxy         127.0.0.1:${port}, self-signed certificate, one user`);
    for (const version of ['h3', 'h2', 'h1'] as const) {
      const result = await terminal.progress(`echo over ${names[version]}`, echoOver(version, link, target));
      say(
        { event: 'result', version, ...result },
        `${names[version].padEnd(13)} ${result.datagrams} datagrams of ${PAYLOAD} bytes echoed, ${result.lost} lost, ` +
          `round trip ${result.median.toFixed(2)} ms, up to ${result.maxDatagramSize} bytes`,
      );
      if (result.datagrams === 0)
        throw new BautaError('ERR_TARGET_TIMEOUT', { detail: `echo over ${version}` });
    }
    const took = (performance.now() - since) / 1_000;
    say({ event: 'done', seconds: took }, `done in ${took.toFixed(1)} s; next: bauta proxy`);
    return 0;
  } finally {
    echoSocket.close();
  }
};

async function echoOver(version: HttpVersion, link: string, target: string): Promise<EchoResult> {
  await using client = await connect(link, { versions: [version] });
  await using tunnel = await client.openUdp(target);
  return await echo(tunnel);
}
