import type { OptionSpec, PositionalSpec } from './option-table.js';

/** Which proxy a command uses. */
export const linkPositional = {
  name: 'LINK',
  optional: true,
  help: 'Access link of the proxy; - reads it from standard input; default is BAUTA_PROXY.',
} as const satisfies PositionalSpec;

export const caOption = {
  name: 'ca',
  value: 'FILE',
  complete: 'file',
  help: 'Trust these PEM roots instead of the system’s.',
} as const satisfies OptionSpec;

export const congestionOption = {
  name: 'congestion',
  value: 'cubic|bbr',
  complete: ['cubic', 'bbr'],
  help: 'How fast HTTP/3 sends what goes up: cubic, the default, or bbr for paths that lose packets. What comes down is for the proxy to say.',
} as const satisfies OptionSpec;
