import { printable } from '../../ops/journal.js';
import type { BautaError } from '../../protocol/bauta-error.js';
import { errorObject } from '../report-error.js';

export type Verdict = 'ok' | 'warning' | 'failed' | 'skipped';

/** One line of the doctor's report. */
export interface Finding {
  /** What was looked at, in a word. */
  readonly name: string;
  readonly verdict: Verdict;
  readonly text: string;
  readonly hint?: string | undefined;
  readonly error?: BautaError;
  /** Numbers and names for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

export function ok(name: string, text: string, facts: Readonly<Record<string, unknown>> = {}): Finding {
  return { name, verdict: 'ok', text, facts };
}

/** A finding of an error of the table, with its hint. */
export function failed(name: string, error: BautaError, verdict: 'failed' | 'warning' = 'failed'): Finding {
  // The doctor's own advice to ask the doctor helps nobody.
  const hint = error.hint?.startsWith('bauta doctor') ? undefined : error.hint;
  return { name, verdict, text: error.message, hint, error };
}

const marks: Record<Verdict, string> = { ok: 'ok  ', warning: 'note', failed: 'FAIL', skipped: 'skip' };

/** The proxy chooses parts of what is told: its certificate's names, the reason of a close. */
export function findingLines(finding: Finding): string[] {
  const lines = [`${marks[finding.verdict]}  ${finding.name.padEnd(18)}${finding.text}`];
  if (finding.hint !== undefined) lines.push(`${' '.repeat(24)}try: ${finding.hint}`);
  return lines.map(printable);
}

export function findingObject(finding: Finding): Record<string, unknown> {
  return {
    event: 'check',
    name: finding.name,
    verdict: finding.verdict,
    text: finding.text,
    ...(finding.hint === undefined ? {} : { hint: finding.hint }),
    ...(finding.error ? { error: errorObject(finding.error) } : {}),
    ...finding.facts,
  };
}
