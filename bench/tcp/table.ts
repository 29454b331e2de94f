import { type Case, comparedSubjects, comparedWith } from './cases.js';
import { type SubjectName, subjectNames } from './subjects.js';
import type { Transfer } from './transfer.js';

/** What all runs of a case came to: medians. */
export interface Row {
  readonly name: string;
  readonly megabytesPerSecond: number;
  readonly range: readonly [number, number];
  readonly serverSecondsPerGb: number;
  readonly serverCores: number;
  readonly foreignCores: number;
  /** Rate and CPU time divided by those of others in the same run. */
  readonly against: Partial<Record<SubjectName, { readonly rate: number; readonly cpu: number }>>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

export function rowsOf(cases: readonly Case[], runs: ReadonlyMap<Case, readonly Transfer[]>): Row[] {
  const of = (one: Case, field: keyof Transfer): number =>
    median((runs.get(one) ?? []).map((run) => run[field]));
  return cases
    .filter((one) => (runs.get(one)?.length ?? 0) > 0)
    .map((one) => {
      const rates = (runs.get(one) ?? []).map((run) => run.megabytesPerSecond);
      const against: Row['against'] = {};
      for (const subject of comparedSubjects[one.subject] ?? []) {
        const other = comparedWith(one, subject);
        if (!other || (runs.get(other)?.length ?? 0) === 0) continue;
        against[subject] = {
          rate: of(one, 'megabytesPerSecond') / of(other, 'megabytesPerSecond'),
          cpu: of(one, 'serverSecondsPerGb') / of(other, 'serverSecondsPerGb'),
        };
      }
      return {
        name: one.name,
        megabytesPerSecond: median(rates),
        range: [Math.min(...rates), Math.max(...rates)],
        serverSecondsPerGb: of(one, 'serverSecondsPerGb'),
        serverCores: of(one, 'serverCores'),
        foreignCores: of(one, 'foreignCores'),
        against,
      };
    });
}

/** Lines of cells as a table in Markdown; the first is the head. */
export function markdownTable(lines: readonly (readonly string[])[]): string {
  const [head = [], ...body] = lines;
  const widths = head.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

export function formatTable(rows: readonly Row[]): string {
  const head = ['case', 'MB/s', 'runs', 'server CPU s/GB', 'server cores'];
  const beside = subjectNames.filter((subject) => rows.some((row) => row.against[subject]));
  const lines = rows.map((row) => [
    row.name,
    row.megabytesPerSecond.toFixed(0),
    row.range.map((value) => value.toFixed(0)).join(' to '),
    row.serverSecondsPerGb.toFixed(2),
    row.serverCores.toFixed(2),
    ...beside.map((subject) => {
      const ratio = row.against[subject];
      return ratio ? `${ratio.rate.toFixed(2)} (CPU ${ratio.cpu.toFixed(2)})` : '-';
    }),
    row.foreignCores.toFixed(2),
  ]);
  return markdownTable([[...head, ...beside.map((subject) => `x ${subject}`), 'foreign'], ...lines]);
}
