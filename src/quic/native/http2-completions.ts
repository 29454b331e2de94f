import type { EngineContext } from './context.js';
import type { NativeHttp2Session } from './http2-session.js';
import { completion } from './records.js';

/** Tells the record of this kind that begins at this word of the arena to the session that it concerns. */
export function tellSession(
  context: EngineContext,
  session: NativeHttp2Session,
  kind: number,
  at: number,
): void {
  const { arena, reader } = context;
  const { words, bytes } = arena;
  const stream = words[at + 2] as number;
  switch (kind) {
    case completion.http2Headers: {
      const flags = words[at + 3] as number;
      const start = (at + 5) * 4;
      const block = bytes.subarray(start, start + (words[at + 4] as number));
      session.headersTold(stream, block, (flags & 1) !== 0, (flags & 2) !== 0);
      return;
    }
    case completion.http2End:
      session.peerEnded(stream);
      return;
    case completion.http2Reset:
      session.peerReset(stream, words[at + 3] as number);
      return;
    case completion.http2Sent:
      session.sent(stream);
      return;
    case completion.http2Settings: {
      const values: Record<number, number> = {};
      const count = words[at + 2] as number;
      for (let pair = 0; pair < count; pair++) {
        values[words[at + 3 + 2 * pair] as number] = words[at + 4 + 2 * pair] as number;
      }
      session.settingsTold(values);
      return;
    }
    case completion.http2Pong: {
      const start = (at + 3) * 4;
      session.pong(bytes.subarray(start, start + 8));
      return;
    }
    case completion.http2Goaway:
      reader.seek(at + 2);
      session.wentAway(reader.word(), reader.word(), reader.text());
      return;
    case completion.http2Failed:
      reader.seek(at + 2);
      session.failed(reader.word(), reader.text());
      return;
  }
}
