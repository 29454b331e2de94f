import { BautaError } from '../../protocol/bauta-error.js';
import { failures } from '../../protocol/failures.js';
import type { Fields } from '../../protocol/fields.js';
import { formatProxyStatus } from '../../protocol/proxy-status.js';

/** What a front-end says to an app by itself. */
export interface HttpAnswer {
  readonly status: number;
  readonly fields: Fields;
  readonly body: string;
}

/** How the front-end is called in Proxy-Status and Via. */
export const FRONT_NAME = 'local-proxy';

/**
 * RFC 9209 section 2: the members of those nearer to the target come first. What the proxy said is passed on;
 * where it said nothing, the failure is the front-end's own.
 */
function proxyStatusOf(error: BautaError): string | undefined {
  const { proxyStatus } = failures[error.code];
  if (error.proxyStatus !== undefined) {
    const received = error.status === undefined ? {} : { receivedStatus: error.status };
    return `${error.proxyStatus}, ${formatProxyStatus({ name: FRONT_NAME, ...received })}`;
  }
  return proxyStatus === undefined
    ? undefined
    : formatProxyStatus({ name: FRONT_NAME, error: proxyStatus, details: error.message });
}

/** The app has no say in the credentials of the proxy's link, and must not be asked for them. */
function statusOf(error: BautaError): number {
  const status = failures[error.code].status ?? 503;
  return status === 401 || status === 407 ? 502 : status;
}

/** The answer that the error table has for a failure. */
export function answerOfError(error: BautaError): HttpAnswer {
  const proxyStatus = proxyStatusOf(error);
  return {
    status: statusOf(error),
    fields: proxyStatus === undefined ? [] : [['proxy-status', proxyStatus]],
    body: `${error.message} (${error.code})\n${error.hint === undefined ? '' : `Try: ${error.hint}\n`}`,
  };
}

/** RFC 9110 section 11.7.1. */
export const loginWanted: HttpAnswer = {
  status: 407,
  fields: [['proxy-authenticate', `Basic realm="${FRONT_NAME}", charset="UTF-8"`]],
  body: 'This proxy wants a user and a password.\n',
};

export const nothingHere: HttpAnswer = {
  status: 404,
  fields: [],
  body: 'This is a proxy: set it as the HTTP proxy of your program. /proxy.pac is for automatic configuration.\n',
};

/** To an OPTIONS that was to come no further. */
export const lastRecipient: HttpAnswer = { status: 200, fields: [], body: '' };

/** RFC 9110 section 15.5.20: a page that got here under a name of its own is sent away. */
export const foreignHost: HttpAnswer = {
  status: 421,
  fields: [],
  body: 'This is a proxy on the machine itself, and serves nothing under that name.\n',
};

/** A malformed request, or one that asks for what is not offered. */
export function refusalOf(status: 400 | 408 | 431 | 501, body: string): HttpAnswer {
  return { status, fields: [], body: `${body}\n` };
}

export const malformedRequest = (detail: string): BautaError =>
  new BautaError('ERR_REQUEST_MALFORMED', { detail });
