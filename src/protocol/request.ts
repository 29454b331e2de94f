import type { Fields } from './fields.js';

/**
 * A request as every version says it:
 * - `connect`: classic CONNECT, authority only (RFC 9110 section 9.3.6);
 * - `extended`: extended CONNECT (RFC 8441, RFC 9220), and an HTTP/1.1 `GET` with `Upgrade`;
 * - `plain`: anything else.
 */
export type RequestHead =
  | { readonly kind: 'connect'; readonly authority: string; readonly fields: Fields }
  | {
      readonly kind: 'extended';
      readonly protocol: string;
      readonly scheme: string;
      readonly authority: string;
      readonly path: string;
      readonly fields: Fields;
    }
  | {
      readonly kind: 'plain';
      readonly method: string;
      readonly scheme: string;
      readonly authority: string;
      readonly path: string;
      readonly fields: Fields;
    };

/** A response head. An HTTP/1.1 101 to an accepted upgrade is presented as 200. */
export interface ResponseHead {
  readonly status: number;
  readonly fields: Fields;
}
