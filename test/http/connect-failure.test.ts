import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapConnectError } from '../../src/http/connect-failure.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import { QuicConnectError, type QuicConnectFailure } from '../../src/quic/engine.js';
import type { CertificateProblem } from '../../src/quic/tls.js';

test('each failure of a QUIC connection has its public code and says why', () => {
  const pin = `sha256-${'A'.repeat(43)}`;
  const certificate = (problem: CertificateProblem): QuicConnectFailure => ({
    kind: 'certificate',
    problem,
    pin,
    reason: 'the reason',
  });
  const cases: [QuicConnectFailure, ErrorCode, RegExp][] = [
    [{ kind: 'timeout' }, 'ERR_PROXY_TIMEOUT', /in time/],
    [{ kind: 'aborted' }, 'ERR_ABORTED', /aborted/],
    [{ kind: 'unreachable', errno: 'ENETUNREACH' }, 'ERR_PROXY_UNREACHABLE', /ENETUNREACH/],
    [certificate('unknown-issuer'), 'ERR_CERTIFICATE_UNKNOWN', new RegExp(pin)],
    [certificate('name-mismatch'), 'ERR_CERTIFICATE_NAME', /the reason/],
    [certificate('expired'), 'ERR_CERTIFICATE_EXPIRED', /the reason/],
    [certificate('not-yet-valid'), 'ERR_CERTIFICATE_EXPIRED', /the reason/],
    [certificate('pin-mismatch'), 'ERR_PIN_MISMATCH', new RegExp(pin)],
    [certificate('revoked'), 'ERR_TLS', /the reason/],
    [certificate('malformed'), 'ERR_TLS', /the reason/],
    [certificate('other'), 'ERR_TLS', /the reason/],
    [{ kind: 'tls', alert: 120, reason: '' }, 'ERR_TLS', /no application protocol in common/],
    [{ kind: 'tls', alert: 116, reason: '' }, 'ERR_TLS', /client certificate is required/],
    [{ kind: 'tls', alert: 80, reason: 'internal' }, 'ERR_TLS', /alert 80: internal/],
    [{ kind: 'tls', alert: undefined, reason: 'torn' }, 'ERR_TLS', /torn/],
    [{ kind: 'refused', code: 2, reason: 'busy' }, 'ERR_PROXY_UNREACHABLE', /0x2: busy/],
    [{ kind: 'version' }, 'ERR_VERSION_UNSUPPORTED', /QUIC version/],
    [{ kind: 'engine', reason: 'a defect' }, 'ERR_INTERNAL', /a defect/],
  ];
  for (const [failure, code, message] of cases) {
    const error = mapConnectError(new QuicConnectError(failure));
    assert.equal(error.code, code);
    assert.match(error.message, message);
  }
  const unknown = mapConnectError(new QuicConnectError(certificate('unknown-issuer')));
  assert.ok(unknown.hint?.includes(`#pin=${pin}`));
});
