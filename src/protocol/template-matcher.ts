import { BautaError } from './bauta-error.js';
import { percentDecode } from './percent-encoding.js';
import { templateVariables, type UriTemplate } from './template.js';

export type TemplateMatch =
  /** The decoded values of all variables. */
  | { readonly kind: 'match'; readonly values: ReadonlyMap<string, string> }
  /** It is another path. */
  | { readonly kind: 'none' }
  /** It is this path with a value that no expansion gives: a bad request. */
  | { readonly kind: 'malformed'; readonly detail: string };

export type TemplateMatcher = (path: string) => TemplateMatch;

/** Text and variables in turn; a variable ends where the first character of the text behind it stands. */
type Piece = { readonly literal: string } | { readonly variable: string };

interface QueryItem {
  readonly name: string;
  readonly pieces: readonly Piece[];
}

const NONE: TemplateMatch = { kind: 'none' };
/**
 * What a value may look like: unreserved and percent-encoded characters, and sub-delimiters that some clients
 * leave as they are. Never a colon: those of an IPv6 address are encoded (RFC 9298 section 3).
 */
const VALUE = /^(?:[A-Za-z0-9._~!$'()*+-]|%[0-9A-Fa-f]{2})*$/;

function wrong(detail: string): BautaError {
  return new BautaError('ERR_TEMPLATE', { detail });
}

function join(names: readonly string[]): Piece[] {
  return names.flatMap((name, i): Piece[] => [...(i > 0 ? [{ literal: ',' }] : []), { variable: name }]);
}

/** Path pieces and query items; forms of a query become plain `name=value` items. */
function arrange(template: UriTemplate): { path: Piece[]; query: QueryItem[] | undefined } {
  const path: Piece[] = [];
  let query: { name: string; pieces: Piece[] }[] | undefined;
  const inQuery = (text: string): void => {
    if (!query) return;
    const [first = '', ...more] = text.split('&');
    const last = query.at(-1);
    if (first !== '' && last) last.pieces.push({ literal: first });
    else if (first !== '') query.push(item(first));
    for (const next of more) query.push(item(next));
  };
  const item = (text: string): { name: string; pieces: Piece[] } => {
    const equals = text.indexOf('=');
    if (equals < 0) throw wrong('a query item without a name and an equals sign');
    const value = text.slice(equals + 1);
    return { name: text.slice(0, equals), pieces: value === '' ? [] : [{ literal: value }] };
  };
  for (const part of template.parts) {
    if (part.kind === 'variables' && part.operator !== '') {
      if ((part.operator === '?') !== (query === undefined))
        throw wrong('more than one query, or none to add to');
      query ??= [];
      for (const name of part.names) query.push({ name, pieces: [{ variable: name }] });
    } else if (part.kind === 'variables') {
      const into = query ? query.at(-1)?.pieces : path;
      if (!into) throw wrong('a variable where the name of a query item belongs');
      into.push(...join(part.names));
    } else if (query) {
      inQuery(part.text);
    } else {
      const mark = part.text.indexOf('?');
      path.push({ literal: mark < 0 ? part.text : part.text.slice(0, mark) });
      if (mark >= 0) {
        query = [];
        inQuery(part.text.slice(mark + 1));
      }
    }
  }
  return { path: path.filter((piece) => !('literal' in piece) || piece.literal !== ''), query };
}

/** A value must have a visible end, or it could be read in more than one way. */
function checkSeparated(pieces: readonly Piece[]): void {
  for (const [i, piece] of pieces.entries()) {
    const next = pieces[i + 1];
    if (!('variable' in piece) || !next) continue;
    if ('variable' in next || /[A-Za-z0-9._~%-]/.test(next.literal.charAt(0))) {
      throw wrong(`nothing marks the end of {${piece.variable}}`);
    }
  }
}

/** Takes `text` apart; false when it is another one. Linear in its length. */
function take(pieces: readonly Piece[], text: string, raw: Map<string, string>): boolean {
  let at = 0;
  for (const [i, piece] of pieces.entries()) {
    if ('literal' in piece) {
      if (!text.startsWith(piece.literal, at)) return false;
      at += piece.literal.length;
      continue;
    }
    const next = pieces[i + 1];
    const mark = next && 'literal' in next ? text.indexOf(next.literal.charAt(0), at) : text.length;
    if (mark < 0) return false;
    raw.set(piece.variable, text.slice(at, mark));
    at = mark;
  }
  return at === text.length;
}

function decode(raw: ReadonlyMap<string, string>): TemplateMatch {
  const values = new Map<string, string>();
  for (const [name, text] of raw) {
    if (!VALUE.test(text))
      return { kind: 'malformed', detail: `${name} has characters that must be percent-encoded` };
    const value = percentDecode(text);
    if (value === undefined) return { kind: 'malformed', detail: `${name} is not percent-encoded UTF-8` };
    values.set(name, value);
  }
  return { kind: 'match', values };
}

/**
 * Makes of a server's template what recognises the paths it expands to and reads the values back. Query items
 * may come in any order and among others. Throws `BautaError` ERR_TEMPLATE for a template whose expansions
 * cannot be read back, or one with variables besides `variables`.
 */
export function createTemplateMatcher(template: UriTemplate, variables: readonly string[]): TemplateMatcher {
  const names = templateVariables(template);
  for (const name of names) if (!variables.includes(name)) throw wrong(`{${name}} has no meaning here`);
  if (new Set(names).size !== names.length) throw wrong('a variable appears twice');
  const { path, query } = arrange(template);
  checkSeparated(path);
  for (const { pieces } of query ?? []) checkSeparated(pieces);

  return (text) => {
    const mark = text.indexOf('?');
    const raw = new Map<string, string>();
    if (!take(path, mark < 0 ? text : text.slice(0, mark), raw)) return NONE;
    if (query) {
      const items = mark < 0 ? [] : text.slice(mark + 1).split('&');
      for (const { name, pieces } of query) {
        const found = items.filter((given) => given.startsWith(`${name}=`));
        const [only] = found;
        if (only === undefined) return { kind: 'malformed', detail: `${name} is missing` };
        if (found.length > 1) return { kind: 'malformed', detail: `${name} is given twice` };
        if (!take(pieces, only.slice(name.length + 1), raw)) return NONE;
      }
    } else if (mark >= 0) {
      return NONE;
    }
    return decode(raw);
  };
}
