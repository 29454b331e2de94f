import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { TunnelStream } from '../../../src/http/tunnel-stream.js';
import { type Bench, conformanceTests, ok, pattern, plenty, writeAll } from './bench.js';
import type { Implementation } from './pair.js';
import type { Recorder } from './recorder.js';

const chunkSize = 16 * 1024;
const highWater = 64 * 1024;
/** What a version may add to one write. */
const framing = 64;

/** Writes `length` bytes as fast as the stream takes them; tells what it saw. */
function pump(stream: TunnelStream, seen: Recorder, length: number, seed: number) {
  const hash = createHash('sha256');
  const state = { written: 0, refusals: 0, mostBuffered: 0, sha256: '' };
  const step = (): void => {
    while (state.written < length) {
      const size = Math.min(chunkSize, length - state.written);
      const chunk = pattern(size, seed + state.written);
      hash.update(chunk);
      state.written += size;
      const more = writeAll(stream, chunk);
      if (!more) state.refusals += 1;
      state.mostBuffered = Math.max(state.mostBuffered, stream.buffered);
      if (state.written === length) {
        state.sha256 = hash.digest('hex');
        stream.end();
      } else if (!more) return;
    }
  };
  seen.onDrain = step;
  step();
  return state;
}

async function transfer(
  bench: Bench,
  from: { readonly stream: TunnelStream; readonly seen: Recorder },
  to: { readonly stream: TunnelStream; readonly seen: Recorder },
  length: number,
  seed: number,
): Promise<void> {
  const state = pump(from.stream, from.seen, length, seed);
  to.seen.onData = (size) => to.stream.grant(size);
  to.stream.grant(128 * 1024);
  await bench.until(() => to.seen.ended, `${length} bytes and the end`);
  assert.equal(to.seen.received, length);
  assert.equal(to.seen.sha256(), state.sha256);
  assert.ok(
    state.mostBuffered <= highWater + chunkSize + framing,
    `buffered stays at the mark (${state.mostBuffered})`,
  );
  // A drain behind the end may be told or not.
  const unanswered = state.refusals - from.seen.drains;
  assert.ok(unanswered === 0 || unanswered === 1, `each refusal is followed by one drain (${unanswered})`);
}

