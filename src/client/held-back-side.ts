import type { SideEnd } from '../tunnel/side-end.js';
import type { ByteSideHandler } from '../tunnel/tcp/byte-side.js';

/** A handler that hears nothing until it is known whether it is told of the right side. */
export interface HeldBackSide {
  /** Give this to the side. No byte comes, as long as none is granted. */
  readonly handler: ByteSideHandler;
  /** It is the right one: tells what was held back, and all that follows at once. Without it nothing is told. */
  release(): void;
}

export function holdBack(handler: ByteSideHandler): HeldBackSide {
  let released = false;
  let ended = false;
  let drained = false;
  let over: SideEnd | undefined;
  return {
    handler: {
      data: (bytes, start, end) => handler.data(bytes, start, end),
      end() {
        if (released) handler.end();
        else ended = true;
      },
      drain() {
        if (released) handler.drain();
        else drained = true;
      },
      closed(how) {
        if (released) handler.closed(how);
        else over = how;
      },
    },
    release() {
      released = true;
      if (drained) handler.drain();
      if (ended) handler.end();
      if (over) handler.closed(over);
    },
  };
}
