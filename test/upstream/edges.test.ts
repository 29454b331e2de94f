import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { dialH2 } from '../../src/http/h2/dial.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import { adoptConnection } from '../../src/upstream/adopt-connection.js';
import { bautaErrorOf } from '../../src/upstream/bauta-error-of.js';
import { dialAddresses } from '../../src/upstream/dial-addresses.js';
import { createHttpTransport } from '../../src/upstream/http-transport.js';
import { failureKind, UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream-error.js';
import { createFakeTransport } from './fake-transport.js';
import { openHop, until } from './real-hop.js';
import { head, recordingSession } from './recording-session.js';
import { peerStream } from './transport-peer.js';

const options = { timeout: 120_000 };
const never = new AbortController().signal;

describe('the edges of the upstream', { ...options, timeout: 600_000 }, () => {
  test(
    'O1: a connection that is up already is adopted, dialled with its handler or without',
    options,
    async () => {
      for (const withHandler of [true, false]) {
        const hop = await openHop({ versions: ['h2'] });
        const transport = createHttpTransport();
        const connection = await dialH2(
          undefined,
          {
            remote: { address: '127.0.0.1', port: hop.origin.port },
            tls: { serverName: '127.0.0.1', alpn: ['h2'], trust: hop.origin.tls.trust },
            clock: systemClock,
          },
          withHandler ? transport.handler : {},
          never,
        );
        const owner = adoptConnection(transport.attach(connection, 5), { clock: systemClock });
        assert.equal((await owner.info()).connection, 5);
        const session = recordingSession();
        await owner.acquireStream(head, session);
        await until(() => hop.connections[0]?.streams.length === 1, 'the request');
        const [peer] = hop.connections;
        assert.ok(peer);
        peerStream(peer, 0).respond();
        await until(() => session.log.length === 1, 'the answer');
        peer.drain();
        await until(() => !connection.usable, 'the drain');
        await assert.rejects(
          owner.acquireStream(head, recordingSession()),
          (error) => failureKind(error) === 'draining',
        );
        assert.equal(owner.state, 'draining');
        peer.close();
        await owner.stopped;
        assert.equal(session.ends.length, 1);
        await hop.close();
      }
    },
  );

  test('O13: bytes of content are counted where the transport counts nothing', options, async () => {
    const hop = await openHop({ versions: ['h2'] });
    const connection = await hop.driver.dial(hop.target('h2'), never);
    const owner = adoptConnection(connection, { clock: systemClock });
    const { stream } = await owner.acquireStream(head, recordingSession());
    stream.write(new Uint8Array(500), 0, 500);
    const info = await owner.info();
    assert.deepEqual([info.bytesSent, info.bytesReceived], [500, 0]);
    await owner.stop();
    await hop.close();
  });

  test(
    'O1: of several addresses the first that is up is taken, and the others are closed',
    options,
    async () => {
      const clock = createVirtualClock();
      const made = [1, 2, 3].map((id) => createFakeTransport(id));
      const after: Record<string, number> = { a: 900, b: 300, c: 300 };
      const begun: [string, number][] = [];
      const dialling = dialAddresses(
        ['a', 'b', 'c'],
        clock,
        (address) => {
          begun.push([address, clock.now()]);
          const transport = made['abc'.indexOf(address)];
          return new Promise((resolve) => {
            if (transport) clock.setTimeout(() => resolve(transport.connection), after[address] ?? 0);
          });
        },
        never,
      );
      await clock.advanceAsync(2_000);
      assert.equal((await dialling).id, 2);
      assert.deepEqual(begun, [
        ['a', 0],
        ['b', 250],
        ['c', 500],
      ]);
      assert.deepEqual(
        made.map(({ closed }) => closed),
        [true, false, true],
      );
    },
  );

  test('O1: when no address can be reached the reasons are told', options, async () => {
    const clock = createVirtualClock();
    const fails = (address: string): Promise<never> =>
      Promise.reject(new BautaError(address === 'a' ? 'ERR_PROXY_TIMEOUT' : 'ERR_PIN_MISMATCH'));
    const error = await dialAddresses(['a', 'b'], clock, fails, never).catch((thrown: unknown) => thrown);
    assert.equal(bautaErrorOf(error).code, 'ERR_PIN_MISMATCH');
    const one = await dialAddresses(['a'], clock, fails, never).catch((thrown: unknown) => thrown);
    assert.equal((one as BautaError).code, 'ERR_PROXY_TIMEOUT');
    const gone = await dialAddresses(['a'], clock, fails, AbortSignal.abort()).catch(
      (thrown: unknown) => thrown,
    );
    assert.equal(failureKind(gone), 'aborted');
    const none = await dialAddresses([], clock, fails, never).catch((thrown: unknown) => thrown);
    assert.ok(none instanceof AggregateError);
  });

  test('O4, P5, R4: every failure has its place in the error table', () => {
    const table: [UpstreamFailure, ErrorCode][] = [
      [{ kind: 'stream_limit', by: 'here', streams: 1, limit: 1 }, 'ERR_TOO_MANY'],
      [{ kind: 'pool_exhausted', key: 'k', waiting: 3 }, 'ERR_TOO_MANY'],
      [{ kind: 'peer_closed', reason: 'reset', code: undefined, detail: '' }, 'ERR_CONNECTION_LOST'],
      [{ kind: 'unresponsive', after: 5 }, 'ERR_CONNECTION_LOST'],
      [{ kind: 'stream_reset', code: 1, detail: '' }, 'ERR_TUNNEL_RESET'],
      [{ kind: 'draining' }, 'ERR_DRAINING'],
      [{ kind: 'stopped', detail: '' }, 'ERR_CLOSED'],
      [{ kind: 'session_gone' }, 'ERR_CLOSED'],
      [{ kind: 'checkout_over' }, 'ERR_CLOSED'],
      [{ kind: 'timeout', of: 'dial', after: 1 }, 'ERR_PROXY_TIMEOUT'],
      [{ kind: 'timeout', of: 'checkout', after: 1 }, 'ERR_TIMEOUT'],
      [{ kind: 'aborted', of: 'acquire' }, 'ERR_ABORTED'],
      [{ kind: 'invalid_option', option: 'o', value: 0 }, 'ERR_USAGE'],
      [{ kind: 'unsuitable', version: 'h3', missing: 'datagrams' }, 'ERR_VERSION_UNSUPPORTED'],
      [{ kind: 'all_failed', attempts: [] }, 'ERR_INTERNAL'],
    ];
    for (const [failure, code] of table) {
      const error = new UpstreamError(failure);
      assert.ok(error.message.length > 0 || failure.kind === 'all_failed');
      const shown = bautaErrorOf(error);
      assert.deepEqual([shown.code, shown.cause], [code, error]);
    }
    const own = new BautaError('ERR_TLS');
    assert.equal(bautaErrorOf(own), own);
    assert.equal(bautaErrorOf(new Error('odd')).code, 'ERR_INTERNAL');
  });
});
