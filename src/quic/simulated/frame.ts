import type { QuicCloseReason } from '../connection.js';

/** What travels on a stream of a simulated connection. */
export type StreamFrame =
  | { readonly type: 'stream'; readonly id: number; readonly bytes: Uint8Array; readonly fin: boolean }
  | { readonly type: 'reset'; readonly id: number; readonly code: number }
  | { readonly type: 'stop'; readonly id: number; readonly code: number }
  /** Room for so many more bytes on the stream. */
  | { readonly type: 'room'; readonly id: number; readonly bytes: number }
  /** All of the stream's bytes and its end have arrived. */
  | { readonly type: 'acknowledged'; readonly id: number };

/** What travels between the two ends of a simulated connection. */
export type Frame =
  | StreamFrame
  /** Room for so many more bytes on all streams together. */
  | { readonly type: 'connection-room'; readonly bytes: number }
  | { readonly type: 'max-streams'; readonly bidirectional: boolean; readonly limit: number }
  | { readonly type: 'ping' }
  | { readonly type: 'close'; readonly reason: QuicCloseReason };

/** RFC 9000 section 2.1: the two low bits of a stream id. */
export const streamId = (ordinal: number, byClient: boolean, bidirectional: boolean): number =>
  ordinal * 4 + (byClient ? 0 : 1) + (bidirectional ? 0 : 2);
export const ordinalOf = (id: number): number => Math.floor(id / 4);
export const isByClient = (id: number): boolean => id % 2 === 0;
export const isBidirectional = (id: number): boolean => id % 4 < 2;
