import type { CommandTable, OptionSpec } from './option-table.js';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** Text inside single quotes, for any of the shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function flags(spec: OptionSpec): string {
  return spec.short === undefined ? `--${spec.name}` : `--${spec.name} -${spec.short}`;
}

function bashValueCases(table: CommandTable): string {
  return table.options
    .filter((spec) => spec.value !== undefined)
    .map((spec) => {
      const label = flags(spec).replace(' ', '|');
      const words =
        spec.complete === 'file'
          ? 'COMPREPLY=($(compgen -f -- "$cur"))'
          : spec.complete === 'directory'
            ? 'COMPREPLY=($(compgen -d -- "$cur"))'
            : spec.complete
              ? `COMPREPLY=($(compgen -W ${quote(spec.complete.join(' '))} -- "$cur"))`
              : 'COMPREPLY=()';
      return `        ${label}) ${words}; return ;;`;
    })
    .join('\n');
}

function bash(tables: readonly CommandTable[]): string {
  const cases = tables
    .map((table) => {
      const values = bashValueCases(table);
      const inner = values === '' ? '' : `      case "$prev" in\n${values}\n      esac\n`;
      return `    ${table.name})\n${inner}      COMPREPLY=($(compgen -W ${quote(
        table.options.map(flags).join(' '),
      )} -- "$cur")) ;;`;
    })
    .join('\n');
  return `# bash completion for bauta; load it with: source <(bauta completion bash)
_bauta() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quote([...tables.map((table) => table.name), '--help', '--version'].join(' '))} -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases}
  esac
}
complete -F _bauta bauta
`;
}

function zshSpec(spec: OptionSpec): string {
  const text = spec.help.replaceAll(/[[\]:]/g, '\\$&');
  const action =
    spec.complete === 'file'
      ? '_files'
      : spec.complete === 'directory'
        ? '_files -/'
        : spec.complete
          ? `(${spec.complete.join(' ')})`
          : ' ';
  const value = spec.value === undefined ? '' : `:${spec.value.replaceAll(':', '\\:')}:${action}`;
  return quote(`${spec.repeat ? '*' : ''}--${spec.name}[${text}]${value}`);
}

function zsh(tables: readonly CommandTable[]): string {
  const names = tables.map((table) => quote(`${table.name}:${table.summary.replaceAll(':', '\\:')}`));
  const cases = tables
    .map((table) => `    ${table.name}) _arguments ${table.options.map(zshSpec).join(' ')} '*:argument: ' ;;`)
    .join('\n');
  return `#compdef bauta
# zsh completion for bauta; load it with: source <(bauta completion zsh)
_bauta() {
  local -a commands=(${names.join(' ')})
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local name="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$name" in
${cases}
  esac
}
compdef _bauta bauta
`;
}

function fish(tables: readonly CommandTable[]): string {
  const lines = [
    '# fish completion for bauta; load it with: bauta completion fish | source',
    'complete -c bauta -f',
  ];
  for (const table of tables) {
    lines.push(`complete -c bauta -n __fish_use_subcommand -a ${table.name} -d ${quote(table.summary)}`);
    for (const spec of table.options) {
      const parts = [`complete -c bauta -n '__fish_seen_subcommand_from ${table.name}' -l ${spec.name}`];
      if (spec.short !== undefined) parts.push(`-s ${spec.short}`);
      if (spec.value !== undefined)
        parts.push(spec.complete === 'file' || spec.complete === 'directory' ? '-r -F' : '-x');
      if (Array.isArray(spec.complete)) parts.push(`-a ${quote(spec.complete.join(' '))}`);
      parts.push(`-d ${quote(spec.help)}`);
      lines.push(parts.join(' '));
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The completion script of a shell, made from the option tables. */
export function completionScript(shell: Shell, tables: readonly CommandTable[]): string {
  return { bash, zsh, fish }[shell](tables);
}
