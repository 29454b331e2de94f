import type { CongestionGauge } from './congestion.js';
import type { Owner } from './owner.js';

/** A connection to choose. */
export interface Candidate {
  readonly owner: Owner;
  readonly congestion: CongestionGauge;
}

/** A connection that loses a tenth of what it sends counts as twice as loaded. */
const CONGESTION_WEIGHT = 10;

/** The candidate with room that has the least load, a congested one counting for more; undefined without room. */
export function leastLoaded<T extends Candidate>(candidates: Iterable<T>): T | undefined {
  let best: T | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (!candidate.owner.hasRoom) continue;
    candidate.congestion.refresh();
    const load = (candidate.owner.load + 1) * (1 + CONGESTION_WEIGHT * candidate.congestion.value);
    if (load >= least) continue;
    best = candidate;
    least = load;
  }
  return best;
}
