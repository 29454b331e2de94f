import { caOption, linkPositional } from '../link-options.js';
import type { CommandTable } from '../option-table.js';

/** Everything that `bauta doctor` can be told. */
export const doctorTable = {
  name: 'doctor',
  summary: "What works through a proxy from here and why not; any vendor's proxy",
  positionals: [linkPositional],
  options: [
    { name: 'target', value: 'HOST:PORT', help: 'Open a UDP and a TCP tunnel to this target too.' },
    {
      name: 'versions',
      value: 'LIST',
      help: 'HTTP versions to look at, from 3, 2 and 1; default 3,2,1.',
      complete: ['3', '2', '1', '3,2', '2,1', '3,2,1'],
    },
    caOption,
    { name: 'timeout', value: 'SECONDS', help: 'For each step; default 5.' },
    { name: 'json', help: 'Print one JSON object a line.' },
  ],
  examples: [
    {
      line: "bauta doctor 'LINK'",
      does: 'Each line has a verdict, and a hint where there is something to do.',
    },
    {
      line: "bauta doctor 'LINK' --target 1.1.1.1:53",
      does: 'Whether tunnels to 1.1.1.1 open, over UDP and over TCP.',
    },
  ],
} as const satisfies CommandTable;
