import type { CommandTable } from './option-table.js';

/** Everything that `bauta demo` can be told. */
export const demoTable = {
  name: 'demo',
  summary: 'An echo server, a proxy and a client on this machine, in a few seconds',
  positionals: [],
  options: [{ name: 'json', help: 'Print one JSON object a line.' }],
  examples: [{ line: 'bauta demo', does: 'Needs no network, no privilege and leaves nothing behind.' }],
} as const satisfies CommandTable;
