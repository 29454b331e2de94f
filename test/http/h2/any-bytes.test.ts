import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createVirtualClock } from '../../../src/clock/virtual-clock.js';
import { startH2Client } from '../../../src/http/h2/client.js';
import { clientLimits, serverLimits } from '../../../src/http/h2/limits.js';
import { startH2Server } from '../../../src/http/h2/server.js';
import type { StreamOutcome } from '../../../src/http/tunnel-stream.js';
import { h2FrameTypes, h2Preface } from '../../../src/protocol/h2-frame.js';
import { createSharedRoom } from '../../../src/quic/write-gauge.js';
import { createFakeCarrier, type FakeCarrier, frame } from './fake-carrier.js';
import { extendedBlock, headerBlock, settingsPayload } from './frame-peer.js';

const address = { address: '192.0.2.1', port: 443 };
const CREDIT = 40;

interface Seen {
  received: number;
  readonly outcomes: StreamOutcome[];
}

const handlerOf = (seen: Seen) => ({
  data(_bytes: Uint8Array, start: number, end: number) {
    seen.received += end - start;
    assert.ok(seen.received <= CREDIT, 'never more than the credit');
  },
  end: () => undefined,
  datagram: () => undefined,
  drain: () => undefined,
  response: () => undefined,
  closed: (outcome: StreamOutcome) => seen.outcomes.push(outcome),
});

function startServer(): { carrier: FakeCarrier; streams: Seen[] } {
  const carrier = createFakeCarrier();
  const streams: Seen[] = [];
  const { socketHandler } = startH2Server(
    carrier,
    { id: 1, localAddress: address, remoteAddress: address, serverName: undefined, peerCertificates: [] },
    {
      clock: createVirtualClock(),
      limits: { ...serverLimits, streamWindow: 65_535 },
      requestHeadTimeout: 20_000,
      altSvc: undefined,
      room: createSharedRoom(),
    },
    () => ({
      request(stream) {
        const seen: Seen = { received: 0, outcomes: [] };
        streams.push(seen);
        stream.grant(CREDIT);
        stream.respond({ status: 200, fields: [] });
        stream.write(Buffer.alloc(100), 0, 100);
        return handlerOf(seen);
      },
    }),
  );
  carrier.handler = socketHandler;
  return { carrier, streams };
}

function startClient(): { carrier: FakeCarrier; streams: Seen[] } {
  const carrier = createFakeCarrier();
  const streams: Seen[] = [];
  const { connection, socketHandler } = startH2Client(
    carrier,
    {
      remoteAddress: address,
      clock: createVirtualClock(),
      limits: { ...clientLimits, streamWindow: 65_535 },
    },
    {},
    () => undefined,
  );
  carrier.handler = socketHandler;
  for (let index = 0; index < 3; index += 1) {
    const seen: Seen = { received: 0, outcomes: [] };
    streams.push(seen);
    const head = { kind: 'connect', authority: 'a.example:443', fields: [] } as const;
    const stream = connection.open(head, handlerOf(seen));
    stream.grant(CREDIT);
    stream.write(Buffer.alloc(100), 0, 100);
  }
  return { carrier, streams };
}

/** What was started has ended, or is unharmed; with the socket all is over. */
async function settle({ carrier, streams }: ReturnType<typeof startServer>): Promise<void> {
  await Promise.resolve();
  const goaway = carrier.frames().some(({ type }) => type === h2FrameTypes.GOAWAY);
  assert.equal(carrier.ended || carrier.wasReset, goaway, 'it ends with GOAWAY, or goes on');
  carrier.close();
  await Promise.resolve();
  for (const { outcomes } of streams) assert.equal(outcomes.length, 1);
}

const { DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION } = h2FrameTypes;
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const okBlock = Buffer.from([0x88]);
const stream = fc.constantFrom(0, 1, 1, 3, 3, 5, 7, 2);
const flags = fc.constantFrom(0, 1, 4, 5, 8, 9, 0xc, 0x24, 0x2d);
const block = fc.constantFrom<Uint8Array>(
  extendedBlock,
  okBlock,
  headerBlock([['x-trailer', '1']]),
  headerBlock([
    [':method', 'POST'],
    [':scheme', 'https'],
    [':authority', 'a'],
    [':path', '/'],
    ['content-length', '3'],
  ]),
);
const anyFrame = fc.oneof(
  fc.tuple(flags, stream, block).map(([bits, id, bytes]) => frame(HEADERS, bits | 4, id, bytes)),
  fc.tuple(flags, stream, block).map(([bits, id, bytes]) => frame(HEADERS, bits, id, bytes)),
  fc.tuple(flags, stream, block).map(([bits, id, bytes]) => frame(CONTINUATION, bits, id, bytes)),
  fc
    .tuple(flags, stream, fc.uint8Array({ maxLength: 60 }))
    .map(([bits, id, bytes]) => frame(DATA, bits & 9, id, bytes)),
  fc.tuple(stream, fc.nat(14)).map(([id, code]) => frame(RST_STREAM, 0, id, uint32(code))),
  fc.tuple(stream, fc.nat()).map(([id, by]) => frame(WINDOW_UPDATE, 0, id, uint32(by))),
  fc.tuple(fc.nat(9), fc.nat()).map(([id, value]) => frame(SETTINGS, 0, 0, settingsPayload([[id, value]]))),
  fc.constant(frame(SETTINGS, 1, 0)),
  fc.constant(frame(PING, 0, 0, Buffer.alloc(8))),
  fc
    .tuple(fc.nat(12), fc.nat(255), stream, fc.uint8Array({ maxLength: 20 }))
    .map(([type, bits, id, bytes]) => frame(type, bits, id, bytes)),
);
/** The bytes of a conversation, cut anywhere, some of them changed. */
const conversation = fc
  .tuple(
    fc.array(anyFrame, { maxLength: 12 }),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }),
    fc.array(fc.nat(), { maxLength: 4 }),
  )
  .map(([frames, changes, cuts]) => {
    const bytes = Buffer.concat(frames);
    for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
    const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
    return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
  });
const settings = frame(SETTINGS, 0, 0);

test('a client that sends any bytes harms nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 4 }), async (pieces) => {
      const started = startServer();
      for (const piece of pieces) started.carrier.receive(piece);
      await settle(started);
    }),
    { numRuns: 300 },
  );
});

test('a client that sends any frames harms nothing', async () => {
  await fc.assert(
    fc.asyncProperty(conversation, async (pieces) => {
      const started = startServer();
      started.carrier.receive(Buffer.concat([h2Preface, settings]));
      for (const piece of pieces) {
        started.carrier.receive(piece);
        await Promise.resolve();
      }
      await settle(started);
    }),
    { numRuns: 1_000 },
  );
});

test('a server that sends any frames harms nothing', async () => {
  await fc.assert(
    fc.asyncProperty(conversation, fc.boolean(), async (pieces, answers) => {
      const started = startClient();
      started.carrier.receive(settings);
      if (answers) started.carrier.receive(frame(HEADERS, 4, 1, okBlock));
      for (const piece of pieces) {
        started.carrier.receive(piece);
        await Promise.resolve();
      }
      await settle(started);
    }),
    { numRuns: 1_000 },
  );
});
