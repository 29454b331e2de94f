import type { SideEnd } from '../tunnel/side-end.js';
import type { ByteSideHandler } from '../tunnel/tcp/byte-side.js';

/** Keeps what one of several attempts tells until it is known that it is the one that counts. */
export interface LateHandler {
  /** For the attempt. */
  readonly handler: ByteSideHandler;
  /** This attempt counts: what it has told so far is told now, and the rest as it comes. */
  adopt(): void;
}

/** Nothing is granted before the attempt counts, so there is only an end and a close to keep. */
export function createLateHandler(target: ByteSideHandler): LateHandler {
  let adopted = false;
  let ended = false;
  let closed: SideEnd | undefined;
  return {
    handler: {
      data: (bytes, start, end) => target.data(bytes, start, end),
      end() {
        if (adopted) target.end();
        else ended = true;
      },
      drain: () => target.drain(),
      closed(how) {
        if (adopted) target.closed(how);
        else closed = how;
      },
    },
    adopt() {
      adopted = true;
      if (ended) target.end();
      if (closed) target.closed(closed);
    },
  };
}
