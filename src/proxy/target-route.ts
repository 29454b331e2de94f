import { BautaError } from '../protocol/bauta-error.js';
import { makeTarget, parseTarget } from '../protocol/target.js';
import { parseTemplate, targetVariables } from '../protocol/template.js';
import { createTemplateMatcher } from '../protocol/template-matcher.js';

/** A host and a port as a request named them, in canonical spelling. */
export interface AskedTarget {
  readonly host: string;
  readonly port: number;
}

/** What a request says of where it wants to go. */
export type Routed =
  | { readonly kind: 'target'; readonly target: AskedTarget }
  /** It is said in the right place, with values that no target has. */
  | { readonly kind: 'malformed'; readonly detail: string }
  /** No template has this path. */
  | { readonly kind: 'elsewhere' };

/** Finds the target in a request's path. */
export type TargetRoute = (path: string) => Routed;

function routed(read: () => AskedTarget): Routed {
  try {
    const { host, port } = read();
    return { kind: 'target', target: { host, port } };
  } catch (error) {
    if (!(error instanceof BautaError)) throw error;
    return { kind: 'malformed', detail: error.message };
  }
}

/**
 * A route by the operator's template (RFC 9298 section 2; draft-ietf-httpbis-connect-tcp section 3 has the same
 * rules). Throws `BautaError` ERR_TEMPLATE.
 */
export function createTargetRoute(template: string): TargetRoute {
  const match = createTemplateMatcher(parseTemplate(template), targetVariables);
  return (path) => {
    const matched = match(path);
    if (matched.kind === 'none') return { kind: 'elsewhere' };
    if (matched.kind === 'malformed') return matched;
    const { values } = matched;
    return routed(() => makeTarget(values.get('target_host') ?? '', values.get('target_port') ?? ''));
  };
}

/** The target of a classic CONNECT: host and port, and no user information (RFC 9110 section 9.3.6). */
export function authorityTarget(authority: string): Routed {
  return routed(() => parseTarget(authority));
}

/** The origin of a request in absolute form; port 80 where it names none (RFC 9110 section 4.2.1). */
export function originTarget(authority: string): Routed {
  return routed(() => parseTarget(authority, 80));
}
