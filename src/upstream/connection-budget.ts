/** Who wants connections out of a budget. */
export interface BudgetUser {
  /** A connection may be opened now. */
  roomInPool(): void;
}

/** The connections that all keys of a pool may have together. */
export interface ConnectionBudget {
  readonly used: number;
  /** Takes one; false when none is left, and then `user` is told when there is, each in its turn. */
  take(user: BudgetUser): boolean;
  giveBack(): void;
  /** `user` wants none any more. */
  forget(user: BudgetUser): void;
}

/** `reclaim` gives an unused connection of another key back, and tells whether it did. */
export function createConnectionBudget(limit: number, reclaim: () => boolean): ConnectionBudget {
  const waiting = new Set<BudgetUser>();
  let used = 0;
  return {
    get used() {
      return used;
    },
    take(user) {
      // Those who wait come first.
      const first = waiting.size === 0 || waiting.values().next().value === user;
      if (used < limit ? first : reclaim() && used < limit) {
        waiting.delete(user);
        used += 1;
        return true;
      }
      waiting.add(user);
      return false;
    },
    giveBack() {
      used -= 1;
      const next = waiting.values().next().value;
      if (next) next.roomInPool();
    },
    forget(user) {
      if (!waiting.delete(user) || used >= limit) return;
      waiting.values().next().value?.roomInPool();
    },
  };
}
