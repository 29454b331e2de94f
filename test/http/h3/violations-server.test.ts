import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type H3ErrorName, h3ErrorCodes } from '../../../src/protocol/h3-error.js';
import {
  connect,
  connectUdp,
  control,
  data,
  frame,
  get,
  headers,
  idFrame,
  join,
  post,
  type RawPeer,
  rawClient,
  settings,
  varint,
} from './raw-peer.js';
import { createNetwork, serve } from './simulated-http.js';

const options = { timeout: 120_000 };

/** What a client does wrong, and the code with which the server closes the connection. */
const connectionErrors: readonly [string, H3ErrorName, (peer: RawPeer) => void][] = [
  [
    'a control stream without SETTINGS',
    'H3_MISSING_SETTINGS',
    (peer) => peer.openUnidirectional(join([0], idFrame(0x07, 0))),
  ],
  [
    'an unknown frame before SETTINGS',
    'H3_MISSING_SETTINGS',
    (peer) => peer.openUnidirectional(join([0], frame(0x21))),
  ],
  ['a second SETTINGS', 'H3_FRAME_UNEXPECTED', (peer) => peer.openUnidirectional(control(settings()))],
  [
    'a setting of HTTP/2',
    'H3_SETTINGS_ERROR',
    (peer) => peer.openUnidirectional(join([0], settings([0x02, 0]))),
  ],
  [
    'a setting sent twice',
    'H3_SETTINGS_ERROR',
    (peer) => peer.openUnidirectional(join([0], settings([0x06, 1], [0x06, 1]))),
  ],
  ['SETTINGS cut short', 'H3_FRAME_ERROR', (peer) => peer.openUnidirectional(join([0], frame(0x04, [0x06])))],
  [
    'a SETTINGS frame without end',
    'H3_EXCESSIVE_LOAD',
    (peer) => peer.openUnidirectional(join([0], [0x04], varint(1 << 20))),
  ],
  [
    'DATA on the control stream',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.openUnidirectional(control(data('x'))),
  ],
  ['HEADERS on the control stream', 'H3_FRAME_UNEXPECTED', (peer) => peer.openUnidirectional(control(get()))],
  [
    'PUSH_PROMISE on the control stream',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.openUnidirectional(control(frame(0x05, [0, 0, 0]))),
  ],
  [
    'a frame of HTTP/2 on the control stream',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.openUnidirectional(control(frame(0x06))),
  ],
  [
    'a second control stream',
    'H3_STREAM_CREATION_ERROR',
    (peer) => {
      peer.openUnidirectional(control());
      peer.openUnidirectional(control());
    },
  ],
  [
    'a second encoder stream',
    'H3_STREAM_CREATION_ERROR',
    (peer) => {
      peer.openUnidirectional(Uint8Array.of(2));
      peer.openUnidirectional(Uint8Array.of(2));
    },
  ],
  [
    'a second decoder stream',
    'H3_STREAM_CREATION_ERROR',
    (peer) => {
      peer.openUnidirectional(Uint8Array.of(3));
      peer.openUnidirectional(Uint8Array.of(3));
    },
  ],
  ['a push stream', 'H3_STREAM_CREATION_ERROR', (peer) => peer.openUnidirectional(Uint8Array.of(1, 0))],
  [
    'the end of the control stream',
    'H3_CLOSED_CRITICAL_STREAM',
    (peer) => peer.openUnidirectional(control()).quic.end(),
  ],
  [
    'the end of the encoder stream',
    'H3_CLOSED_CRITICAL_STREAM',
    (peer) => peer.openUnidirectional(Uint8Array.of(2)).quic.end(),
  ],
  [
    'the end of the decoder stream',
    'H3_CLOSED_CRITICAL_STREAM',
    (peer) => peer.openUnidirectional(Uint8Array.of(3)).quic.end(),
  ],
  [
    'an insertion into the QPACK table',
    'QPACK_ENCODER_STREAM_ERROR',
    (peer) => peer.openUnidirectional(Uint8Array.of(2, 0x41, 0x61, 0x01, 0x62)),
  ],
  [
    'a QPACK capacity',
    'QPACK_ENCODER_STREAM_ERROR',
    (peer) => peer.openUnidirectional(Uint8Array.of(2, 0x3f, 0x10)),
  ],
  [
    'a QPACK acknowledgment of nothing',
    'QPACK_DECODER_STREAM_ERROR',
    (peer) => peer.openUnidirectional(Uint8Array.of(3, 0x80)),
  ],
  [
    'a QPACK insert count increment',
    'QPACK_DECODER_STREAM_ERROR',
    (peer) => peer.openUnidirectional(Uint8Array.of(3, 0x01)),
  ],
  [
    'a field section that needs the dynamic table',
    'QPACK_DECOMPRESSION_FAILED',
    (peer) => peer.open(frame(0x01, [0x02, 0x00, 0x80])),
  ],
  [
    'a field section cut short',
    'QPACK_DECOMPRESSION_FAILED',
    (peer) => peer.open(frame(0x01, [0x00, 0x00, 0x51, 0x7f])),
  ],
  ['DATA before HEADERS', 'H3_FRAME_UNEXPECTED', (peer) => peer.open(data('x'))],
  [
    'DATA behind trailers',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.open(join(post(), data('x'), headers(['a', 'b']), data('y'))),
  ],
  [
    'HEADERS behind trailers',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.open(join(post(), headers(['a', 'b']), headers(['a', 'b']))),
  ],
  [
    'HEADERS on a CONNECT',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.open(join(connect(), data('x'), headers(['a', 'b']))),
  ],
  [
    'HEADERS on an extended CONNECT',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.open(join(connectUdp(), data('x'), headers(['a', 'b']))),
  ],
  ['SETTINGS on a request stream', 'H3_FRAME_UNEXPECTED', (peer) => peer.open(settings())],
  ['GOAWAY on a request stream', 'H3_FRAME_UNEXPECTED', (peer) => peer.open(join(get(), idFrame(0x07, 0)))],
  [
    'MAX_PUSH_ID on a request stream',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.open(join(get(), idFrame(0x0d, 0))),
  ],
  [
    'CANCEL_PUSH on a request stream',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.open(join(get(), idFrame(0x03, 0))),
  ],
  [
    'PUSH_PROMISE from a client',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.open(join(get(), frame(0x05, [0, 0, 0]))),
  ],
  [
    'a frame of HTTP/2 on a request stream',
    'H3_FRAME_UNEXPECTED',
    (peer) => peer.open(join(get(), frame(0x09))),
  ],
  [
    'a request stream that ends inside a frame',
    'H3_FRAME_ERROR',
    (peer) => peer.open(join(post(), [0x00, 0x05, 0x61])).quic.end(),
  ],
  [
    'MAX_PUSH_ID that goes down',
    'H3_ID_ERROR',
    (peer) => peer.openUnidirectional(control(idFrame(0x0d, 5), idFrame(0x0d, 4))),
  ],
  [
    'CANCEL_PUSH of a push that was never promised',
    'H3_ID_ERROR',
    (peer) => peer.openUnidirectional(control(idFrame(0x0d, 5), idFrame(0x03, 1))),
  ],
  [
    'GOAWAY that goes up',
    'H3_ID_ERROR',
    (peer) => peer.openUnidirectional(control(idFrame(0x07, 1), idFrame(0x07, 2))),
  ],
  [
    'GOAWAY with surplus bytes',
    'H3_FRAME_ERROR',
    (peer) => peer.openUnidirectional(control(frame(0x07, [0, 0]))),
  ],
  ['an empty GOAWAY', 'H3_FRAME_ERROR', (peer) => peer.openUnidirectional(control(frame(0x07)))],
  [
    'STOP_SENDING of the control stream',
    'H3_CLOSED_CRITICAL_STREAM',
    (peer) => {
      const theirs = peer.theirs.find(({ received }) => received[0] === 0);
      assert.ok(theirs);
      theirs.quic.stop(0);
    },
  ],
  [
    'S4: SETTINGS_H3_DATAGRAM of 2',
    'H3_SETTINGS_ERROR',
    (peer) => peer.openUnidirectional(join([0], settings([0x33, 2]))),
  ],
  [
    'S1: a datagram too short for a quarter stream id',
    'H3_DATAGRAM_ERROR',
    (peer) => peer.datagram(Uint8Array.of(0x40)),
  ],
  ['S1: an empty datagram', 'H3_DATAGRAM_ERROR', (peer) => peer.datagram(new Uint8Array(0))],
  [
    'S1: a quarter stream id of 2^60',
    'H3_DATAGRAM_ERROR',
    (peer) => peer.datagram(Uint8Array.of(0xd0, 0, 0, 0, 0, 0, 0, 0, 1)),
  ],
  [
    'a datagram for a stream that cannot be',
    'H3_ID_ERROR',
    (peer) => peer.datagram(Uint8Array.of(0xcf, 255, 255, 255, 255, 255, 255, 255, 1)),
  ],
];

