/** One thing that happened: a name, and plain fields that must never hold a credential. */
export interface JournalEntry {
  readonly event: string;
}

export interface Journal {
  /** Something to know; `text` is for people, the entry for programs. */
  tell<E extends JournalEntry>(entry: E, text: string): void;
  /** Something to act on. */
  warn<E extends JournalEntry>(entry: E, text: string): void;
}

/** Where lines go; the end of line is the journal's. */
export type WriteLine = (line: string) => void;

/** One line: without what could move the cursor or forge another line, as peers choose parts of what is told. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}

/** Sentences for people: what is told goes to `out`, warnings to `err`. */
export function humanJournal(out: WriteLine, err: WriteLine): Journal {
  return {
    tell: (_entry, text) => out(printable(text)),
    warn: (_entry, text) => err(printable(text)),
  };
}

/** One JSON object a line, with the time in ISO 8601. */
export function jsonJournal(out: WriteLine, now: () => Date): Journal {
  const line = (level: 'info' | 'warning', entry: JournalEntry): void => {
    out(JSON.stringify({ ...entry, time: now().toISOString(), level }));
  };
  return {
    tell: (entry) => line('info', entry),
    warn: (entry, text) => line('warning', { ...entry, message: printable(text) }),
  };
}
