/** Values that no intermediary may put into a compression table (RFC 7541 section 7.1.3, RFC 9204 section 7.1.3). */
export const sensitiveFields: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
]);
