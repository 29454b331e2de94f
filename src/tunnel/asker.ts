/** Somebody who waits for an answer, and may go away before it comes. */
export interface Asking {
  /** Aborts when the asker is gone. Made when it is first looked at: it costs more than most of an answer. */
  readonly signal: AbortSignal;
}

/** The reason of the signal; the default one would be made anew for each, with a stack. */
const GONE = 'nobody waits for it any more';

/** A class because there are thousands. */
export class Asker implements Asking {
  #gone = false;
  #controller: AbortController | undefined;

  get gone(): boolean {
    return this.#gone;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#gone) this.#controller.abort(GONE);
    }
    return this.#controller.signal;
  }

  leave(): void {
    this.#gone = true;
    this.#controller?.abort(GONE);
  }
}
