import type { Case } from './cases.js';
import type { LoadResult } from './load-program.js';

/** What all runs of one case came to: medians. */
export interface Row {
  readonly name: string;
  readonly figure: number | undefined;
  readonly unit: string;
  /** The smallest and the largest of the runs. */
  readonly range: readonly [number, number] | undefined;
  readonly cpu: number | undefined;
  readonly cpuUnit: string;
  /** Cores of the server, of masque-load and its targets, and of strangers. */
  readonly serverCores: number | undefined;
  readonly foreignCores: number | undefined;
  readonly lossPercent: number | undefined;
  readonly p99: number | undefined;
  readonly errors: number;
  /** The figure divided by that of each floor. */
  readonly ratios: Readonly<Record<string, number>>;
  /** CPU time divided by that of each floor. */
  readonly cpuRatios: Readonly<Record<string, number>>;
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

function column(runs: readonly LoadResult[], field: string): number[] {
  return runs.map((run) => run[field]).filter((value): value is number => typeof value === 'number');
}

export function rowsOf(cases: readonly Case[], runs: ReadonlyMap<string, readonly LoadResult[]>): Row[] {
  const of = (name: string, field: string): number | undefined => median(column(runs.get(name) ?? [], field));
  const divide = (one: Case, field: string): Record<string, number> => {
    const ratios: Record<string, number> = {};
    for (const floor of one.floors) {
      const [mine, other] = [of(one.name, field), of(floor, field)];
      if (mine !== undefined && other !== undefined && other > 0) ratios[floor] = mine / other;
    }
    return ratios;
  };
  return cases.map((one) => {
    const mine = runs.get(one.name) ?? [];
    const figures = column(mine, one.figure);
    return {
      name: one.name,
      figure: median(figures),
      unit: one.unit,
      range: figures.length > 0 ? [Math.min(...figures), Math.max(...figures)] : undefined,
      cpu: of(one.name, one.cpu),
      cpuUnit: one.cpuUnit,
      serverCores: of(one.name, 'server_cores'),
      foreignCores: of(one.name, 'foreign_cores'),
      lossPercent: of(one.name, 'loss_pct'),
      p99: of(one.name, 'rtt_p99_us') ?? of(one.name, 'one_way_p99_us') ?? of(one.name, 'open_p99_us'),
      errors: column(mine, 'errors').reduce((sum, count) => sum + count, 0),
      ratios: divide(one, one.figure),
      cpuRatios: divide(one, one.cpu),
    };
  });
}

const number = (value: number | undefined): string => {
  if (value === undefined) return '-';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

/** Columns of ratios: the names that what is compared with begins with. */
const comparisons = [
  { title: 'x forwarder', begins: 'forwarder-' },
  { title: 'x QUIC', begins: 'quic-' },
  { title: 'x JavaScript', begins: 'js-' },
  { title: 'x Envoy', begins: 'envoy-' },
  { title: 'x no password', begins: 'h3-setup-' },
];

/** The rows as a table in Markdown; columns of ratios that no row has are left out. */
export function formatTable(rows: readonly Row[]): string {
  const compared = comparisons.filter(({ begins }) =>
    rows.some(({ ratios }) => Object.keys(ratios).some((name) => name.startsWith(begins))),
  );
  const head = [
    'case',
    'median',
    'runs',
    'server CPU',
    ...compared.map(({ title }) => title),
    'loss %',
    'p99 us',
    'foreign',
  ];
  const body = rows.map((row) => {
    const ratio = (begins: string): string => {
      const name = Object.keys(row.ratios).find((floor) => floor.startsWith(begins));
      if (name === undefined) return '-';
      return `${number(row.ratios[name])} (CPU ${number(row.cpuRatios[name])})`;
    };
    return [
      row.name,
      `${number(row.figure)} ${row.unit}`,
      row.range ? `${number(row.range[0])} to ${number(row.range[1])}` : '-',
      row.cpu === undefined ? '-' : `${number(row.cpu)} ${row.cpuUnit}`,
      ...compared.map(({ begins }) => ratio(begins)),
      number(row.lossPercent),
      number(row.p99),
      `${number(row.foreignCores)}${row.errors > 0 ? `; ${row.errors} errors` : ''}`,
    ];
  });
  const widths = head.map((title, at) =>
    Math.max(title.length, ...body.map((cells) => cells[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
