import type { Random } from '../../src/quic/simulated/random.js';
import type { FakeDial } from './fake-driver.js';
import type { FakeConditions, FakeTransport } from './fake-transport.js';

/** A whole number from 0 up to `below`. */
export function whole(random: Random, below: number): number {
  return Math.floor(random() * below);
}

export function oneOf<T>(random: Random, list: readonly T[]): T | undefined {
  return list[whole(random, list.length)];
}

/** What a connection may be like; most of them are well. */
function conditions(random: Random): Partial<FakeConditions> {
  return {
    ...(random() < 0.3 ? { allowed: 5 + whole(random, 40) } : {}),
    ...(random() < 0.2 ? { settings: { maxStreams: 1 + whole(random, 60) } } : {}),
    cancelThrows: random() < 0.1,
    unregisterThrows: random() < 0.1,
    closeThrows: random() < 0.05,
    closeHangs: random() < 0.05,
    ...(random() < 0.05 ? { registerThrows: new Error('register fails') } : {}),
    ...(random() < 0.05 ? { openThrows: new Error('open fails') } : {}),
    ...(random() < 0.2 ? { registering: Promise.resolve() } : {}),
  };
}

/** What becomes of a dial; most of them succeed. */
export function randomDial(random: Random): FakeDial {
  const chance = random();
  if (chance < 0.1) return { kind: 'fail', after: whole(random, 100), error: new Error('refused') };
  if (chance < 0.15) return { kind: 'never' };
  if (chance < 0.17) return { kind: 'never', deaf: true };
  return { kind: 'up', after: whole(random, 150), conditions: conditions(random) };
}

/** Something goes wrong with a connection. */
export function randomFault(random: Random, transport: FakeTransport): string {
  const chance = whole(random, 7);
  switch (chance) {
    case 0:
      transport.lose({ reason: 'reset' });
      return 'reset';
    case 1:
      transport.peer.drain();
      return 'GOAWAY';
    case 2:
      transport.conditions.silent = true;
      return 'silent loss';
    case 3:
      transport.peer.close();
      return 'closed by the peer';
    case 4:
      transport.changeSettings({ maxStreams: whole(random, 50) });
      return 'later SETTINGS';
    case 5:
      transport.allow(undefined);
      return 'more streams allowed';
    default:
      for (const stream of transport.peer.streams.slice(-5)) stream.reset('refused');
      return 'refused';
  }
}
