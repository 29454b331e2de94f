import type { CommandTable, ParsedArguments } from './option-table.js';
import { parseArguments, usageError } from './parse-arguments.js';
import type { Terminal } from './terminal.js';

/** What a command has of its surroundings. */
export interface CommandContext {
  readonly environment: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  /** All of standard input, as text. */
  readonly readInput: () => Promise<string>;
}

export interface Command {
  readonly table: CommandTable;
  /** Resolves with the exit code; rejects with `BautaError` for what the error table knows. */
  run(argv: readonly string[], context: CommandContext): Promise<number>;
}

/** What was given on a command line. */
export interface Given<T extends CommandTable> extends ParsedArguments<T['options']> {
  /** What follows `--`, for a command that runs another. */
  readonly command: readonly string[];
}

/** What a command does with what it was given; the exit code. */
export type RunCommand<T extends CommandTable> = (
  given: Given<T>,
  context: CommandContext,
) => Promise<number>;

/**
 * A command by its table. `load` gets the code that runs it, and only once the command line is understood: help and
 * mistakes need none of it.
 */
export function command<const T extends CommandTable>(table: T, load: () => Promise<RunCommand<T>>): Command {
  return {
    table,
    async run(argv, context) {
      const dashes = table.command === undefined ? -1 : argv.indexOf('--');
      const rest = dashes < 0 ? [] : argv.slice(dashes + 1);
      if (table.command !== undefined && rest.length === 0) {
        throw usageError('the command is missing', table.examples[0]?.line);
      }
      const own = dashes < 0 ? argv : argv.slice(0, dashes);
      const parsed = parseArguments(own, table.options, table.positionals, `bauta ${table.name} --help`);
      const runCommand = await load();
      return runCommand({ ...parsed, command: rest }, context);
    },
  };
}
