import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../src/clock/system-clock.js';
import { decodeH3Settings, encodeH3Settings, type H3Settings } from '../../src/protocol/h3-settings.js';
import type { QuicAccept, QuicConnection } from '../../src/quic/connection.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import { createHttpDriver } from '../../src/upstream/http-driver.js';
import type { UpstreamOrigin } from '../../src/upstream/target.js';
import { testCertificate } from '../http/tcp/certificate.js';

const options = { timeout: 120_000 };
const certificate = testCertificate();
const none = (): void => undefined;

/** Dials a server that only exchanges SETTINGS; gives what each side saw of the other. */
async function exchange(h3Settings?: UpstreamOrigin['h3Settings']) {
  const server = createNativeEngine();
  const client = createNativeEngine();
  let quic: QuicConnection | undefined;
  let seen: (settings: H3Settings) => void = none;
  const settings = new Promise<H3Settings>((resolve) => {
    seen = resolve;
  });
  const accept: QuicAccept = (connection) => {
    quic = connection;
    const silent = { data: none, end: none, reset: none, stopped: none, drain: none, lost: none };
    const own = encodeH3Settings({ enableConnectProtocol: true, h3Datagram: true });
    // The control stream: its type, then SETTINGS (type 0x04).
    const control = Uint8Array.from([0x00, 0x04, own.length, ...own]);
    connection.openUnidirectional(silent).write(control, 0, control.length);
    return {
      datagram: none,
      maxDatagramSize: none,
      closed: none,
      stream(stream) {
        stream.grant(1_000);
        return {
          ...silent,
          data(bytes, start) {
            if (bytes[start] === 0x00 && bytes[start + 1] === 0x04) {
              seen(decodeH3Settings(bytes, start + 3, start + 3 + (bytes[start + 2] ?? 0)));
            }
          },
        };
      },
    };
  };
  const listener = await server.listen(
    {
      local: { address: '127.0.0.1', port: 0 },
      tls: { certificates: [certificate], alpn: ['h3'] },
    },
    accept,
  );
  const driver = createHttpDriver({ clock: systemClock, engine: () => client, resolve: async () => [] });
  const connection = await driver.dial(
    {
      host: '127.0.0.1',
      port: listener.localAddress.port,
      version: 'h3',
      tls: { trust: { mode: 'ca', ca: certificate.cert } },
      ...(h3Settings ? { h3Settings } : {}),
    },
    AbortSignal.timeout(60_000),
  );
  const sent = await settings;
  const result = {
    sent,
    datagramsHere: connection.settings.datagrams,
    quicDatagrams: quic?.maxDatagramSize ?? 0,
  };
  await connection.close();
  await Promise.all([client.close(), server.close()]);
  return result;
}

describe('the settings of an HTTP/3 dial', { ...options, timeout: 600_000 }, () => {
  test('O2: extended CONNECT and HTTP datagrams are always enabled', options, async () => {
    const { sent, datagramsHere, quicDatagrams } = await exchange();
    assert.deepEqual([sent.enableConnectProtocol, sent.h3Datagram, datagramsHere], [true, true, true]);
    assert.ok(quicDatagrams > 1_200);
  });

  test("O2: the user's settings win over them, and QUIC's datagrams stay on", options, async () => {
    const { sent, datagramsHere, quicDatagrams } = await exchange({
      h3Datagram: false,
      maxFieldSectionSize: 5_000,
    });
    assert.deepEqual([sent.enableConnectProtocol, sent.h3Datagram, datagramsHere], [true, false, false]);
    assert.equal(sent.maxFieldSectionSize, 5_000);
    assert.ok(quicDatagrams > 1_200, 'the transport parameter is there');
  });
});
