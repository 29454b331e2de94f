import type { Told } from './measure.js';
import type { TransferKind } from './transfers.js';

type Of<E extends Told['event']> = Extract<Told, { event: E }>;

const of = <E extends Told['event']>(told: readonly Told[], event: E): Of<E>[] =>
  told.filter((one): one is Of<E> => one.event === event);

/** NaN for no values. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

const digits = (value: number, count = 2): string => (Number.isNaN(value) ? '-' : value.toFixed(count));

/** Nothing for no rows. */
function markdown(head: readonly string[], body: readonly (readonly string[])[]): string {
  if (body.length === 0) return '';
  const widths = head.map((title, at) => Math.max(title.length, ...body.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

const percent = (part: number, whole: number): string => (whole > 0 ? digits((100 * part) / whole) : '-');

/** What the paths were measured to be. */
export function pathTable(told: readonly Told[]): string {
  const probes = of(told, 'probe');
  const body = [...new Set(probes.map((one) => one.path))].map((path) => {
    const mine = probes.filter((one) => one.path === path).map((one) => one.probe);
    const downs = of(told, 'transfer').filter((one) => one.path === path);
    const sum = (count: (one: (typeof downs)[number]) => number): number =>
      downs.reduce((total, one) => total + count(one), 0);
    const packets = sum((one) => one.down.packets);
    const range = [Math.min(...mine.map((one) => one.min)), Math.max(...mine.map((one) => one.max))];
    return [
      path,
      digits(median(mine.map((one) => one.p50)), 1),
      range.map((value) => digits(value, 1)).join(' to '),
      `${packets}`,
      percent(
        sum((one) => one.down.lost),
        packets,
      ),
      percent(
        sum((one) => one.down.overflowed),
        packets,
      ),
      `${median(downs.map((one) => one.down.lateMs.p99))} / ${Math.max(0, ...downs.map((one) => one.down.lateMs.max))}`,
    ];
  });
  const head = [
    'path',
    'round trip ms',
    'range',
    'packets down',
    'lost %',
    'queue full %',
    'late ms p99 / max',
  ];
  return markdown(head, body);
}

/** Rates, and shares of the rate of the same transfer without a proxy: median of median, worst of worst. */
export function transferTable(told: readonly Told[], kinds: readonly TransferKind[]): string {
  const transfers = of(told, 'transfer');
  const body: string[][] = [];
  for (const path of new Set(transfers.map((one) => one.path))) {
    const rates = (name: string): number[] =>
      transfers.filter((one) => one.path === path && one.name === name).map((one) => one.megabits);
    for (const { name, direct } of kinds) {
      const [mine, base] = [rates(name), rates(direct)];
      const runs = transfers.filter((one) => one.path === path && one.name === name);
      const failed = of(told, 'failed').filter((one) => one.path === path && one.name === name).length;
      if (runs.length === 0 && failed === 0) continue;
      body.push([
        path,
        name,
        `${runs.length}`,
        digits(median(mine)),
        digits(Math.min(...mine)),
        digits(Math.max(...mine)),
        name === direct ? '-' : digits(median(mine) / median(base)),
        name === direct ? '-' : digits(Math.min(...mine) / Math.min(...base)),
        `${runs.filter((one) => one.cut).length}`,
        `${runs.filter((one) => !one.intact).length}`,
        `${failed}`,
      ]);
    }
  }
  const head = ['path', 'transfer', 'runs', 'median Mbit/s', 'worst', 'best'];
  return markdown([...head, 'share', 'worst share', 'cut', 'wrong', 'failed'], body);
}

/** Medians over the seeds; the last figure of the delays is the largest of all. */
export function floodTable(told: readonly Told[]): string {
  const floods = of(told, 'flood');
  const body: string[][] = [];
  for (const path of new Set(floods.map((one) => one.path))) {
    for (const name of new Set(floods.filter((one) => one.path === path).map((one) => one.name))) {
      const mine = floods.filter((one) => one.path === path && one.name === name);
      const mid = (value: (one: Of<'flood'>) => number): number => median(mine.map(value));
      const offered = mid((one) => one.offered);
      body.push([
        path,
        name,
        `${mine.length}`,
        percent(
          mid((one) => one.delays.arrived),
          offered,
        ),
        `${digits(
          mid((one) => one.delays.p50),
          1,
        )} / ${digits(
          mid((one) => one.delays.p99),
          1,
        )} / ${digits(Math.max(...mine.map((one) => one.delays.max)), 1)}`,
        `${mid((one) => one.pathQueue.p50)} / ${mid((one) => one.pathQueue.p99)} / ${Math.max(...mine.map((one) => one.pathQueue.max))}`,
        percent(
          mid((one) => one.pathDropped),
          offered,
        ),
        percent(
          mid((one) => one.proxyDropped ?? Number.NaN),
          offered,
        ).replace('NaN', '-'),
      ]);
    }
  }
  const head = ['path', 'flow', 'runs', 'arrived %', 'one way ms p50 / p99 / max', 'in the path’s queue ms'];
  return markdown([...head, 'dropped by the path %', 'by the proxy’s queue %'], body);
}
