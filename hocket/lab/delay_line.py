"""`delay_line.py FILE`: holds packets back for as long as a link's latency is.

It stands in for the kernel's `netem` where there is none. Each node's namespace sends the packets that have to wait
out of a device whose other end is read here; after their time they go back the same way and on to the node. Order is
kept between two nodes. A packet takes it some 20 us, so it is for links of some 100 Mbit/s and not for faster ones.
"""

import contextlib
import heapq
import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

_ALL_PROTOCOLS = 3
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE, _PACKET_IGNORE_OUTGOING, _SOL_PACKET = 33, 32, 23, 263
_BUFFER_BYTES = 64 << 20
_MOST_FRAME_BYTES = 1 << 16
_MOST_AT_ONCE = 64
_LOOK_S = 0.02
"""How often it looks whether its file has changed."""
_SOURCE, _IPV4_AT, _IPV4 = slice(26, 30), slice(12, 14), b"\x08\x00"


class DelayLine:
    """Frames that wait for their time.

    >>> line = DelayLine({"l1": {"10.77.0.2": 0.5}})
    >>> line.due_s("l1", bytes(12) + _IPV4 + bytes(12) + bytes([10, 77, 0, 2]), 1.0)
    1.5
    """

    def __init__(self, delays: dict[str, dict[str, float]]) -> None:
        self._latency_s = {
            (device, socket.inet_aton(host)): latency_s
            for device, hosts in delays.items()
            for host, latency_s in hosts.items()
        }

    def due_s(self, device: str, frame: bytes, now_s: float) -> float:
        """When a frame may go on."""
        return now_s + self._latency_s.get((device, frame[_SOURCE]), 0.0)


def _open(device: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    opened.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER_BYTES)
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    opened.bind((device, _ALL_PROTOCOLS))
    opened.setblocking(False)
    return opened


def _frames(source: socket.socket) -> list[bytes]:
    frames: list[bytes] = []
    with contextlib.suppress(BlockingIOError):
        while len(frames) < _MOST_AT_ONCE:
            frames.append(source.recv(_MOST_FRAME_BYTES))
    return [frame for frame in frames if frame[_IPV4_AT] == _IPV4]


def main(arguments: Sequence[str]) -> None:
    """Serve until it is killed."""
    path, numbers, read_at = Path(arguments[0]), count(), -1
    line, sockets = DelayLine({}), dict[socket.socket, str]()
    waiting: list[tuple[float, int, socket.socket, bytes]] = []
    look_s = 0.0
    while True:
        now_s = time.monotonic()
        if now_s >= look_s:
            look_s = now_s + _LOOK_S
            changed_at = path.stat().st_mtime_ns
            if changed_at != read_at:
                delays, read_at = json.loads(path.read_bytes()), changed_at
                line = DelayLine(delays)
                sockets |= {_open(device): device for device in set(delays) - set(sockets.values())}
        while waiting and waiting[0][0] <= now_s:
            _, _, back, frame = heapq.heappop(waiting)
            with contextlib.suppress(BlockingIOError):  # lost, as where a device's queue is full
                back.send(frame)
        until_s = min(waiting[0][0] if waiting else look_s, look_s)
        ready, _, _ = select.select(list(sockets), [], [], max(until_s - time.monotonic(), 0.0))
        now_s = time.monotonic()
        for source in ready:
            for frame in _frames(source):
                heapq.heappush(waiting, (line.due_s(sockets[source], frame, now_s), next(numbers), source, frame))


if __name__ == "__main__":
    main(sys.argv[1:])
