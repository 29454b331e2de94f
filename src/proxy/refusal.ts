import type { ResponseHead } from '../http/request.js';
import { type ErrorCode, failures } from '../protocol/failures.js';
import { formatProxyStatus, type ProxyStatus } from '../protocol/proxy-status.js';

/** Why a request is not served, as a row of the error table and what is special this time. */
export interface Refusal {
  readonly kind: 'refused';
  readonly code: ErrorCode;
  /** For the operator's log, and but for defects of the proxy itself for users; strangers never see it. */
  readonly detail: string;
  /** Instead of the table's. */
  readonly status?: number;
  readonly proxyStatus?: string;
  /** RFC 9209 section 2.3.2. */
  readonly rcode?: string | undefined;
  /** What the hops behind this proxy said, nearest the target first. */
  readonly behind?: readonly ProxyStatus[];
  /** More of this proxy's own entry. */
  readonly own?: Partial<ProxyStatus>;
}

export function refusal(code: ErrorCode, detail: string, more: Partial<Refusal> = {}): Refusal {
  return { ...more, kind: 'refused', code, detail };
}

/** This proxy in its own Proxy-Status fields; says nothing of product or machine. */
export const PROXY_NAME = 'proxy';

const LOGIN_WANTED = 'This proxy wants a valid name and password.';
const CHALLENGE = 'Basic realm="proxy", charset="UTF-8"';

/**
 * As whom a stranger is asked for credentials: an origin with templates (401, `Authorization`), or a proxy in the
 * older sense (407, `Proxy-Authorization`; RFC 9110 section 11.7).
 */
export type Challenge = 'origin' | 'proxy';

const NOTHING = new Uint8Array();

/** A refusal for people who see content only: the table's sentence, which says nothing of the target or the user. */
export function refusalText(
  { code }: Refusal,
  { status, fields }: ResponseHead,
  method: string,
): { readonly head: ResponseHead; readonly body: Uint8Array } {
  const { sentence } = failures[code];
  const body = Buffer.from(`${status === 407 ? LOGIN_WANTED : sentence}\n`);
  const head: ResponseHead = {
    status,
    fields: [
      ...fields.filter(([name]) => name !== 'content-length'),
      ['content-type', 'text/plain; charset=utf-8'],
      ['content-length', String(body.length)],
    ],
  };
  // RFC 9110 section 9.3.2: an answer to HEAD has the fields, and no content.
  return { head, body: method === 'HEAD' ? NOTHING : body };
}

/** The answer to a refused request. `known`: the client showed valid credentials and may see details. */
export function refusalHead(refused: Refusal, known: boolean, challenge: Challenge = 'origin'): ResponseHead {
  const failure = failures[refused.code];
  const asked = refused.status ?? failure.status ?? 500;
  const status = asked === 401 && challenge === 'proxy' ? 407 : asked;
  // RFC 9209 section 2.1.1: an error is what this proxy met, not what it passes on.
  const error = refused.behind ? undefined : (refused.proxyStatus ?? failure.proxyStatus);
  const fields: [string, string][] = [];
  if (error !== undefined || refused.behind) {
    const { rcode, detail, behind = [], own } = refused;
    const value = formatProxyStatus(...behind, {
      ...own,
      name: PROXY_NAME,
      ...(error === undefined ? {} : { error }),
      ...(known && rcode !== undefined ? { rcode } : {}),
      ...(known && error !== undefined && detail !== '' && refused.code !== 'ERR_INTERNAL'
        ? { details: detail }
        : {}),
    });
    fields.push(['proxy-status', value]);
  }
  // RFC 9110 sections 15.5.2 and 15.5.8: a 401 and a 407 carry a challenge.
  if (status === 401) fields.push(['www-authenticate', CHALLENGE]);
  if (status === 407) fields.push(['proxy-authenticate', CHALLENGE]);
  fields.push(['content-length', '0']);
  return { status, fields };
}
