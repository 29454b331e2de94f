import type { CommandTable } from './option-table.js';

/** Everything that `bauta completion` can be told. */
export const completionTable = {
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
