import type { Command } from './command.js';
import { completionScript, type Shell, shells } from './completion-scripts.js';
import type { CommandTable } from './option-table.js';
import { parseArguments, usageError } from './parse-arguments.js';

const table = {
  name: 'completion',
  summary: 'Print the completion script of a shell',
  positionals: [{ name: 'SHELL', help: 'bash, zsh or fish.' }],
  options: [],
  examples: [
    { line: 'source <(bauta completion bash)', does: 'Complete in this bash.' },
    {
      line: 'bauta completion fish > ~/.config/fish/completions/bauta.fish',
      does: 'Complete in every fish.',
    },
  ],
} as const satisfies CommandTable;

function isShell(name: string | undefined): name is Shell {
  return shells.some((shell) => shell === name);
}

/** `tables` gives all commands' tables, this one's too. */
export function completionCommand(tables: () => readonly CommandTable[]): Command {
  return {
    table,
    async run(argv, { terminal }) {
      const { positionals } = parseArguments(
        argv,
        table.options,
        table.positionals,
        'bauta completion --help',
      );
      const [shell] = positionals;
      if (!isShell(shell)) throw usageError(`${shell} is none of ${shells.join(', ')}`);
      terminal.out(completionScript(shell, tables()).trimEnd());
      return 0;
    },
  };
}
