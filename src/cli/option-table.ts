/** One option of a command; `--help`, completion and parsing are all driven by it. */
export interface OptionSpec {
  /** Long name, without dashes. */
  readonly name: string;
  /** One letter, without dash. */
  readonly short?: string;
  /** Placeholder of the value; an option without one is a switch. */
  readonly value?: string;
  /** May be given more than once; its value is then a list. */
  readonly repeat?: true;
  readonly help: string;
  /** What the shell may complete the value with. */
  readonly complete?: 'file' | 'directory' | readonly string[];
}

export interface PositionalSpec {
  /** As in the usage line. */
  readonly name: string;
  readonly optional?: true;
  readonly help: string;
}

export interface Example {
  readonly line: string;
  readonly does: string;
}

/** What is known of a command without running it. */
export interface CommandTable {
  readonly name: string;
  readonly summary: string;
  readonly positionals: readonly PositionalSpec[];
  /** What follows `--`, for a command that runs another. */
  readonly command?: string;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
}

type ValueOf<S extends OptionSpec> = S extends { readonly repeat: true }
  ? readonly string[]
  : S extends { readonly value: string }
    ? string | undefined
    : boolean;

/** Parsed values by option name. */
export type OptionValues<T extends readonly OptionSpec[]> = {
  readonly [S in T[number] as S['name']]: ValueOf<S>;
};

export interface ParsedArguments<T extends readonly OptionSpec[]> {
  readonly options: OptionValues<T>;
  readonly positionals: readonly string[];
}
