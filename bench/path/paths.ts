/** What `impair.py` does to packets, the same in both directions. */
export interface PathKind {
  readonly name: string;
  readonly says: string;
  /** Milliseconds, one way. */
  readonly delay: number;
  /** Milliseconds, added or taken off. */
  readonly jitter: number;
  /** Jitter of each packet by itself, so that they overtake each other. */
  readonly reorder: boolean;
  /** Percent of the packets of each direction. */
  readonly loss: number;
  /** The bottleneck: Mbit/s, and what may wait there in bytes. */
  readonly rate: number;
  readonly queue: number;
}

const bandwidthDelay = (megabits: number, milliseconds: number): number =>
  Math.round((megabits * 1e6 * milliseconds) / 8e3);

const plain = {
  delay: 25,
  jitter: 0,
  reorder: false,
  loss: 0,
  // Faster would measure the impairment, a program in Python.
  rate: 100,
  queue: bandwidthDelay(100, 50),
} as const;

export const pathKinds: readonly PathKind[] = [
  { ...plain, name: 'loss', says: '50 ms, 1 % loss in each direction, 100 Mbit/s', loss: 1 },
  { ...plain, name: 'jitter', says: '50 ms +- 20 ms in order, 100 Mbit/s', jitter: 10 },
  // A packet overtakes those that were sent up to 4 ms, or 20 ms, before it.
  { ...plain, name: 'reorder-4', says: '50 ms +- 4 ms, each packet by itself', jitter: 2, reorder: true },
  { ...plain, name: 'reorder-20', says: '50 ms +- 20 ms, each packet by itself', jitter: 10, reorder: true },
  {
    ...plain,
    name: 'bottleneck',
    says: '50 ms, 20 Mbit/s, a queue of one bandwidth-delay product',
    rate: 20,
    queue: bandwidthDelay(20, 50),
  },
];
