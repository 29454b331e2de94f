/** Asks of a running command from outside. */
export interface SignalHandlers {
  /** SIGTERM or SIGINT, the first time. */
  readonly stop: () => void;
  /** The same again: end at once. */
  readonly stopNow: () => void;
  /** SIGHUP. */
  readonly reload?: () => void;
}

/** Listens to the process's signals; returns what ends that. */
export function onSignals(handlers: SignalHandlers): () => void {
  let asked = false;
  const stop = (): void => {
    if (asked) handlers.stopNow();
    else {
      asked = true;
      handlers.stop();
    }
  };
  const reload = (): void => handlers.reload?.();
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (handlers.reload) process.on('SIGHUP', reload);
  return () => {
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
    process.off('SIGHUP', reload);
  };
}
