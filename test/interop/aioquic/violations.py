"""Protocol violations, each as the bytes that make it, over QUIC streams without an HTTP/3 stack on top."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.buffer import encode_uint_var as varint
from aioquic.quic.events import ConnectionTerminated, StopSendingReceived, StreamReset
from pylsqpack import Encoder

CONTROL, PUSH, QPACK_ENCODER = b"\x00", b"\x01", b"\x02"
DATA, HEADERS, CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID = 0, 1, 3, 4, 5, 7, 13


class RawPeer(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.events: asyncio.Queue = asyncio.Queue()

    def quic_event_received(self, event):
        if isinstance(event, (ConnectionTerminated, StreamReset, StopSendingReceived)):
            self.events.put_nowait(event)

    def unidirectional(self, data: bytes, end: bool = False) -> None:
        stream = self._quic.get_next_available_stream_id(is_unidirectional=True)
        self._quic.send_stream_data(stream, data, end)

    def bidirectional(self, data: bytes, end: bool = False) -> int:
        stream = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(stream, data, end)
        return stream

    def datagram(self, data: bytes) -> None:
        self._quic.send_datagram_frame(data)

    async def outcome(self, stream: bool) -> dict:
        while True:
            event = await self.events.get()
            if isinstance(event, ConnectionTerminated):
                return {"kind": "connection", "code": event.error_code, "reason": event.reason_phrase}
            if stream and isinstance(event, StreamReset):
                return {"kind": "stream", "code": event.error_code}


def frame(kind: int, payload: bytes) -> bytes:
    return varint(kind) + varint(len(payload)) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, b"".join(varint(name) + varint(value) for name, value in pairs))


#: ENABLE_CONNECT_PROTOCOL and H3_DATAGRAM
SANE = settings((0x8, 1), (0x33, 1))


def headers(fields: list[tuple[bytes, bytes]]) -> bytes:
    _, block = Encoder().encode(0, fields)
    return frame(HEADERS, block)


def without(fields, name: bytes):
    return [field for field in fields if field[0] != name]


@dataclass
class Violation:
    name: str
    act: Callable[[RawPeer, list], None]
    #: the answer expected is a reset of the stream, the connection goes on
    stream: bool = False


def control(payload: bytes, end: bool = False) -> Callable[[RawPeer, list], None]:
    return lambda peer, fields: peer.unidirectional(CONTROL + payload, end)


def request(make: Callable[[list], bytes], end: bool = False) -> Callable[[RawPeer, list], None]:
    def act(peer: RawPeer, fields: list) -> None:
        peer.unidirectional(CONTROL + SANE)
        peer.bidirectional(make(fields), end)

    return act


def datagram(payload: bytes) -> Callable[[RawPeer, list], None]:
    def act(peer: RawPeer, fields: list) -> None:
        peer.unidirectional(CONTROL + SANE)
        peer.datagram(payload)

    return act


def connect_with_datagram(peer: RawPeer, fields: list) -> None:
    peer.unidirectional(CONTROL + SANE)
    *_, host, port, _ = dict(fields)[b":path"].split(b"/")
    stream = peer.bidirectional(headers([(b":method", b"CONNECT"), (b":authority", host + b":" + port)]))
    peer.datagram(varint(stream // 4) + b"\x00x")


def two_unidirectional(first: bytes, second: bytes) -> Callable[[RawPeer, list], None]:
    def act(peer: RawPeer, fields: list) -> None:
        peer.unidirectional(first)
        peer.unidirectional(second)

    return act


violations = [
    Violation("control stream without SETTINGS", control(frame(GOAWAY, varint(0)))),
    Violation("DATA on the control stream", control(SANE + frame(DATA, b"x"))),
    Violation("HEADERS on the control stream", control(SANE + frame(HEADERS, b"x"))),
    Violation("SETTINGS twice", control(SANE + SANE)),
    Violation("a setting twice", control(settings((0x8, 1), (0x8, 1)))),
    Violation("H3_DATAGRAM of 2", control(settings((0x33, 2)))),
    Violation("ENABLE_CONNECT_PROTOCOL of 2", control(settings((0x8, 2)))),
    Violation("a setting of HTTP/2", control(settings((0x4, 1)))),
    Violation("control stream closed", control(SANE, end=True)),
    Violation("two control streams", two_unidirectional(CONTROL + SANE, CONTROL + SANE)),
    Violation("a push stream of a client", two_unidirectional(CONTROL + SANE, PUSH + varint(0))),
    Violation("MAX_PUSH_ID that falls", control(SANE + frame(MAX_PUSH_ID, varint(4)) + frame(MAX_PUSH_ID, varint(3)))),
    Violation("CANCEL_PUSH of no push", control(SANE + frame(CANCEL_PUSH, varint(7)))),
    Violation("GOAWAY that rises", control(SANE + frame(GOAWAY, varint(4)) + frame(GOAWAY, varint(8)))),
    Violation("QPACK table larger than allowed", two_unidirectional(CONTROL + SANE, QPACK_ENCODER + b"\x3f\x45")),
    Violation("QPACK encoder stream twice", two_unidirectional(QPACK_ENCODER, QPACK_ENCODER)),
    Violation("DATA before HEADERS", request(lambda fields: frame(DATA, b"x"))),
    Violation("a frame type of HTTP/2", request(lambda fields: frame(0x6, b"x"))),
    Violation("SETTINGS on a request", request(lambda fields: SANE)),
    Violation("PUSH_PROMISE of a client", request(lambda fields: frame(PUSH_PROMISE, b"\x00\x00\x00"))),
    Violation("a frame cut short", request(lambda fields: headers(fields)[:-3], end=True)),
    Violation("a dynamic table reference", request(lambda fields: frame(HEADERS, b"\x02\x00\x80"))),
    Violation("HEADERS after CONNECT", request(lambda fields: headers(fields) + headers([(b"a", b"b")]))),
    Violation("a quarter stream id out of range", datagram(varint(2**60) + b"\x00x")),
    Violation("a datagram without a stream id", datagram(b"")),
    Violation("a datagram of a request without datagrams", connect_with_datagram, stream=True),
    Violation("an upper-case field name", request(lambda fields: headers([*fields, (b"Upper", b"x")])), stream=True),
    Violation("a connection-specific field", request(lambda fields: headers([*fields, (b"connection", b"x")])), stream=True),
    Violation("extended CONNECT without a path", request(lambda fields: headers(without(fields, b":path"))), stream=True),
    Violation("an unknown pseudo-header", request(lambda fields: headers([(b":what", b"x"), *fields])), stream=True),
    Violation("a request cut off before its head", request(lambda fields: b"", end=True), stream=True),
    Violation(
        "a capsule cut short",
        request(lambda fields: headers(fields) + frame(DATA, b"\x00\x40\xff1234"), end=True),
        stream=True,
    ),
]
