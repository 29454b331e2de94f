import type { SubjectName } from './subjects.js';
import type { Transport } from './transfer.js';

/** One transfer: through what, over what, which way. */
export interface Case {
  readonly name: string;
  readonly subject: SubjectName;
  readonly transport: Transport;
  readonly direction: 'up' | 'down';
  readonly streams: number;
}

const subjects: readonly (readonly [SubjectName, readonly Transport[]])[] = [
  ['forwarder', ['plain']],
  ['socat', ['plain']],
  ['client-h3', ['plain']],
  ['client-h3-js', ['plain']],
  ['client-h2', ['plain']],
  ['client-h2-js', ['plain']],
  ['client-h1', ['plain']],
  ['client-h1-js', ['plain']],
  ['bauta', ['h3', 'h2', 'h1']],
  ['bauta-js', ['h3']],
  ['relay', ['h3']],
  ['relay-js', ['h3']],
  ['envoy', ['h3', 'h2', 'h1']],
  ['bare-node', ['h2', 'h1']],
];

/** Those that are compared stand beside each other. */
export const cases: readonly Case[] = (['down', 'up'] as const).flatMap((direction) =>
  [1, 8].flatMap((streams) =>
    (['plain', 'h3', 'h2', 'h1'] as const).flatMap((transport) =>
      subjects
        .filter(([, transports]) => transports.includes(transport))
        .map(
          ([subject]): Case => ({
            name: `${transport}-${direction}-${streams}-${subject}`,
            subject,
            transport,
            direction,
            streams,
          }),
        ),
    ),
  ),
);

/** Whose rows are compared with whose. */
export const comparedSubjects: Partial<Record<SubjectName, readonly SubjectName[]>> = {
  bauta: ['bauta-js', 'forwarder', 'socat', 'envoy', 'bare-node'],
  relay: ['relay-js', 'bauta'],
  'client-h3': ['client-h3-js'],
  'client-h2': ['client-h2-js'],
  'client-h1': ['client-h1-js'],
};

/** The cases that a row is compared with: the same way, the same number of streams. */
export const comparedWith = (one: Case, subject: SubjectName): Case | undefined =>
  cases.find(
    (other) =>
      other.subject === subject &&
      other.direction === one.direction &&
      other.streams === one.streams &&
      (other.transport === one.transport || other.transport === 'plain'),
  );

/** Cases whose names contain one of the parts, with what they are compared with. */
export function chooseCases(only: readonly string[], present: ReadonlySet<SubjectName>): Case[] {
  const wanted = new Set<Case>();
  for (const one of cases) {
    if (only.length > 0 && !only.some((part) => one.name.includes(part))) continue;
    wanted.add(one);
    for (const subject of comparedSubjects[one.subject] ?? []) {
      const other = comparedWith(one, subject);
      if (other) wanted.add(other);
    }
  }
  return cases.filter((one) => wanted.has(one) && present.has(one.subject));
}
