import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { createDnsQuery } from '../../src/proxy/dns-query.js';

test('a query that gets lost is asked again well within the time for a name', {
  timeout: 120_000,
}, async () => {
  const server = createSocket('udp4');
  let queries = 0;
  server.on('message', (query, from) => {
    queries++;
    if (queries === 1) return;
    const answer = Buffer.from(query);
    // A refusal needs no record (RFC 1035 section 4.1.1).
    answer.writeUInt16BE(0x8185, 2);
    server.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  const began = performance.now();
  const answer = await createDnsQuery([`127.0.0.1:${server.address().port}`], 60_000)('a.test', 4);
  server.close();
  assert.deepEqual(answer, { kind: 'error', rcode: 'REFUSED' });
  const took = performance.now() - began;
  assert.ok(took < 45_000, `${Math.round(took)} ms`);
});
