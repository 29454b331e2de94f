import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamOutcome, TunnelStream } from '../../../src/http/tunnel-stream.js';
import { newestConnectTcpCapsules } from '../../../src/protocol/connect-tcp.js';
import { codeOf, type HttpVersion, type ResetReason } from '../../../src/protocol/reset-reason.js';
import { createRecorder, type Recorder } from '../../http/conformance/recorder.js';
import { type ConnectTcpVector, connectTcpVectors } from '../../protocol/connect-tcp-vectors.js';
import { ask, newest, plenty, tcpTunnelPair } from './tcp-tunnel-pair.js';
import { until, type World, worlds } from './worlds.js';

const limit = { timeout: 120_000 };

/** What the specifications say, written out once more: RFC 9114 section 8.1, RFC 9113 section 7, RFC 9297. */
const wireCodes: Partial<Record<ResetReason, { readonly h3: number; readonly h2: number }>> = {
  'connect-error': { h3: 0x10f, h2: 0xa },
  'message-error': { h3: 0x10e, h2: 0x1 },
  'datagram-error': { h3: 0x33, h2: 0x1 },
};

const head = {
  kind: 'extended',
  protocol: 'connect-tcp-12',
  scheme: 'https',
  authority: 'proxy.test',
  path: '/.well-known/masque/tcp/192.0.2.6/443/',
  fields: [['capsule-protocol', '?1']],
} as const;

function play(stream: TunnelStream, { content, ends }: ConnectTcpVector): void {
  stream.write(content, 0, content.length);
  if (ends) stream.end();
}

/** What the one who broke the rules sees of it. */
function assertAborted(outcome: StreamOutcome | undefined, reason: ResetReason, version: HttpVersion): void {
  assert.equal(outcome?.kind, 'reset', JSON.stringify(outcome));
  if (outcome?.kind !== 'reset') return;
  assert.equal(outcome.by, 'peer');
  assert.equal(outcome.code, version === 'h1' ? undefined : wireCodes[reason]?.[version]);
}

/** Content that a peer sent to the tested side, without its framing. */
function payloadOf(seen: Recorder, final: boolean): string {
  const { data, finalData } = newestConnectTcpCapsules;
  const hex = seen.content().toString('hex');
  const prefix = (type: number): string => ((type | 0x80000000) >>> 0).toString(16);
  const end = final ? `${prefix(finalData)}00` : '';
  assert.ok(hex.endsWith(end), hex);
  assert.ok(hex.startsWith(prefix(data)), hex);
  return Buffer.from(hex.slice(10, hex.length - end.length), 'hex').toString();
}

async function towardsTheProxy(world: World, vector: ConnectTcpVector): Promise<void> {
  const pair = await tcpTunnelPair(world, newest);
  try {
    const seen = createRecorder();
    const stream = pair.client.open(head, seen);
    stream.grant(plenty);
    await pair.until(() => seen.head?.status === 200 && pair.targets.length === 1, 'the answer');
    assert.ok(seen.head?.fields.some(([name, value]) => name === 'capsule-protocol' && value === '?1'));
    const target = pair.target();
    play(stream, vector);
    if (vector.reason === undefined) {
      await pair.until(() => target.text().length === vector.bytes.length, 'the bytes');
      await pair.until(() => target.ended === vector.final, 'the FIN');
      target.tell('still there');
      target.tellEnd();
      await pair.until(() => seen.received >= 5 + 11 + 5, 'the way back');
      assert.equal(payloadOf(seen, true), 'still there');
      assert.deepEqual(target.resets, []);
    } else {
      const { reason } = vector;
      await pair.until(() => seen.outcome !== undefined && target.over !== undefined, 'the abort');
      assertAborted(seen.outcome, reason, world.version);
      assert.equal(target.resets.length, 1, 'an RST');
      assert.equal(target.ended, vector.final, 'a FIN only for FINAL_DATA');
      const { cause, outcome } = await pair.serving().closed;
      assert.equal(cause.kind, vector.problem === 'unfinished' ? 'client' : 'protocol');
      assert.equal(outcome.kind === 'reset' && outcome.by === 'local' && outcome.reason, reason);
    }
    assert.deepEqual(Buffer.concat(target.written), vector.bytes);
  } finally {
    await pair.close();
  }
}

async function towardsTheClient(world: World, vector: ConnectTcpVector): Promise<void> {
  const served: { stream: TunnelStream; seen: Recorder }[] = [];
  const connected = await world.connect(() => ({
    request(stream) {
      const seen = createRecorder();
      served.push({ stream, seen });
      stream.respond({ status: 200, fields: [['capsule-protocol', '?1']] });
      stream.grant(plenty);
      return seen;
    },
  }));
  try {
    const asked = ask({ ...connected, form: newest });
    asked.tunnel.grant(plenty);
    await until(connected, () => asked.head !== undefined && served.length === 1, 'the answer');
    const [server] = served;
    if (!server) throw new Error('no request');
    const { seen } = asked;
    play(server.stream, vector);
    if (vector.reason === undefined) {
      await until(connected, () => seen.bytes === vector.bytes.length, 'the bytes');
      await until(connected, () => seen.ended === vector.final, 'the FIN');
      asked.send('still there');
      asked.tunnel.end();
      await until(connected, () => server.seen.received >= 5 + 11 + 5, 'the way back');
      assert.equal(payloadOf(server.seen, true), 'still there');
    } else {
      const { reason } = vector;
      await until(connected, () => server.seen.outcome !== undefined && seen.over !== undefined, 'the abort');
      assertAborted(server.seen.outcome, reason, world.version);
      assert.deepEqual(seen.over, { kind: 'reset', reason });
      assert.equal(seen.ended, vector.final);
    }
    assert.deepEqual(Buffer.concat(seen.received), vector.bytes);
  } finally {
    await connected.close();
  }
}

test('the table of reasons has the codes of the specifications', () => {
  for (const [reason, codes] of Object.entries(wireCodes)) {
    assert.equal(codeOf(reason as ResetReason, 'h3'), codes.h3);
    assert.equal(codeOf(reason as ResetReason, 'h2'), codes.h2);
  }
});

for (const world of worlds) {
  for (const vector of connectTcpVectors) {
    test(`${vector.title} (towards the proxy, ${world.name})`, limit, () => towardsTheProxy(world, vector));
    test(`${vector.title} (towards the client, ${world.name})`, limit, () => towardsTheClient(world, vector));
  }
}
