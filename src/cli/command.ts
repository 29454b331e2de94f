import type { CommandTable } from './option-table.js';
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
