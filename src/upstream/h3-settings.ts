import type { H3Settings } from '../protocol/h3-settings.js';
import type { UpstreamOrigin } from './target.js';

/**
 * The settings of an HTTP/3 dial: extended CONNECT (RFC 9220) and HTTP datagrams (RFC 9297) are enabled, so
 * that one connection can carry UDP, IP and TCP tunnels; what the user sets wins.
 */
export function h3SettingsOf(user: UpstreamOrigin['h3Settings']): Partial<H3Settings> {
  return { enableConnectProtocol: true, h3Datagram: true, ...user };
}
