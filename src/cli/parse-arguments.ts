import { parseArgs } from 'node:util';
import { redactLinks } from '../protocol/access-link.js';
import { BautaError } from '../protocol/bauta-error.js';
import { closest } from './closest-word.js';
import type { OptionSpec, OptionValues, ParsedArguments, PositionalSpec } from './option-table.js';

/** A mistake on the command line, told with the place to look it up. */
export function usageError(detail: string, hint?: string): BautaError {
  return new BautaError('ERR_USAGE', hint === undefined ? { detail } : { detail, hint });
}

function unknownOption(raw: string, specs: readonly OptionSpec[], help: string): BautaError {
  const near = closest(
    raw.replace(/^-+/, ''),
    specs.map((spec) => spec.name),
  );
  return usageError(
    `unknown option ${raw}`,
    near === undefined ? help : `Did you mean --${near}? All options: ${help}`,
  );
}

function checkPositionals(given: readonly string[], specs: readonly PositionalSpec[], help: string): void {
  const missing = specs[given.length];
  if (missing && !missing.optional) throw usageError(`${missing.name} is missing`, help);
  const extra = given[specs.length];
  if (extra !== undefined) throw usageError(`one argument too many: ${redactLinks(extra)}`, help);
}

/**
 * Reads a command line by its table. Throws `ERR_USAGE` for an unknown option (with the nearest one), a missing
 * or unexpected value, a repeated single option, and a missing or extra argument.
 */
export function parseArguments<const T extends readonly OptionSpec[]>(
  argv: readonly string[],
  specs: T,
  positionalSpecs: readonly PositionalSpec[],
  help: string,
): ParsedArguments<T> {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      specs.map((spec) => [
        spec.name,
        {
          type: spec.value === undefined ? ('boolean' as const) : ('string' as const),
          multiple: true,
          ...(spec.short === undefined ? {} : { short: spec.short }),
        },
      ]),
    ),
  });

  const values: Record<string, string | boolean | string[] | undefined> = {};
  for (const spec of specs) {
    values[spec.name] = spec.repeat ? [] : spec.value === undefined ? false : undefined;
  }
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = specs.find((candidate) => candidate.name === token.name);
    if (!spec) throw unknownOption(token.rawName, specs, help);
    if (spec.value === undefined) {
      if (token.value !== undefined) throw usageError(`--${spec.name} takes no value`, help);
      values[spec.name] = true;
      continue;
    }
    const swallowed = !token.inlineValue && token.value !== undefined && /^-./.test(token.value);
    if (token.value === undefined || swallowed) {
      throw usageError(`--${spec.name} needs a value: --${spec.name} ${spec.value}`, help);
    }
    const before = values[spec.name];
    if (Array.isArray(before)) before.push(token.value);
    else if (before === undefined) values[spec.name] = token.value;
    else throw usageError(`--${spec.name} is given twice`, help);
  }
  checkPositionals(positionals, positionalSpecs, help);
  return { options: values as OptionValues<T>, positionals };
}
