import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { openOne } from './fixture/pool-example.js';
import { openHop } from './real-hop.js';

const options = { timeout: 120_000 };
const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

describe('docs/upstream.md', { ...options, timeout: 600_000 }, () => {
  test('its example is the one that is tested', () => {
    const source = read('test/upstream/fixture/pool-example.ts');
    const example = source.slice(source.indexOf('// example\n') + 11, source.indexOf('// end'));
    const shown = example.replaceAll("'../../../src/upstream/index.js'", "'bauta/upstream'");
    assert.ok(read('docs/upstream.md').includes(shown), shown);
  });

  test('R1: its example opens a stream on whatever version wins', options, async () => {
    const hop = await openHop();
    hop.onRequest = (stream) => {
      stream.respond({ status: 200, fields: [] });
      const text = Buffer.from('hello');
      stream.write(text, 0, text.length);
      stream.end();
      const none = (): void => undefined;
      return { data: none, end: none, datagram: none, drain: none, closed: none };
    };
    assert.equal(await openOne(hop.origin), 'status 200, hello');
    await hop.close();
  });

  test('it names every kind of failure', () => {
    const kinds = [...read('src/upstream/upstream-error.ts').matchAll(/readonly kind: '(\w+)'/g)].map(
      (m) => m[1],
    );
    assert.ok(kinds.length > 10);
    for (const kind of kinds) assert.ok(read('docs/upstream.md').includes(`\`${kind}\``), kind);
  });
});
