import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelStream } from '../../../src/http/tunnel-stream.js';
import { newestConnectTcp } from '../../../src/protocol/connect-tcp.js';
import { bindByteStream } from '../../../src/tunnel/tcp/byte-stream.js';

for (const form of [{ kind: 'connect' }, { kind: 'connect-tcp', revision: newestConnectTcp }] as const) {
  test(`${form.kind}: a write that finds room between a refused one and its drain keeps nobody waiting`, () => {
    let drains = 0;
    const none = (): void => undefined;
    const binding = bindByteStream(form, { data: none, end: none, drain: () => drains++, closed: none });
    const answers = [false, true];
    const write = (): boolean => answers.shift() ?? true;
    const stream: TunnelStream = {
      version: 'h2',
      id: 1,
      buffered: 0,
      nativeDatagrams: false,
      maxDatagramSize: 0,
      closed: new Promise(none),
      grant: none,
      write,
      end: none,
      sendDatagram: () => 'dropped',
      reset: none,
    };
    binding.attach({ ...stream, writeFramed: write } as TunnelStream);
    binding.start();
    assert.equal(binding.side.write(Buffer.from('first'), 0, 5), false);
    assert.equal(binding.side.write(Buffer.from('again'), 0, 5), true);
    binding.streamHandler.drain();
    assert.equal(drains, 1);
  });
}
