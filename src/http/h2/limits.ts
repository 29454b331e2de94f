import { H2_FRAME_SIZE, h2SettingIds } from '../../protocol/h2-frame.js';
import type { Http2Settings } from '../../quic/http2-session.js';
import type { RateLimit } from '../rate-limit.js';

/** Limits of an HTTP/2 connection; sizes in bytes, times in milliseconds. */
export interface H2Limits {
  /** Streams that the peer may have open. */
  readonly maxStreams: number;
  /** Receive window of a stream: the most that one stalled stream holds in memory. */
  readonly streamWindow: number;
  /** The same until a quarter of this was wanted of the stream. */
  readonly firstWindow: number;
  /** Receive window of the connection, wide, because a stalled stream gives its share back at once. */
  readonly connectionWindow: number;
  /**
   * Longest frame taken, at least 16 KiB: two of those as one cost less on both sides, and hold up the sender's other
   * streams as long as both.
   */
  readonly frameSize: number;
  /** Largest field section taken; a larger one is answered with 431. */
  readonly fieldSectionSize: number;
  /**
   * Requests that a client gives up before their response, or that have to be refused or are malformed
   * (CVE-2023-44487). More make the server drain the connection, and as many again close it with ENHANCE_YOUR_CALM.
   */
  readonly resets: RateLimit;
}

const resets: RateLimit = { burst: 4_000, perSecond: 200 };

export const serverLimits: H2Limits = {
  maxStreams: 1_024,
  streamWindow: 256 * 1024,
  firstWindow: 64 * 1024,
  connectionWindow: 64 * 1024 * 1024,
  frameSize: 32 * 1024,
  fieldSectionSize: 32 * 1024,
  resets,
};

export const clientLimits: H2Limits = {
  maxStreams: 1_024,
  streamWindow: 1024 * 1024,
  firstWindow: 1024 * 1024,
  connectionWindow: 64 * 1024 * 1024,
  // Downloads by one stream were slower with longer ones.
  frameSize: H2_FRAME_SIZE,
  fieldSectionSize: 64 * 1024,
  resets,
};

/** What both sides say in their first SETTINGS. */
export function settingsOf(limits: H2Limits): Http2Settings {
  return {
    [h2SettingIds.MAX_CONCURRENT_STREAMS]: limits.maxStreams,
    [h2SettingIds.INITIAL_WINDOW_SIZE]: Math.min(limits.firstWindow, limits.streamWindow),
    [h2SettingIds.MAX_FRAME_SIZE]: limits.frameSize,
    [h2SettingIds.MAX_HEADER_LIST_SIZE]: limits.fieldSectionSize,
  };
}

/**
 * The longest encoded header block that is read at all. A section up to twice the limit is decoded, and its stream
 * answered; beyond that the connection ends.
 */
export function headerBlockSize(limits: H2Limits): number {
  return 2 * limits.fieldSectionSize;
}
