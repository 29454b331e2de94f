import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteSplice } from '../../../src/quic/byte-splice.js';
import type { TcpSocket } from '../../../src/quic/tcp-socket.js';
import { askForSplice } from '../../../src/tunnel/tcp/ask-for-splice.js';
import type { ByteSide } from '../../../src/tunnel/tcp/byte-side.js';

const splice: ByteSplice = { statistics: () => ({ bytesIn: 0, bytesOut: 0 }) };
const socket = {} as TcpSocket;

/** Asks an engine that answers so, one answer an attempt; `no` is that it cannot be asked. */
function asked(answers: readonly (ByteSplice | undefined | 'no')[]) {
  const left = [...answers];
  const waiting: (() => void)[] = [];
  const told: (ByteSplice | undefined)[] = [];
  let looks = 0;
  const side: Pick<ByteSide, 'splice'> = {
    splice(far, begun) {
      assert.equal(far, socket);
      const answer = left.shift();
      if (answer === 'no') return false;
      waiting.push(() => begun(answer));
      return true;
    },
  };
  const far = (): TcpSocket => {
    looks += 1;
    return socket;
  };
  const result = askForSplice(side as ByteSide, far, (made) => told.push(made));
  for (let answer = waiting.shift(); answer; answer = waiting.shift()) answer();
  return { result, told, looks, left: left.length };
}

test('a splice that is refused because more had come is asked for again, with a new look at the far side', () => {
  assert.deepEqual(asked([splice]), { result: true, told: [splice], looks: 1, left: 0 });
  assert.deepEqual(asked([undefined, splice]), { result: true, told: [splice], looks: 2, left: 0 });
  assert.deepEqual(asked([undefined, 'no']), { result: true, told: [undefined], looks: 2, left: 0 });
  assert.deepEqual(asked(['no']), { result: false, told: [], looks: 1, left: 0 });
});

test('a side that never stops speaking is asked for three times', () => {
  const refusals = Array<undefined>(10).fill(undefined);
  assert.deepEqual(asked(refusals), { result: true, told: [undefined], looks: 3, left: 7 });
});

test('without a far side, or a side that can be spliced, nothing is asked', () => {
  const never = (): void => assert.fail('it cannot begin');
  assert.equal(
    askForSplice({} as ByteSide, () => socket, never),
    false,
  );
  const side = { splice: () => assert.fail('there is nothing to splice with') } as unknown as ByteSide;
  assert.equal(
    askForSplice(side, () => undefined, never),
    false,
  );
});