/** Bytes, credit and backpressure. */
export function contentTests(implementation: Implementation): void {
  const { supports } = implementation;
  const it = conformanceTests(implementation);
  const length = 4 << 20;

  it('without credit nothing is delivered, and never more than the credit', async (bench) => {
    const { client, server } = await bench.tunnel(0);
    const sent = pattern(50_000);
    writeAll(client.stream, sent);
    writeAll(server.stream, sent);
    await bench.quiet();
    assert.equal(server.seen.received + client.seen.received, 0);
    for (const side of [client, server]) {
      let credit = 0;
      for (const step of [1, 10, 1000, 20_000]) {
        side.stream.grant(step);
        credit += step;
        await bench.until(() => side.seen.received === credit, `${credit} bytes`);
        await bench.quiet();
        assert.equal(side.seen.received, credit);
      }
      side.stream.grant(plenty);
      await bench.until(() => side.seen.received === sent.length, 'the rest');
      assert.deepEqual(side.seen.content(), Buffer.from(sent));
    }
  });

  it('megabytes to the server arrive whole under backpressure', async (bench) => {
    const { client, server } = await bench.tunnel(0);
    await transfer(bench, client, server, length, 3);
  });

  it('megabytes to the client arrive whole under backpressure', async (bench) => {
    const { client, server } = await bench.tunnel(0);
    await transfer(bench, server, client, length, 4);
  });

  it('megabytes both ways at once', async (bench) => {
    const { client, server } = await bench.tunnel(0);
    const there = pump(client.stream, client.seen, length, 5);
    const back = pump(server.stream, server.seen, length, 6);
    for (const side of [client, server]) {
      side.seen.onData = (size) => side.stream.grant(size);
      side.stream.grant(100_000);
    }
    await bench.until(() => client.seen.ended && server.seen.ended, 'both directions');
    assert.equal(server.seen.sha256(), there.sha256);
    assert.equal(client.seen.sha256(), back.sha256);
    await bench.until(() => !!client.seen.outcome && !!server.seen.outcome, 'the outcomes');
    assert.deepEqual([client.seen.outcome, server.seen.outcome], [{ kind: 'ended' }, { kind: 'ended' }]);
  });

  it('a reader without credit stops the writer until it gives some', async (bench) => {
    const { client, server } = await bench.tunnel(0);
    for (const [writer, reader] of [
      [client, server],
      [server, client],
    ] as const) {
      const chunk = pattern(chunkSize);
      let written = 0;
      let open = true;
      const fill = (): void => {
        while (open && written < 64 << 20) {
          open = writeAll(writer.stream, chunk);
          written += chunk.length;
        }
      };
      writer.seen.onDrain = () => {
        open = true;
        fill();
      };
      fill();
      let before = -1;
      while (written !== before) {
        before = written;
        await bench.quiet();
      }
      assert.ok(written < 32 << 20, `bounded by windows and buffers (${written})`);
      assert.ok(writer.stream.buffered >= 1, 'the writer is told to wait');
      assert.equal(reader.seen.received, 0);
      writer.seen.onDrain = undefined;
      const { drains } = writer.seen;
      reader.stream.grant(plenty);
      await bench.until(() => reader.seen.received === written, 'everything once there is credit');
      await bench.until(() => writer.seen.drains > drains, 'the writer may go on');
      assert.equal(writer.seen.drains, drains + 1);
      assert.ok(writer.stream.buffered <= highWater / 2, 'nearly nothing waits any more');
    }
  });

  it('framing and bytes written as one arrive as two writes would', async (bench) => {
    const client = bench.open();
    const frame = (text: string): void => {
      const head = Buffer.from(`${text.length}:`);
      const { stream } = client;
      if (stream.writeFramed) {
        stream.writeFramed(
          Buffer.concat([head, Buffer.from('not this')]),
          head.length,
          Buffer.from(`-${text}-`),
          1,
          text.length + 1,
        );
        return;
      }
      stream.write(head, 0, head.length);
      stream.write(Buffer.from(text), 0, text.length);
    };
    client.stream.grant(plenty);
    frame('before the answer');
    const server = await bench.nextRequest();
    server.stream.grant(plenty);
    server.stream.respond(ok);
    await bench.until(() => client.seen.head !== undefined, 'the response');
    frame('x'.repeat(100_000));
    frame('');
    frame('end');
    const expected = `17:before the answer100000:${'x'.repeat(100_000)}0:3:end`;
    await bench.until(() => server.seen.received === expected.length, 'all of it');
    assert.equal(server.seen.content().toString(), expected);
    const { stream } = server;
    const body = Buffer.from('back');
    if (stream.writeFramed) stream.writeFramed(Buffer.from('4:'), 2, body, 0, 4);
    else stream.write(Buffer.from('4:back'), 0, 6);
    await bench.until(() => client.seen.received === 6, 'the way back');
    assert.equal(client.seen.content().toString(), '4:back');
    client.stream.end();
    assert.equal(client.stream.writeFramed?.(body, 4, body, 0, 4) ?? true, true, 'nothing after the end');
    await bench.until(() => server.seen.ended, 'the end');
    assert.equal(server.seen.received, expected.length);
  });

  it('bytes are copied when written, and empty writes do nothing', async (bench) => {
    const { client, server } = await bench.tunnel();
    const buffer = new Uint8Array(100);
    const expected: number[] = [];
    for (let index = 0; index < 200; index++) {
      buffer.fill(index);
      client.stream.write(buffer, 3, 3);
      client.stream.write(buffer, 10, 11 + (index % 3));
      for (let count = 0; count <= index % 3; count++) expected.push(index);
    }
    buffer.fill(0xff);
    await bench.until(() => server.seen.received === expected.length, 'the bytes');
    assert.deepEqual([...server.seen.content()], expected);
  });

  it(
    'W8: stalled streams do not stop one that runs, in either direction',
    async (bench) => {
      const stalled: Awaited<ReturnType<Bench['tunnel']>>[] = [];
      const chunk = pattern(chunkSize);
      for (let index = 0; index < 30; index++) {
        const { client, server } = await bench.tunnel(0);
        stalled.push({ client, server });
        for (const side of [client, server]) {
          let room = 2 << 20;
          side.seen.onDrain = () => {
            while (room > 0) {
              room -= chunk.length;
              if (!writeAll(side.stream, chunk)) return;
            }
          };
          side.seen.onDrain();
        }
      }
      await bench.quiet();
      const running = await bench.tunnel(0);
      await transfer(bench, running.client, running.server, 1 << 20, 7);
      await transfer(bench, running.server, running.client, 1 << 20, 8);
      assert.ok(stalled.every(({ client, server }) => client.seen.received + server.seen.received === 0));
      assert.ok(stalled.every(({ client, server }) => !client.seen.outcome && !server.seen.outcome));
    },
    { skip: !supports.multiplex && 'one stream a connection' },
  );

  it(
    '100 streams at once each keep their own bytes',
    async (bench) => {
      bench.onRequest = (stream) => {
        stream.respond({ status: 200, fields: [] });
        stream.grant(64 * 1024);
        return {
          data(bytes, start, end) {
            stream.write(bytes, start, end);
            stream.grant(end - start);
          },
          end: () => stream.end(),
          datagram: () => undefined,
          drain: () => undefined,
          closed: () => undefined,
        };
      };
      const clients = Array.from({ length: 100 }, (_, index) => {
        const side = bench.open();
        const sent = pattern(20_000 + index, index + 1);
        side.stream.grant(plenty);
        writeAll(side.stream, sent);
        side.stream.end();
        return { ...side, sent };
      });
      await bench.until(() => clients.every(({ seen }) => seen.outcome !== undefined), 'all outcomes');
      for (const { seen, sent } of clients) {
        assert.deepEqual(seen.outcome, { kind: 'ended' });
        assert.deepEqual(seen.content(), Buffer.from(sent));
      }
      const ids = new Set(clients.map(({ stream }) => stream.id));
      assert.equal(ids.size, 100);
      await bench.until(() => bench.client.streams === 0 && bench.server.streams === 0, 'no stream is left');
    },
    { skip: !supports.multiplex && 'one stream a connection' },
  );

  it(
    'streams over the limit wait their turn',
    async (bench) => {
      const clients = Array.from({ length: 5 }, () => bench.open());
      await bench.until(() => bench.waiting.length >= 2, 'as many as may be open');
      await bench.quiet();
      assert.equal(bench.waiting.length, 2);
      for (let turn = 0; turn < 5; turn++) {
        const server = await bench.nextRequest();
        server.stream.grant(plenty);
        server.stream.respond({ status: 200, fields: [] });
        server.stream.end();
        const client = clients[turn];
        client?.stream.grant(plenty);
        client?.stream.end();
        await bench.until(() => client?.seen.outcome?.kind === 'ended', `turn ${turn}`);
      }
    },
    { maxStreams: 2, skip: !supports.streamLimit && 'no limit to set' },
  );
}
