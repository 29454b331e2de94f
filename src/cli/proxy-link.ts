import type { CommandContext } from './command.js';
import { usageError } from './parse-arguments.js';

/**
 * The access link that a command was given: as its argument, `-` for the first line of standard input, or
 * `BAUTA_PROXY`. Throws `ERR_USAGE` when there is none.
 */
export async function proxyLink(argument: string | undefined, context: CommandContext): Promise<string> {
  if (argument === '-') {
    const line = (await context.readInput()).split(/\r?\n/, 1)[0]?.trim();
    if (!line) throw usageError('standard input holds no access link');
    return line;
  }
  const link = argument ?? context.environment['BAUTA_PROXY'];
  if (!link) {
    throw usageError(
      'no access link was given',
      'Give LINK, or - to read it from standard input, or set BAUTA_PROXY.',
    );
  }
  return link;
}
