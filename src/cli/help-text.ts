import type { CommandTable, Example, OptionSpec } from './option-table.js';

const WIDTH = 100;

function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.join(`\n${' '.repeat(indent)}`);
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const left = Math.min(34, Math.max(...rows.map(([name]) => name.length)));
  return rows
    .map(([name, text]) => {
      const gap = name.length > left ? `\n${' '.repeat(left + 4)}` : ' '.repeat(left - name.length + 2);
      return `  ${name}${gap}${wrap(text, left + 4)}`;
    })
    .join('\n');
}

function optionLabel(spec: OptionSpec): string {
  const short = spec.short === undefined ? '' : `-${spec.short}, `;
  return `${short}--${spec.name}${spec.value === undefined ? '' : ` ${spec.value}`}`;
}

function examplesText(examples: readonly Example[]): string {
  return examples.map((example) => `  ${example.line}\n      ${example.does}`).join('\n');
}

/** The usage line of a command. */
export function usageLine(table: CommandTable): string {
  const positionals = table.positionals.map((spec) => (spec.optional ? ` [${spec.name}]` : ` ${spec.name}`));
  const options = table.options.length > 0 ? ' [OPTIONS]' : '';
  const command = table.command === undefined ? '' : ` -- ${table.command}`;
  return `bauta ${table.name}${positionals.join('')}${options}${command}`;
}

export function commandHelp(table: CommandTable): string {
  const parts = [table.summary, `Usage: ${usageLine(table)}`];
  if (table.positionals.length > 0) {
    parts.push(columns(table.positionals.map((spec) => [spec.name, spec.help])));
  }
  if (table.options.length > 0) {
    const rows = table.options.map((spec): readonly [string, string] => [
      optionLabel(spec),
      spec.repeat ? `${spec.help} Repeatable.` : spec.help,
    ]);
    parts.push(`Options:\n${columns(rows)}`);
  }
  if (table.examples.length > 0) parts.push(`Examples:\n${examplesText(table.examples)}`);
  return `${parts.join('\n\n')}\n`;
}

export function overviewHelp(tables: readonly CommandTable[], examples: readonly Example[]): string {
  return `${[
    'bauta: MASQUE proxy and client, TCP and UDP over HTTP/3, HTTP/2 and HTTP/1.1',
    'Usage: bauta COMMAND [OPTIONS]',
    `Commands:\n${columns(tables.map((table) => [table.name, table.summary]))}`,
    `Examples:\n${examplesText(examples)}`,
    'bauta COMMAND --help shows the options of a command; bauta --version the version.',
  ].join('\n\n')}\n`;
}
