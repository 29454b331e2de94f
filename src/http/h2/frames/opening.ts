import { H2_WINDOW } from '../../../protocol/h2-frame.js';
import type { Http2Options } from '../../../quic/http2-session.js';
import { createFrameWriter, type FrameWriter } from './frame-writer.js';

type Opening = Pick<Http2Options, 'settings' | 'connectionWindow'>;

/** Writes what each side says first, behind a client's preface (RFC 9113 section 3.4). */
export function writeOpening(frames: FrameWriter, { settings, connectionWindow }: Opening): void {
  frames.settings(settings);
  if (connectionWindow > H2_WINDOW) frames.windowUpdate(0, connectionWindow - H2_WINDOW);
}

/** The same as bytes. */
export function openingBytes(opening: Opening): Uint8Array {
  const written: Uint8Array[] = [];
  writeOpening(
    createFrameWriter((bytes, start, end) => written.push(bytes.slice(start, end))),
    opening,
  );
  return Buffer.concat(written);
}
