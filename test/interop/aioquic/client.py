"""An unrelated HTTP/3 client for the interoperability tests: aioquic.

    client.py echo --proxy HOST:PORT --ca F --target HOST:PORT --auth NAME:PASSWORD
    client.py violations --proxy HOST:PORT --ca F --auth NAME:PASSWORD --target HOST:PORT [--only NAME]

Prints one JSON object a line: an echoed payload, or what a violation was answered with.
"""

import argparse
import asyncio
import base64
import json
import os
from urllib.parse import quote

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DatagramReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated

from violations import RawPeer, violations


def configuration(ca: str) -> QuicConfiguration:
    made = QuicConfiguration(
        is_client=True,
        alpn_protocols=H3_ALPN,
        max_datagram_frame_size=65536,
        max_datagram_size=1350,
        idle_timeout=20,
    )
    made.load_verify_locations(ca)
    return made


class Http3Peer(QuicConnectionProtocol):
    """HTTP/3 as aioquic does it, with the responses and datagrams of each stream in queues."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # This flag is how aioquic is told to offer HTTP datagrams and extended CONNECT.
        self.http = H3Connection(self._quic, enable_webtransport=True)
        self.queues: dict[int, asyncio.Queue] = {}

    def queue(self, stream: int) -> asyncio.Queue:
        return self.queues.setdefault(stream, asyncio.Queue())

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            for queue in self.queues.values():
                queue.put_nowait(event)
        for made in self.http.handle_event(event):
            if isinstance(made, (HeadersReceived, DatagramReceived)):
                self.queue(made.stream_id).put_nowait(made)


def request(authority: str, target: str, auth: str) -> list[tuple[bytes, bytes]]:
    host, port = target.rsplit(":", 1)
    path = f"/.well-known/masque/udp/{quote(host.strip('[]'), safe='')}/{port}/"
    fields = [
        (b":method", b"CONNECT"),
        (b":protocol", b"connect-udp"),
        (b":scheme", b"https"),
        (b":authority", authority.encode()),
        (b":path", path.encode()),
        (b"capsule-protocol", b"?1"),
    ]
    if auth:
        fields.append((b"authorization", b"Basic " + base64.b64encode(auth.encode())))
    return fields


async def echo_tunnel(peer: Http3Peer, authority: str, target: str, auth: str, index: int) -> None:
    stream = peer._quic.get_next_available_stream_id()
    queue = peer.queue(stream)
    peer.http.send_headers(stream, request(authority, target, auth))
    peer.transmit()
    answer = await asyncio.wait_for(queue.get(), 5)
    if not isinstance(answer, HeadersReceived):
        raise RuntimeError(f"no response: {answer}")
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    sizes = []
    for size in (0, 1, 1200):
        payload = os.urandom(size)
        for _ in range(5):
            peer.http.send_datagram(stream, b"\x00" + payload)
            peer.transmit()
            try:
                event = await asyncio.wait_for(queue.get(), 1)
            except asyncio.TimeoutError:
                continue
            if isinstance(event, DatagramReceived) and event.data == b"\x00" + payload:
                sizes.append(size)
                break
    print(json.dumps({"tunnel": index, "status": headers[":status"], "sizes": sizes, "headers": headers}), flush=True)


async def echo(host: str, port: int, arguments) -> None:
    async with connect(host, port, configuration=configuration(arguments.ca), create_protocol=Http3Peer) as peer:
        authority = f"{host}:{port}"
        for first in range(0, 10, 5):
            await asyncio.gather(
                *(echo_tunnel(peer, authority, arguments.target, arguments.auth, first + i) for i in range(5))
            )


async def violate(host: str, port: int, arguments) -> None:
    fields = request(f"{host}:{port}", arguments.target, arguments.auth)
    for violation in violations:
        if arguments.only and violation.name != arguments.only:
            continue
        async with connect(
            host, port, configuration=configuration(arguments.ca), create_protocol=RawPeer, wait_connected=True
        ) as peer:
            violation.act(peer, fields)
            peer.transmit()
            try:
                outcome = await asyncio.wait_for(peer.outcome(violation.stream), 5)
            except asyncio.TimeoutError:
                outcome = {"kind": "nothing"}
            print(json.dumps({"violation": violation.name, **outcome}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["echo", "violations"])
    parser.add_argument("--proxy", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--target", default="127.0.0.1:9")
    parser.add_argument("--auth", default="")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    host, port = arguments.proxy.rsplit(":", 1)
    run = echo if arguments.mode == "echo" else violate
    asyncio.run(run(host, int(port), arguments))


main()
