"""Sends datagrams through a SOCKS5 proxy by UDP ASSOCIATE and compares what an echo sends back."""

import argparse
import json

import socks

parser = argparse.ArgumentParser()
parser.add_argument("--proxy", required=True)
parser.add_argument("--user")
parser.add_argument("--target", action="append", required=True)
options = parser.parse_args()


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


host, port = address(options.proxy)
name, password = options.user.split(":", 1) if options.user else (None, None)
for target in options.target:
    sock = socks.socksocket(type=socks.socket.SOCK_DGRAM)
    sock.set_proxy(socks.SOCKS5, host, port, rdns=True, username=name, password=password)
    sock.settimeout(20)
    echoed = 0
    for size in (1, 100, 1200):
        payload = bytes([size % 256]) * size
        # The first datagram may meet a tunnel that is still being opened; UDP may lose any of them.
        for attempt in range(3):
            try:
                sock.sendto(payload, address(target))
                answer, source = sock.recvfrom(2000)
                break
            except socks.socket.timeout:
                if attempt == 2:
                    raise
        if answer != payload:
            raise SystemExit(f"{target}: {len(answer)} bytes came back instead of {size}")
        echoed += 1
    host_of_answer, port_of_answer = source
    if isinstance(host_of_answer, bytes):
        host_of_answer = host_of_answer.decode()
    print(json.dumps({"target": target, "echoed": echoed, "source": [host_of_answer, port_of_answer]}))
    sock.close()
