import { printable } from '../ops/journal.js';
import { BautaError } from '../protocol/bauta-error.js';
import { failures } from '../protocol/failures.js';
import type { Terminal } from './terminal.js';

/** The error as one of the table; anything else is a defect, told with its stack. */
export function tableError(error: unknown): BautaError {
  if (error instanceof BautaError) return error;
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new BautaError('ERR_INTERNAL', { detail, cause: error });
}

/** What programs are told of an error. */
export function errorObject(error: BautaError): Record<string, unknown> {
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.status === undefined ? {} : { status: error.status }),
    ...(error.proxyStatus === undefined ? {} : { proxyStatus: error.proxyStatus }),
  };
}

/** Sentence, code and hint in one line, for a journal. */
export function errorSentence({ message, code, hint }: BautaError): string {
  return `${message} ${code}${hint === undefined ? '' : `. Try: ${hint}`}`;
}

/** Sentence, code and hint, a line each. */
export function errorLines(error: BautaError, hint = error.hint): string[] {
  // Only a defect has lines of its own, its stack.
  const said = error.code === 'ERR_INTERNAL' ? error.message.split('\n') : [error.message];
  const lines = [`bauta: ${said.map(printable).join('\n')}`, `  code: ${error.code}`];
  if (hint !== undefined) lines.push(`  try:  ${printable(hint)}`);
  return lines;
}

/**
 * Shows an error and gives the exit code that it stands for. `help` is the command that shows the options: the
 * error table cannot know which command was typed.
 */
export function reportError(thrown: unknown, terminal: Terminal, json: boolean, help: string): number {
  const error = tableError(thrown);
  const hint = error.hint === failures.ERR_USAGE.hint ? help : error.hint;
  if (json) {
    const shown = hint === undefined ? {} : { hint };
    terminal.out(JSON.stringify({ event: 'error', ...errorObject(error), ...shown }));
  } else for (const line of errorLines(error, hint)) terminal.err(line);
  return failures[error.code].exit;
}
