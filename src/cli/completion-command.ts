import type { RunCommand } from './command.js';
import type { completionTable } from './completion-options.js';
import { completionScript, type Shell, shells } from './completion-scripts.js';
import type { CommandTable } from './option-table.js';
import { usageError } from './parse-arguments.js';

function isShell(name: string | undefined): name is Shell {
  return shells.some((shell) => shell === name);
}

/** `tables` are those of all commands, this one's too. */
export function runCompletion(tables: readonly CommandTable[]): RunCommand<typeof completionTable> {
  return async ({ positionals: [shell] }, { terminal }) => {
    if (!isShell(shell)) throw usageError(`${shell} is none of ${shells.join(', ')}`);
    terminal.out(completionScript(shell, tables).trimEnd());
    return 0;
  };
}
