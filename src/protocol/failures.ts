/** What a failure is to each kind of reader. */
export interface Failure {
  /** HTTP status that a proxy answers with; undefined where no answer is possible. */
  readonly status: number | undefined;
  /** Proxy-Status error type (RFC 9209 section 2.3). */
  readonly proxyStatus: string | undefined;
  /** SOCKS5 reply (RFC 1928 section 6). */
  readonly socks: number;
  /** Exit code of a command: 2 usage, 3 unreachable, 4 identity, 5 credentials, 6 policy, 7 target, 1 anything else. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 7;
  /** One sentence for a person. */
  readonly sentence: string;
  /** What to try next; undefined where there is nothing to try. */
  readonly hint: string | undefined;
}

const failure = (
  status: number | undefined,
  proxyStatus: string | undefined,
  socks: number,
  exit: Failure['exit'],
  sentence: string,
  hint?: string,
): Failure => ({ status, proxyStatus, socks, exit, sentence, hint });

/** The one error table: every failure that a user, a peer or a program can be told of. */
export const failures = {
  // usage
  ERR_USAGE: failure(
    400,
    undefined,
    1,
    2,
    'The command line or option is not understood.',
    'bauta COMMAND --help',
  ),
  ERR_LINK: failure(
    400,
    undefined,
    1,
    2,
    'The access link is malformed.',
    'A link has the form https://NAME:PASSWORD@HOST:PORT/#pin=sha256-…',
  ),
  ERR_TEMPLATE: failure(
    400,
    undefined,
    1,
    2,
    'The URI template is not usable for this kind of tunnel.',
    'It needs {target_host} and {target_port} after the authority.',
  ),
  ERR_TARGET_SYNTAX: failure(
    400,
    'http_request_error',
    1,
    2,
    'The target is not a host and a port from 1 to 65535.',
    'HOST:PORT, or [IPV6]:PORT',
  ),
  ERR_OPEN_PROXY: failure(
    undefined,
    undefined,
    1,
    2,
    'No authentication on an address that others can reach.',
    'Set --user NAME:PASSWORD, listen on localhost, or add --open-to-everyone.',
  ),
  ERR_PORT_IN_USE: failure(
    undefined,
    undefined,
    1,
    2,
    'The port is in use by another process.',
    'Choose another with --listen HOST:PORT; a proxy that is stopping holds its port until it has ended.',
  ),
  ERR_PORT_PRIVILEGE: failure(
    undefined,
    undefined,
    1,
    2,
    'The port needs a privilege that this process lacks.',
    'Use a port from 1024 on, or: setcap cap_net_bind_service=+ep "$(command -v node)"',
  ),
  ERR_ADDRESS_UNAVAILABLE: failure(
    undefined,
    undefined,
    1,
    2,
    'The address to listen on is not an address of this machine.',
    'Choose another with --listen HOST:PORT.',
  ),
  ERR_CERTIFICATE_FILE: failure(
    undefined,
    undefined,
    1,
    2,
    'The certificate or key cannot be used.',
    'Both must be PEM and belong together.',
  ),
  ERR_STATE_DIR: failure(
    undefined,
    undefined,
    1,
    2,
    'The state directory cannot be read or written.',
    'Choose another with --state-dir DIR.',
  ),
  ERR_NATIVE_ENGINE: failure(
    undefined,
    undefined,
    1,
    2,
    'The native engine is missing or was built for another platform.',
    'npm run build:native',
  ),
  // unreachable
  ERR_PROXY_UNREACHABLE: failure(
    502,
    'destination_unavailable',
    4,
    3,
    'The proxy cannot be reached.',
    'bauta doctor LINK',
  ),
  ERR_PROXY_TIMEOUT: failure(
    504,
    'connection_timeout',
    4,
    3,
    'The proxy did not answer in time.',
    'bauta doctor LINK',
  ),
  ERR_PROXY_NAME: failure(
    502,
    'dns_error',
    4,
    3,
    "The proxy's name cannot be resolved.",
    'Check the host in the link.',
  ),
  ERR_UDP_BLOCKED: failure(
    502,
    'connection_timeout',
    4,
    3,
    'UDP to the proxy is blocked here, TCP works.',
    'Nothing to do: HTTP/2 is used. To skip the attempt: --versions 2,1',
  ),
  ERR_PROXY_PROTOCOL: failure(
    502,
    'http_protocol_error',
    1,
    3,
    'The proxy broke the protocol.',
    'bauta doctor LINK',
  ),
  ERR_VERSION_UNSUPPORTED: failure(
    502,
    'http_protocol_error',
    1,
    3,
    'The proxy cannot carry this tunnel over any of the HTTP versions tried.',
    'bauta doctor LINK',
  ),
  ERR_CONNECTION_LOST: failure(502, 'connection_terminated', 1, 3, 'The connection to the proxy was lost.'),
  ERR_TUNNEL_RESET: failure(502, 'connection_terminated', 1, 3, 'The tunnel was reset by the other side.'),
  // identity
  ERR_CERTIFICATE_UNKNOWN: failure(
    502,
    'tls_certificate_error',
    1,
    4,
    "The proxy's certificate is signed by nobody known here.",
    'If it is yours, put its pin into the link: #pin=PIN',
  ),
  ERR_CERTIFICATE_NAME: failure(
    502,
    'tls_certificate_error',
    1,
    4,
    "The proxy's certificate is for another name.",
    'Check the host in the link.',
  ),
  ERR_CERTIFICATE_EXPIRED: failure(
    502,
    'tls_certificate_error',
    1,
    4,
    "The proxy's certificate has expired or is not valid yet.",
    'Check the clock of this machine.',
  ),
  ERR_PIN_MISMATCH: failure(
    502,
    'tls_certificate_error',
    1,
    4,
    "The proxy's public key is not the pinned one.",
    'Somebody may be in between. Ask the operator for a new link.',
  ),
  ERR_TLS: failure(
    502,
    'tls_protocol_error',
    1,
    4,
    'The TLS handshake with the proxy failed.',
    'bauta doctor LINK',
  ),
  // credentials
  ERR_CREDENTIALS: failure(
    401,
    undefined,
    2,
    5,
    'The proxy refused the name or the password.',
    'Check the link.',
  ),
  // policy
  ERR_TARGET_REFUSED: failure(
    403,
    'destination_ip_prohibited',
    2,
    6,
    'The proxy does not connect to this address.',
    'An operator can allow it: bauta proxy --allow-target CIDR',
  ),
  ERR_TARGET_DENIED: failure(
    403,
    'http_request_denied',
    2,
    6,
    "The proxy's rules refuse this target.",
    'bauta proxy --check TARGET explains why.',
  ),
  ERR_TOO_MANY: failure(
    429,
    'connection_limit_reached',
    1,
    6,
    'A limit on connections, tunnels or requests is reached.',
    'Try again later.',
  ),
  // target
  ERR_TARGET_NAME: failure(502, 'dns_error', 4, 7, "The target's name cannot be resolved."),
  ERR_TARGET_NAME_TIMEOUT: failure(
    504,
    'dns_timeout',
    4,
    7,
    "The name server did not answer for the target's name.",
  ),
  ERR_TARGET_UNREACHABLE: failure(502, 'destination_ip_unroutable', 3, 7, 'There is no route to the target.'),
  ERR_TARGET_CLOSED: failure(502, 'connection_refused', 5, 7, 'The target has closed the port.'),
  ERR_TARGET_TIMEOUT: failure(504, 'connection_timeout', 6, 7, 'The target did not answer in time.'),
  ERR_PORTS_EXHAUSTED: failure(
    503,
    'connection_limit_reached',
    1,
    7,
    'The proxy has no local port or descriptor left.',
    'Try again later; an operator can raise ulimit -n or net.ipv4.ip_local_port_range.',
  ),
  // the rest
  ERR_PAYLOAD_TOO_LARGE: failure(
    undefined,
    undefined,
    1,
    1,
    'The payload is larger than a UDP packet can be.',
  ),
  ERR_NOT_FOUND: failure(404, 'http_request_error', 7, 1, 'There is nothing at this path.'),
  ERR_PROTOCOL_UNSUPPORTED: failure(501, 'http_request_error', 7, 1, 'This kind of tunnel is not offered.'),
  ERR_REQUEST_MALFORMED: failure(400, 'http_request_error', 1, 1, 'The request is malformed.'),
  ERR_LOOP: failure(
    508,
    'proxy_loop_detected',
    1,
    6,
    'The request came back to a proxy that it had come through before.',
    'An operator must correct the --via of one of the proxies.',
  ),
  ERR_HOP_CREDENTIALS: failure(
    502,
    'proxy_configuration_error',
    1,
    6,
    "The proxy's next hop refuses the proxy's own credentials.",
    'An operator must correct the link of --via.',
  ),
  ERR_DRAINING: failure(
    503,
    'proxy_internal_response',
    1,
    1,
    'The proxy is shutting down.',
    'Try again in a moment.',
  ),
  ERR_CLOSED: failure(undefined, undefined, 1, 1, 'It was closed here.'),
  ERR_ABORTED: failure(undefined, undefined, 1, 1, 'The operation was aborted by its signal.'),
  ERR_TIMEOUT: failure(504, 'connection_timeout', 6, 1, 'The operation took longer than its time limit.'),
  ERR_UDP_BUFFERS: failure(
    undefined,
    undefined,
    1,
    1,
    'The system allows only small UDP buffers: expect loss under load.',
    'sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=4194304',
  ),
  ERR_INTERNAL: failure(
    500,
    'proxy_internal_error',
    1,
    1,
    'A defect in bauta.',
    'Please report it with the lines above.',
  ),
} as const satisfies Record<string, Failure>;

/** Stable codes: none is renamed or given another meaning. */
export type ErrorCode = keyof typeof failures;
