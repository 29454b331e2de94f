import { caOption, congestionOption, linkPositional } from './link-options.js';
import type { CommandTable } from './option-table.js';

/** Everything that `bauta exec` can be told, up to `--`. */
export const execTable = {
  name: 'exec',
  summary: 'Run a command whose HTTP and SOCKS traffic goes through a proxy',
  positionals: [linkPositional],
  command: 'COMMAND [ARGUMENT…]',
  options: [
    {
      name: 'proxy',
      value: 'LINK',
      repeat: true,
      help: 'A chain: give it once for each proxy, nearest first, instead of LINK.',
    },
    {
      name: 'versions',
      value: 'LIST',
      help: 'HTTP versions to try, from 3, 2 and 1; default 3,2,1. Of a chain: for the first proxy.',
      complete: ['3', '2', '1', '3,2', '2,1', '3,2,1'],
    },
    congestionOption,
    caOption,
    { name: 'timeout', value: 'SECONDS', help: 'For connecting at the start; default 10.' },
    { name: 'verbose', short: 'v', help: 'Tell on standard error what was tried, and of each tunnel.' },
  ],
  examples: [
    {
      line: "bauta exec 'https://NAME:PASSWORD@HOST:4433/#pin=sha256-…' -- curl https://example.com",
      does: 'curl finds a local proxy in http_proxy, https_proxy and all_proxy, and no exceptions in no_proxy.',
    },
    {
      line: 'BAUTA_PROXY=… bauta exec -- git clone https://example.com/project.git',
      does: 'The exit code is that of the command. The link comes from the environment.',
    },
  ],
} as const satisfies CommandTable;
