import type { ResponseHead } from '../http/request.js';
import type { StreamOutcome } from '../http/tunnel-stream.js';
import { BautaError } from '../protocol/bauta-error.js';
import { type ErrorCode, failures } from '../protocol/failures.js';
import { fieldValues } from '../protocol/fields.js';
import { parseProxyStatus } from '../protocol/proxy-status.js';

/** What a status says when there is no Proxy-Status, or one that says nothing known. */
const byStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'ERR_REQUEST_MALFORMED',
  401: 'ERR_CREDENTIALS',
  403: 'ERR_TARGET_DENIED',
  404: 'ERR_NOT_FOUND',
  405: 'ERR_PROTOCOL_UNSUPPORTED',
  407: 'ERR_CREDENTIALS',
  429: 'ERR_TOO_MANY',
  501: 'ERR_PROTOCOL_UNSUPPORTED',
  502: 'ERR_TARGET_UNREACHABLE',
  503: 'ERR_TOO_MANY',
  504: 'ERR_TARGET_TIMEOUT',
  508: 'ERR_LOOP',
};

/** Proxy-Status error types (RFC 9209 section 2.3) that say more than the status does. */
const byProxyStatus: Readonly<Record<string, ErrorCode>> = {
  dns_error: 'ERR_TARGET_NAME',
  dns_timeout: 'ERR_TARGET_NAME_TIMEOUT',
  destination_ip_prohibited: 'ERR_TARGET_REFUSED',
  destination_ip_unroutable: 'ERR_TARGET_UNREACHABLE',
  destination_not_found: 'ERR_TARGET_UNREACHABLE',
  destination_unavailable: 'ERR_TARGET_UNREACHABLE',
  connection_refused: 'ERR_TARGET_CLOSED',
  connection_terminated: 'ERR_TARGET_CLOSED',
  connection_timeout: 'ERR_TARGET_TIMEOUT',
  connection_read_timeout: 'ERR_TARGET_TIMEOUT',
  connection_limit_reached: 'ERR_TOO_MANY',
  http_request_denied: 'ERR_TARGET_DENIED',
  proxy_loop_detected: 'ERR_LOOP',
  proxy_configuration_error: 'ERR_HOP_CREDENTIALS',
};

function codeOf(status: number, error: string | undefined): ErrorCode {
  if (status === 401 || status === 407) return 'ERR_CREDENTIALS';
  // The row of our own table that has both, where a proxy of this kind answers.
  if (status === 503 && error === failures.ERR_DRAINING.proxyStatus) return 'ERR_DRAINING';
  if (status === 503 && error === failures.ERR_PORTS_EXHAUSTED.proxyStatus) return 'ERR_PORTS_EXHAUSTED';
  const named = error === undefined ? undefined : byProxyStatus[error];
  return named ?? byStatus[status] ?? (status >= 500 ? 'ERR_TARGET_UNREACHABLE' : 'ERR_PROXY_PROTOCOL');
}

/** What a proxy's answer other than 2xx means, with its status and Proxy-Status. */
export function errorOfResponse(head: ResponseHead): BautaError {
  const values = fieldValues(head.fields, 'proxy-status');
  const text = values.length === 0 ? undefined : values.join(', ');
  // Nearest the origin first: the one that met the failure.
  const last = parseProxyStatus(text ?? '').find(({ error }) => error !== undefined);
  return new BautaError(codeOf(head.status, last?.error), {
    status: head.status,
    detail: [`status ${head.status}`, last?.error, last?.details].filter((part) => part).join(', '),
    ...(text === undefined ? {} : { proxyStatus: text }),
  });
}

/** What it means that a request's stream ended before the answer came. */
export function errorOfOutcome(outcome: StreamOutcome): BautaError {
  switch (outcome.kind) {
    case 'ended':
      return new BautaError('ERR_PROXY_PROTOCOL', { detail: 'the answer is missing' });
    case 'reset':
      return new BautaError('ERR_TUNNEL_RESET', { detail: outcome.reason });
    case 'lost':
      return new BautaError(
        outcome.reason === 'protocol-error' ? 'ERR_PROXY_PROTOCOL' : 'ERR_CONNECTION_LOST',
        {
          detail: outcome.detail,
        },
      );
  }
}
