"""An impaired path between two network namespaces, over one TUN device in each.

    impair.py NEAR FAR --delay MS [--jitter MS] [--reorder] [--loss PERCENT] [--rate MBIT] [--queue BYTES]
              [--seed N] [--congestion NAME]

NEAR gets 10.77.0.1, FAR 10.77.0.2, and TCP between them the congestion control NAME. Both directions are alike and
have random numbers of their own. A packet takes this way, netem's without its surprises:

1. the bottleneck: a link of RATE with a drop-tail queue of QUEUE bytes;
2. loss: each packet by itself, drawn from SEED, whatever its size;
3. delay: DELAY, and where there is jitter an addition between -JITTER and +JITTER. With --reorder each packet draws
   its own, so packets overtake each other. Without, the addition is drawn anew every 10 ms and no packet overtakes.

Prints {"event":"up"} when the path is there. "reset N" on standard input sets the seed and the counters; "tell"
prints the counters as one line of JSON; the end of standard input ends the path and removes the devices.
"""

import argparse
import fcntl
import gc
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
from time import monotonic

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
LARGEST = 1500
#: Packets taken from one device before the other has its turn.
TURN = 64
JITTER_INTERVAL = 0.010


def open_tun(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def place(name: str, namespace: str, address: str, congestion: str) -> None:
    """Moves a device to its namespace, where it becomes the way to the other one."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    ip("link", "set", name, "netns", namespace, "name", "path0")
    ip("-n", namespace, "address", "add", f"{address}/24", "dev", "path0")
    # The queue of the path is the one below, never the device's.
    ip("-n", namespace, "link", "set", "path0", "mtu", str(LARGEST), "txqueuelen", "20000", "up")
    ip("-n", namespace, "link", "set", "lo", "up")
    ip("-n", namespace, "route", "replace", "10.77.0.0/24", "dev", "path0", "congctl", congestion)


class Direction:
    def __init__(self, arguments, source: int, sink: int, name: str):
        self.arguments, self.source, self.sink, self.name = arguments, source, sink, name
        self.seconds_per_byte = 8 / (arguments.rate * 1e6) if arguments.rate else 0.0
        self.delay, self.jitter = arguments.delay / 1e3, arguments.jitter / 1e3
        self.loss = arguments.loss / 100
        self.waiting: list[tuple[float, int, bytes]] = []
        self.number = 0
        self.reset(arguments.seed)

    def reset(self, seed: int) -> None:
        self.losses = random.Random(f"{seed} loss {self.name}")
        self.additions = random.Random(f"{seed} jitter {self.name}")
        self.addition, self.addition_until = 0.0, 0.0
        self.free_at = self.last_out = 0.0
        self.packets = self.bytes = self.lost = self.overflowed = self.refused = 0
        #: Packets by the time that they waited for the link and by how late they left, in milliseconds.
        self.queued: dict[int, int] = {}
        self.late: dict[int, int] = {}

    def jittered(self, now: float) -> float:
        if not self.jitter:
            return 0.0
        if self.arguments.reorder:
            return self.additions.uniform(-self.jitter, self.jitter)
        if now >= self.addition_until:
            self.addition = self.additions.uniform(-self.jitter, self.jitter)
            self.addition_until = now + JITTER_INTERVAL
        return self.addition

    def take(self, packet: bytes, now: float) -> None:
        size = len(packet)
        self.packets += 1
        self.bytes += size
        sent = now
        if self.seconds_per_byte:
            waits = max(0.0, self.free_at - now)
            if self.arguments.queue and waits / self.seconds_per_byte + size > self.arguments.queue:
                self.overflowed += 1
                return
            milliseconds = int(waits * 1e3)
            self.queued[milliseconds] = self.queued.get(milliseconds, 0) + 1
            sent = self.free_at = now + waits + size * self.seconds_per_byte
        if self.losses.random() < self.loss:
            self.lost += 1
            return
        out = sent + self.delay + self.jittered(sent)
        if not self.arguments.reorder:
            out = self.last_out = max(out, self.last_out)
        self.number += 1
        heapq.heappush(self.waiting, (out, self.number, packet))

    def receive(self) -> bool:
        """True when there may be more."""
        for _ in range(TURN):
            try:
                packet = os.read(self.source, LARGEST)
            except BlockingIOError:
                return False
            # IPv6 is neighbour discovery only.
            if packet[0] >> 4 == 4:
                self.take(packet, monotonic())
        return True

    def send(self) -> None:
        now = monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            out, _, packet = heapq.heappop(self.waiting)
            milliseconds = int((now - out) * 1e3)
            self.late[milliseconds] = self.late.get(milliseconds, 0) + 1
            try:
                os.write(self.sink, packet)
            except OSError:
                self.refused += 1

    def counters(self) -> dict:
        return {
            "packets": self.packets,
            "bytes": self.bytes,
            "lost": self.lost,
            "overflowed": self.overflowed,
            "refused": self.refused,
            "queuedMs": shares(self.queued),
            "lateMs": shares(self.late),
        }


def shares(histogram: dict[int, int]) -> dict[str, int]:
    total, seen, found = sum(histogram.values()), 0, {"p50": 0, "p99": 0, "max": 0}
    for milliseconds in sorted(histogram):
        before, seen = seen, seen + histogram[milliseconds]
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            if before < share * total <= seen:
                found[name] = milliseconds
        found["max"] = milliseconds
    return found


def run(directions: list[Direction]) -> None:
    commands = sys.stdin.fileno()
    sources = {direction.source: direction for direction in directions}
    while True:
        due = [direction.waiting[0][0] for direction in directions if direction.waiting]
        timeout = max(0.0, min(due) - monotonic()) if due else None
        readable, _, _ = select.select([*sources, commands], [], [], timeout)
        for device in readable:
            if device in sources:
                sources[device].receive()
        for direction in directions:
            direction.send()
        if commands in readable:
            line = sys.stdin.readline().split()
            if not line:
                return
            if line[0] == "reset":
                for direction in directions:
                    direction.reset(int(line[1]))
            print(json.dumps({direction.name: direction.counters() for direction in directions}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("near")
    parser.add_argument("far")
    parser.add_argument("--delay", type=float, required=True)
    parser.add_argument("--jitter", type=float, default=0)
    parser.add_argument("--reorder", action="store_true")
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--queue", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--congestion", default="cubic")
    arguments = parser.parse_args()
    devices = []
    for namespace, end in ((arguments.near, "1"), (arguments.far, "2")):
        name = f"bp{os.getpid()}-{end}"
        devices.append(open_tun(name))
        place(name, namespace, f"10.77.0.{end}", arguments.congestion)
    near, far = devices
    try:
        # It needs little time, but at the right moment.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass
    gc.disable()
    print(json.dumps({"event": "up"}), flush=True)
    run([Direction(arguments, near, far, "up"), Direction(arguments, far, near, "down")])


main()
