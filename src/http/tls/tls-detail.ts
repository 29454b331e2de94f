/** What a TLS handshake failed for, in words. */
export function tlsDetail(alert: number | undefined, reason: string): string {
  // RFC 7301 section 3.2 and RFC 8446 section 6.2.
  if (alert === 120) return 'no application protocol in common';
  if (alert === 116) return 'a client certificate is required';
  return alert === undefined ? reason : `alert ${alert}${reason && `: ${reason}`}`;
}
