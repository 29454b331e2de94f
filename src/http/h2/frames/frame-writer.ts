import {
  encodeH2Settings,
  H2_FRAME_HEADER,
  h2Flags,
  h2FrameTypes,
  writeH2FrameHeader,
  writeUint32,
} from '../../../protocol/h2-frame.js';

type Write = (bytes: Uint8Array, start: number, end: number) => void;

/** Writes frames (RFC 9113 section 6). */
export interface FrameWriter {
  /** The header of a DATA frame whose content follows. */
  data(stream: number, length: number, endStream: boolean): void;
  /** HEADERS, and CONTINUATION for what does not fit into a frame of `largest` bytes. */
  headers(stream: number, block: Uint8Array, endStream: boolean, largest: number): void;
  resetStream(stream: number, code: number): void;
  settings(values: { readonly [id: number]: number }): void;
  acknowledgeSettings(): void;
  ping(payload: Uint8Array, acknowledges: boolean): void;
  goaway(lastStream: number, code: number, debug: string): void;
  windowUpdate(stream: number, increment: number): void;
}

const EMPTY = new Uint8Array(0);

export function createFrameWriter(write: Write): FrameWriter {
  const scratch = new Uint8Array(H2_FRAME_HEADER + 8);
  const frame = (type: number, flags: number, stream: number, payload: Uint8Array): void => {
    writeH2FrameHeader(scratch, 0, payload.length, type, flags, stream);
    write(scratch, 0, H2_FRAME_HEADER);
    if (payload.length > 0) write(payload, 0, payload.length);
  };
  const ofFourBytes = (type: number, stream: number, value: number): void => {
    writeH2FrameHeader(scratch, 0, 4, type, 0, stream);
    writeUint32(scratch, H2_FRAME_HEADER, value);
    write(scratch, 0, H2_FRAME_HEADER + 4);
  };

  return {
    data(stream, length, endStream) {
      writeH2FrameHeader(scratch, 0, length, h2FrameTypes.DATA, endStream ? h2Flags.END_STREAM : 0, stream);
      write(scratch, 0, H2_FRAME_HEADER);
    },
    headers(stream, block, endStream, largest) {
      let type: number = h2FrameTypes.HEADERS;
      let flags = endStream ? h2Flags.END_STREAM : 0;
      for (let at = 0; ; at += largest) {
        const part = block.subarray(at, at + largest);
        const last = at + largest >= block.length;
        frame(type, last ? flags | h2Flags.END_HEADERS : flags, stream, part);
        if (last) return;
        type = h2FrameTypes.CONTINUATION;
        flags = 0;
      }
    },
    resetStream: (stream, code) => ofFourBytes(h2FrameTypes.RST_STREAM, stream, code),
    settings: (values) => frame(h2FrameTypes.SETTINGS, 0, 0, encodeH2Settings(values)),
    acknowledgeSettings: () => frame(h2FrameTypes.SETTINGS, h2Flags.ACK, 0, EMPTY),
    ping: (payload, acknowledges) => frame(h2FrameTypes.PING, acknowledges ? h2Flags.ACK : 0, 0, payload),
    goaway(lastStream, code, debug) {
      const text = Buffer.from(debug, 'utf8');
      const payload = new Uint8Array(8 + text.length);
      writeUint32(payload, 0, lastStream);
      writeUint32(payload, 4, code);
      payload.set(text, 8);
      frame(h2FrameTypes.GOAWAY, 0, 0, payload);
    },
    windowUpdate: (stream, increment) => ofFourBytes(h2FrameTypes.WINDOW_UPDATE, stream, increment),
  };
}