for (const [what, name, act] of connectionErrors) {
  const title = /^S\d+: /.test(what)
    ? `${what} closes the connection with ${name}`
    : `server: ${what} closes the connection with ${name}`;
  test(title, options, async () => {
    const net = createNetwork();
    const server = await serve(net);
    const peer = await rawClient(net);
    act(peer);
    await net.clock.advanceAsync(200);
    assert.ok(peer.close, 'the connection was closed');
    assert.equal(peer.close.kind, 'application');
    assert.deepEqual(peer.close, { ...peer.close, code: h3ErrorCodes[name], byPeer: true });
    const [connection] = server.connections;
    assert.ok(connection);
    assert.equal(connection.streams, 0);
    assert.deepEqual((await connection.closed).reason, 'protocol-error');
    assert.equal(net.clock.pending, 0, 'no timer is left');
  });
}

/** What a client does wrong on one request, and the code with which the server aborts its stream. */
const streamErrors: readonly [string, H3ErrorName, Uint8Array, boolean][] = [
  [
    'a request without :method',
    'H3_MESSAGE_ERROR',
    headers([':path', '/'], [':scheme', 'https'], [':authority', 'a']),
    false,
  ],
  [
    'a request without :authority',
    'H3_MESSAGE_ERROR',
    headers([':method', 'GET'], [':path', '/'], [':scheme', 'https']),
    false,
  ],
  ['a connection-specific field', 'H3_MESSAGE_ERROR', get(['connection', 'close']), false],
  ['a field name in upper case', 'H3_MESSAGE_ERROR', get(['Accept', '*/*']), false],
  ['a pseudo-header of responses', 'H3_MESSAGE_ERROR', headers([':status', '200']), false],
  [
    'CONNECT with :path',
    'H3_MESSAGE_ERROR',
    headers([':method', 'CONNECT'], [':authority', 'a:1'], [':path', '/']),
    false,
  ],
  [
    'more content than announced',
    'H3_MESSAGE_ERROR',
    join(post(['content-length', '2']), data('abc')),
    false,
  ],
  ['less content than announced', 'H3_MESSAGE_ERROR', join(post(['content-length', '4']), data('abc')), true],
  [
    'a pseudo-header in trailers',
    'H3_MESSAGE_ERROR',
    join(post(), data('abc'), headers([':path', '/'])),
    false,
  ],
  ['a stream that ends without a request', 'H3_REQUEST_INCOMPLETE', new Uint8Array(0), true],
  ['a stream that ends behind an unknown frame', 'H3_REQUEST_INCOMPLETE', frame(0x21, [1, 2]), true],
];

for (const [what, name, wire, end] of streamErrors) {
  test(`server: ${what} aborts the stream with ${name}`, options, async () => {
    const net = createNetwork();
    const server = await serve(net);
    const peer = await rawClient(net);
    peer.openUnidirectional(control());
    const stream = peer.open(wire);
    if (end) stream.quic.end();
    await net.clock.advanceAsync(200);
    const code = h3ErrorCodes[name].toString(16);
    assert.ok(stream.events.includes(`reset ${code}`), stream.events.join());
    assert.equal(end || stream.events.includes(`stopped ${code}`), true, stream.events.join());
    assert.equal(peer.close, undefined);
    // The connection goes on.
    const next = peer.open(get());
    next.quic.end();
    await net.clock.advanceAsync(100);
    const served = server.requests.at(-1);
    served?.stream.respond({ status: 204, fields: [] });
    served?.stream.end();
    await net.clock.advanceAsync(100);
    assert.deepEqual(next.events, ['end']);
    assert.equal(server.connections[0]?.streams, 0);
  });
}
