import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startTunnelBeside } from './tunnel-beside.js';
import { plainPost, startUpload } from './uploads.js';

const settings = { timeout: 120_000 };

describe('uploads that nobody wants', { ...settings, timeout: 600_000 }, () => {
  for (const version of ['h3', 'h2'] as const) {
    test(
      `over ${version} 300 of a stranger cost the proxy no memory, and the tunnel beside runs on`,
      settings,
      async (t) => {
        const { proxy, connection, tunnel } = await startTunnelBeside(version);
        const before = (await proxy.standing()).resident;
        const uploads = Array.from({ length: 300 }, () => startUpload(connection, plainPost, 2 << 20));
        let most = 0;
        for (let look = 0; look < 30; look++) {
          tunnel.sendText(`look ${look}`);
          assert.equal(String(await tunnel.next()), `look ${look}`);
          const { rss } = await proxy.memory();
          most = Math.max(most, rss);
          await delay(50);
        }
        const answered = uploads.filter(({ status }) => status === 405).length;
        const over = uploads.filter(({ outcome }) => outcome !== undefined).length;
        t.diagnostic(
          `resident ${(before / 1e6).toFixed(0)} MB before, at most ${(most / 1e6).toFixed(0)} MB; ` +
            `${answered} answered, ${over} over`,
        );
        assert.equal(answered, 300);
        assert.equal(over, 300);
        assert.ok(most < before + 40e6, `${most - before} bytes more`);
        await connection.close();
      },
    );
  }
});
