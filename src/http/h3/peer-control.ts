import { H3Error } from '../../protocol/h3-error.js';
import { createH3FrameParser, type H3FrameParser, h3FrameTypes } from '../../protocol/h3-frame.js';
import { decodeH3Settings, type H3Settings } from '../../protocol/h3-settings.js';

export interface PeerControlHandler {
  settings(settings: H3Settings): void;
  /** GOAWAY: from a server the first request stream that it will not process, from a client a push id. */
  goaway(id: number): void;
}

/** Reads the frames of the peer's control stream (RFC 9114 section 6.2.1); what it takes may throw `H3Error`. */
export function createPeerControl(role: 'client' | 'server', handler: PeerControlHandler): H3FrameParser {
  let lastGoaway = Number.POSITIVE_INFINITY;
  let maxPushId = -1;

  const goaway = (id: number): void => {
    // RFC 9114 section 7.2.6: a server names one of the client's request streams.
    if (role === 'client' && Number.isFinite(id) && id % 4 !== 0) {
      throw new H3Error('H3_ID_ERROR', `GOAWAY with stream ${id}, which is no request`);
    }
    // RFC 9114 section 5.2: a later one must not name a higher id.
    if (id > lastGoaway) throw new H3Error('H3_ID_ERROR', `GOAWAY goes up from ${lastGoaway} to ${id}`);
    lastGoaway = id;
    handler.goaway(id);
  };

  return createH3FrameParser(
    { stream: 'control', role, maxHeaders: 0 },
    {
      frame(_type, bytes, start, end) {
        handler.settings(decodeH3Settings(bytes, start, end));
      },
      id(type, id) {
        if (type === h3FrameTypes.GOAWAY) goaway(id);
        if (type !== h3FrameTypes.MAX_PUSH_ID) return;
        // RFC 9114 section 7.2.7: it never goes down. Nothing is pushed, so it has no other effect.
        if (id < maxPushId)
          throw new H3Error('H3_ID_ERROR', `MAX_PUSH_ID goes down from ${maxPushId} to ${id}`);
        maxPushId = id;
      },
    },
  );
}
