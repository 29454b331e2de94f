import { BautaError } from './bauta-error.js';
import { percentEncode } from './percent-encoding.js';

/** A part of a template: text, or variables in one of the forms that are allowed here. */
export type TemplatePart =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'variables'; readonly operator: '' | '?' | '&'; readonly names: readonly string[] };

/** A URI template that passed the checks of RFC 9298 section 2. */
export interface UriTemplate {
  readonly text: string;
  /** Scheme and authority; undefined for a template that begins with its path. */
  readonly origin: { readonly scheme: string; readonly authority: string } | undefined;
  /** Path and query. */
  readonly parts: readonly TemplatePart[];
}

/** The template of a kind of tunnel when nobody sets another; the origin is the proxy's. */
export const defaultTemplates = {
  /** RFC 9298 section 2. */
  udp: '/.well-known/masque/udp/{target_host}/{target_port}/',
  /** draft-ietf-httpbis-connect-tcp section 2. */
  tcp: '/.well-known/masque/tcp/{target_host}/{target_port}/',
  /** RFC 9484 section 3. */
  ip: '/.well-known/masque/ip/{target}/{ipproto}/',
} as const;

/** Variables of CONNECT-UDP and connect-tcp templates. */
export const targetVariables: readonly string[] = ['target_host', 'target_port'];

const EXPRESSION = /\{([^{}]*)\}/g;
/** RFC 6570 section 2.3. */
const VARIABLE = /^(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+(?:\.(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+)*$/;

function wrong(detail: string): BautaError {
  return new BautaError('ERR_TEMPLATE', { detail });
}

function parseExpression(body: string): TemplatePart {
  const first = body.charAt(0);
  const operator = first === '?' || first === '&' ? first : '';
  // RFC 9298 section 2: reserved, fragment, label, path segment and path parameter expansion are forbidden.
  if ('+#./;=,!@|'.includes(first) && first !== '') throw wrong(`the operator of {${body}} is not allowed`);
  const names = body.slice(operator.length).split(',');
  for (const name of names) {
    // RFC 9298 section 2: level 3 or lower, so no prefix and no explode modifier.
    if (/[:*]/.test(name)) throw wrong(`the modifier in {${body}} is not allowed`);
    if (!VARIABLE.test(name)) throw wrong(`{${body}} is not an expression`);
  }
  return { kind: 'variables', operator, names };
}

function parseParts(text: string): TemplatePart[] {
  const parts: TemplatePart[] = [];
  let from = 0;
  const literal = (to: number): void => {
    const piece = text.slice(from, to);
    if (/[{}]/.test(piece)) throw wrong('a brace without its partner');
    if (piece.includes('#')) throw wrong('a fragment');
    if (piece !== '') parts.push({ kind: 'literal', text: piece });
  };
  for (const match of text.matchAll(EXPRESSION)) {
    literal(match.index);
    parts.push(parseExpression(match[1] ?? ''));
    from = match.index + match[0].length;
  }
  literal(text.length);
  return parts;
}

/** The names of a template's variables, in order. */
export function templateVariables(template: UriTemplate): string[] {
  return template.parts.flatMap((part) => (part.kind === 'variables' ? part.names : []));
}

/**
 * Parses and checks a template (RFC 9298 section 2, RFC 6570 up to level 3): absolute, or beginning with its
 * path where the origin is known otherwise; ASCII; variables in path and query only, and all of `required`
 * among them. Throws `BautaError` ERR_TEMPLATE.
 */
export function parseTemplate(text: string, required: readonly string[] = targetVariables): UriTemplate {
  if (!/^[\x21-\x7e]*$/.test(text)) throw wrong('a blank, or a character that is not ASCII');
  let origin: UriTemplate['origin'];
  let path = text;
  if (!text.startsWith('/')) {
    const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/.exec(text);
    const [, scheme = '', authority = '', rest = ''] = match ?? [];
    if (!match) throw wrong('it is neither absolute nor begins with a slash');
    if (authority === '') throw wrong('an empty authority');
    if (/[{}]/.test(authority)) throw wrong('a variable in the authority');
    origin = { scheme: scheme.toLowerCase(), authority };
    path = rest;
  }
  if (!path.startsWith('/')) throw wrong('the path does not begin with a slash');
  const template: UriTemplate = { text, origin, parts: parseParts(path) };
  const names = templateVariables(template);
  for (const name of required) if (!names.includes(name)) throw wrong(`{${name}} is missing`);
  return template;
}

/**
 * Path and query with the variables replaced (RFC 6570 section 3.2); those without a value are left out.
 * All but unreserved characters are percent-encoded, the colons of an IPv6 address too (RFC 9298 section 3).
 */
export function expandTemplate(template: UriTemplate, values: Readonly<Record<string, string>>): string {
  let path = '';
  for (const part of template.parts) {
    if (part.kind === 'literal') {
      path += part.text;
      continue;
    }
    const given = part.names.filter((name) => Object.hasOwn(values, name));
    const items = given.map((name) => {
      const value = percentEncode(values[name] ?? '');
      return part.operator === '' ? value : `${name}=${value}`;
    });
    if (part.operator === '') path += items.join(',');
    else if (items.length > 0) path += part.operator + items.join('&');
  }
  return path;
}
