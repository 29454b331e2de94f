import { hasEnvoy } from './foreign-program.js';
import { PASSWORD, type SubjectKind } from './subjects.js';

/** One benchmark: what is run against what, and which figures of it are told. */
export interface Case {
  readonly name: string;
  readonly subject: SubjectKind;
  readonly args: readonly string[];
  /** It uses the shared echo target. */
  readonly target: boolean;
  /** The main figure, a field of masque-load's line. */
  readonly figure: string;
  readonly unit: string;
  /** CPU time of the server, a field of the same line, and its unit. */
  readonly cpu: string;
  readonly cpuUnit: string;
  /** Cases of floors that the main figure is divided by. */
  readonly floors: readonly string[];
  /** Seconds before the run is measured, where the usual time does not do. */
  readonly warmup?: number;
  /** Smaller is better. */
  readonly inverse?: boolean;
  /** Another process of ours works beside it, whose cores count as foreign. */
  readonly accompanied?: boolean;
}

const sizes = [64, 1200] as const;
const perPacket = { cpu: 'server_ns_per_packet', cpuUnit: 'ns' } as const;
const perTunnel = { cpu: 'server_us_per_tunnel', cpuUnit: 'us' } as const;

function echo(name: string, subject: SubjectKind, transport: string, size: number, floors: string[]): Case {
  return {
    name,
    subject,
    args: ['udp-echo', '--transport', transport, '--size', String(size), '--window', '256'],
    target: subject !== 'quic-echo',
    figure: 'round_trips_per_s',
    unit: 'round trips/s',
    ...perPacket,
    floors,
  };
}

function oneWay(name: string, mode: string, size: number): Case {
  return {
    name,
    subject: 'proxy',
    args: [mode, '--size', String(size)],
    target: false,
    figure: 'delivered_pps',
    unit: 'packets/s',
    ...perPacket,
    floors: [`forwarder-echo-${size}`],
  };
}

function latency(
  name: string,
  subject: SubjectKind,
  transport: string,
  window: number,
  floors: string[],
): Case {
  const size = window === 1 ? 64 : 1200;
  return {
    ...echo(name, subject, transport, size, floors),
    args: ['udp-echo', '--transport', transport, '--size', String(size), '--window', String(window)],
    figure: 'rtt_p50_us',
    unit: 'us, median',
    inverse: true,
  };
}

/** Four connections with four tunnels each. */
function many(size: number): Case {
  const one = echo(`h3-4x4-echo-${size}`, 'proxy', 'h3', size, [`forwarder-echo-${size}`]);
  return { ...one, args: [...one.args, '--conns', '4', '--tunnels', '4'] };
}

/** A UDP forward of the client, with its floor. */
function forward(version: 'h3' | 'h2' | 'h1'): Case[] {
  const floors = [`js-forward-${version}-echo-1200`, `js-forward-${version}-latency`] as const;
  const of = (subject: SubjectKind, [rate, delay]: readonly [string, string], compared: boolean): Case[] => [
    echo(rate, subject, 'udp', 1200, compared ? [floors[0]] : []),
    latency(delay, subject, 'udp', 1, compared ? [floors[1]] : []),
  ];
  return [
    ...of(`js-forward-${version}`, floors, false),
    ...of(`forward-${version}`, [`forward-${version}-echo-1200`, `forward-${version}-latency`], true),
  ].map((one) => ({ ...one, accompanied: true }));
}

const login = `Basic ${Buffer.from(`load:${PASSWORD}`).toString('base64')}`;

/** Tunnels opened and closed, `mode` is `setup` or `setup-cold`. */
function setup(
  name: string,
  subject: SubjectKind,
  mode: string,
  concurrency: number,
  floors: string[],
): Case {
  const header = subject === 'proxy-password' ? ['--header', `proxy-authorization: ${login}`] : [];
  return {
    name,
    subject,
    // By resets: Envoy does not answer the end of a CONNECT-UDP stream with its own.
    args: [mode, '--concurrency', String(concurrency), '--close', 'reset', ...header],
    target: false,
    figure: 'tunnels_per_s',
    unit: 'tunnels/s',
    ...perTunnel,
    // A request goes through much more code than a datagram.
    warmup: 3,
    floors,
  };
}

export const cases: readonly Case[] = [
  ...sizes.flatMap((size) => [
    echo(`forwarder-echo-${size}`, 'forwarder', 'udp', size, []),
    echo(`quic-echo-${size}`, 'quic-echo', 'quic', size, []),
    ...['h3', 'h2', 'h1'].map((version) =>
      echo(`${version}-echo-${size}`, 'proxy', version, size, [
        `forwarder-echo-${size}`,
        `quic-echo-${size}`,
      ]),
    ),
    echo(`h3-js-echo-${size}`, 'proxy-js', 'h3', size, [`forwarder-echo-${size}`]),
    many(size),
    oneWay(`h3-to-target-${size}`, 'udp-flood', size),
    oneWay(`h3-to-client-${size}`, 'udp-reverse', size),
  ]),
  latency('forwarder-latency', 'forwarder', 'udp', 1, []),
  latency('quic-latency', 'quic-echo', 'quic', 1, []),
  ...['h3', 'h2', 'h1'].map((version) =>
    latency(`${version}-latency`, 'proxy', version, 1, ['forwarder-latency', 'quic-latency']),
  ),
  latency('h3-js-latency', 'proxy-js', 'h3', 1, ['forwarder-latency', 'quic-latency']),
  latency('forwarder-latency-64', 'forwarder', 'udp', 64, []),
  latency('h3-latency-64', 'proxy', 'h3', 64, ['forwarder-latency-64']),
  ...(['h3', 'h2', 'h1'] as const).flatMap(forward),
  ...[1, 8].flatMap((atOnce) => [
    setup(`envoy-setup-${atOnce}`, 'envoy', 'setup', atOnce, []),
    setup(`h3-setup-${atOnce}`, 'proxy', 'setup', atOnce, [`envoy-setup-${atOnce}`]),
    setup(`h3-password-setup-${atOnce}`, 'proxy-password', 'setup', atOnce, [`h3-setup-${atOnce}`]),
  ]),
  setup('envoy-setup-cold-8', 'envoy', 'setup-cold', 8, []),
  setup('h3-setup-cold-8', 'proxy', 'setup-cold', 8, ['envoy-setup-cold-8']),
  {
    name: 'h3-idle-memory',
    subject: 'proxy',
    args: ['idle', '--count', '5000', '--conns', '25'],
    target: false,
    figure: 'kib_per_tunnel',
    unit: 'KiB/tunnel',
    cpu: 'idle_server_cores',
    cpuUnit: 'cores',
    floors: [],
    inverse: true,
  },
];

/** The cases whose names contain one of these, and what they are compared with, as far as it is installed. */
export function chooseCases(only: readonly string[]): Case[] {
  const chosen = cases.filter(({ name }) => only.length === 0 || only.some((part) => name.includes(part)));
  const wanted = new Set(chosen.flatMap(({ name, floors }) => [name, ...floors]));
  const envoy = hasEnvoy();
  return cases.filter(({ name, subject }) => wanted.has(name) && (subject !== 'envoy' || envoy));
}
