import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import { createFakePair } from '../../../src/http/fake/pair.js';
import type { FakeVersion } from '../../../src/http/fake/session.js';
import type { Implementation } from './pair.js';
import { tunnelStreamConformance } from './suite.js';

const fake = (name: string, version: FakeVersion, nativeDatagrams: boolean): Implementation => ({
  name,
  supports: {
    nativeDatagrams,
    halfClose: true,
    multiplex: true,
    resetCodes: true,
    connectKind: true,
    earlyContent: true,
    ping: true,
    breakable: true,
    mtuChange: true,
    streamLimit: true,
  },
  async createPair({ accept, client, maxStreams }) {
    const clock = createVirtualClock();
    const pair = createFakePair({
      clock,
      accept,
      client,
      version,
      nativeDatagrams,
      ...(maxStreams === undefined ? {} : { maxStreams }),
    });
    let broken = false;
    return {
      client: pair.client,
      settle: () => clock.advanceAsync(broken ? 10_000 : 10),
      breakConnection() {
        broken = true;
        pair.cut();
      },
      stopPeer: pair.stopPeer,
      shrinkMtu: () => pair.set({ mtu: 1250 }),
      async close() {
        const closing = pair.client.close();
        await clock.advanceAsync(10);
        await closing;
      },
    };
  },
});

tunnelStreamConformance(fake('fake', 'h3', true));
tunnelStreamConformance(fake('fake with capsules', 'h2', false));
