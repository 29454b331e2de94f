/** How many streams the peer takes for open. */
export interface Slots {
  /** False while one more stream might be one too many. */
  hasRoom(limit: number | undefined): boolean;
  take(): void;
  /** A stream is over on this side; `limit` is the peer's. */
  free(limit: number | undefined): void;
}

/**
 * A peer counts a stream until it has seen its end itself. Near its limit a slot is therefore free only after
 * a PING behind the stream's end has come back; `ping` calls back then, and `freed` is told.
 */
export function createSlots(ping: (done: () => void) => void, freed: () => void): Slots {
  let taken = 0;
  let unconfirmed = 0;
  let asking = false;
  const ask = (): void => {
    const confirmed = unconfirmed;
    unconfirmed = 0;
    asking = true;
    ping(() => {
      asking = false;
      taken -= confirmed;
      if (unconfirmed > 0) ask();
      freed();
    });
  };
  return {
    hasRoom: (limit) => limit === undefined || taken < limit,
    take() {
      taken += 1;
    },
    free(limit) {
      if (limit === undefined || taken < limit * 0.75) {
        taken -= 1;
        return;
      }
      unconfirmed += 1;
      if (!asking) ask();
    },
  };
}
