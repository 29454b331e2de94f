import type { Summary } from '../client/bench/samples.js';
import type { SetUp } from '../client/bench/set-up.js';
import type { TcpRate } from '../client/bench/tcp-rate.js';
import type { UdpLatency } from '../client/bench/udp-latency.js';
import type { UdpRate } from '../client/bench/udp-rate.js';
import { printable } from '../ops/journal.js';
import type { BautaError } from '../protocol/bauta-error.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import { errorObject } from './report-error.js';

export type Part = 'setup' | 'udp' | 'tcp';

/** One thing that was measured, or could not be. */
export type BenchResult =
  | ({ readonly event: 'set-up'; readonly version: HttpVersion } & SetUp)
  | ({ readonly event: 'udp-latency'; readonly version: HttpVersion } & UdpLatency)
  | ({ readonly event: 'udp-rate'; readonly version: HttpVersion } & UdpRate)
  | ({ readonly event: 'tcp-rate'; readonly version: HttpVersion } & TcpRate)
  | {
      readonly event: 'failed';
      readonly version: HttpVersion;
      readonly part: Part | 'connection';
      readonly error: BautaError;
    };

const names: Record<HttpVersion, string> = { h3: 'HTTP/3', h2: 'HTTP/2', h1: 'HTTP/1.1' };

const number = (value: number, digits = 0): string =>
  Number.isNaN(value)
    ? '-'
    : value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
const milliseconds = (value: number): string => `${number(value, value < 10 ? 2 : 1)} ms`;
const times = ({ p50, p99, count }: Summary): string =>
  `${milliseconds(p50)}, p99 ${milliseconds(p99)} (${number(count)} times)`;

/** The result as a program reads it; times in milliseconds. */
export function resultObject(result: BenchResult): Record<string, unknown> {
  return result.event === 'failed' ? { ...result, error: errorObject(result.error) } : { ...result };
}

function setUpLines(result: SetUp): [string, string][] {
  const lines: [string, string][] = [
    ['new connection', times(result.connection)],
    ['  with its first tunnel', times(result.connectionAndTunnel)],
  ];
  if (result.tunnel) lines.push(['another tunnel on it', times(result.tunnel)]);
  return lines;
}

function latencyLines(result: UdpLatency): [string, string][] {
  const { roundTrip, lost, sent } = result;
  const more = [
    `p90 ${milliseconds(roundTrip.p90)}`,
    `p99 ${milliseconds(roundTrip.p99)}`,
    `worst ${milliseconds(roundTrip.max)}`,
    `jitter ${milliseconds(result.jitter)}`,
  ];
  return [
    ['UDP round trip', `${milliseconds(roundTrip.p50)}, ${more.join(', ')}`],
    [
      '  at that rate',
      `${number(result.rate)} datagrams/s of ${number(result.size)} bytes, lost ${number(lost)} of ${number(sent)}` +
        ` (${number(result.loss * 100, 2)} %), out of order ${number(result.reordered)}`,
    ],
  ];
}

function rateLine(result: UdpRate): [string, string] {
  const name = `UDP ${result.direction}`;
  if (result.rate === 0) return [name, 'datagrams are lost at the lowest rate already'];
  const end = result.limit === 'loss' ? 'more are lost above' : 'as fast as the sender could';
  return [name, `${number(result.rate)} datagrams/s, ${number(result.megabitsPerSecond, 1)} Mbit/s; ${end}`];
}

function linesOf(result: BenchResult): [string, string][] {
  switch (result.event) {
    case 'set-up':
      return setUpLines(result);
    case 'udp-latency':
      return latencyLines(result);
    case 'udp-rate':
      return [rateLine(result)];
    case 'tcp-rate':
      return [
        [
          `TCP ${result.direction}, ${result.streams} stream${result.streams === 1 ? '' : 's'}`,
          `${number(result.megabitsPerSecond, 1)} Mbit/s (${number(result.megabytesPerSecond, 1)} MB/s)`,
        ],
      ];
    case 'failed': {
      const lines: [string, string][] = [
        [result.part, `failed: ${printable(result.error.message)} ${result.error.code}`],
      ];
      if (result.error.hint !== undefined) lines.push(['', `try: ${printable(result.error.hint)}`]);
      return lines;
    }
  }
}

/** The result for people, a line for each thing. */
export function resultLines(result: BenchResult): string[] {
  return linesOf(result).map(
    ([name, text]) => `${names[result.version].padEnd(9)} ${name.padEnd(24)} ${text}`,
  );
}
