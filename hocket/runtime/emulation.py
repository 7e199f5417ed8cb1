"""Emulated links: honest across the processes of one computer.

Every `Resource` has one number, the moment it becomes free, in a file that all processes of a run map into memory.
A sender reserves its wire there under a lock, first come first served, and so learns when its bytes arrive; the real
bytes are sent at once and handed over at that moment. The monotonic clock is the same in all processes of a host.
"""

import bisect
import fcntl
import hashlib
import math
import mmap
import os
import secrets
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hocket.errors import FormatError, NodeError
from hocket.program import Resource, Wire

_MAGIC = b"hktlink1"
_HEAD = struct.Struct("<8s16sd")  # magic, id, origin
_SLOT = struct.Struct("<16sd")  # digest of the resource's name, when it is free
_SLOTS = 4096
_HORIZON_S = 1e7  # a transfer that would take longer never arrives
_MOST_STEPS = 100_000


class Ledger:
    """When each resource of a run becomes free, shared by all processes that open the same file."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        try:
            self._file = path.open("r+b")
        except OSError as error:
            raise FormatError(f"{path} cannot be opened ({error.strerror}); make a ledger with Ledger.create") from None
        try:
            self._map = mmap.mmap(self._file.fileno(), _HEAD.size + _SLOTS * _SLOT.size)
            magic, digest, _ = _HEAD.unpack_from(self._map)
        except (OSError, ValueError):
            magic, digest = b"", b""
        if magic != _MAGIC:
            self._file.close()
            raise FormatError(f"{path} is not a ledger of links; make one with Ledger.create")
        self.id = digest.hex()

    @classmethod
    def create(cls, path: str | Path) -> "Ledger":
        """Make a new file, for its owner alone, and open it."""
        path = Path(path)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(_HEAD.pack(_MAGIC, secrets.token_bytes(16), time.monotonic()))
            file.write(bytes(_SLOTS * _SLOT.size))
        return cls(path)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()
        self._file.close()

    @property
    def origin_s(self) -> float:
        """The moment at which every trace begins."""
        return float(_HEAD.unpack_from(self._map)[2])

    def restart(self, origin_s: float) -> None:
        """Free all resources and let the traces begin at a moment."""
        with self._locked():
            head = _HEAD.unpack_from(self._map)
            _HEAD.pack_into(self._map, 0, head[0], head[1], origin_s)
            for slot in range(_SLOTS):
                digest, _ = _SLOT.unpack_from(self._map, _HEAD.size + slot * _SLOT.size)
                _SLOT.pack_into(self._map, _HEAD.size + slot * _SLOT.size, digest, 0.0)

    def reserve(self, wire: Wire, resources: Sequence[Resource], nbytes: int, ready_s: float) -> tuple[float, float]:
        """Take the wire for one transfer.

        Args:
            wire: the way from one node to the next.
            resources: its resources, all of which are held together.
            nbytes: on the wire.
            ready_s: when the bytes are there to be sent.

        Returns:
            When the wire takes them and when they arrive.
        """
        with self._locked():
            places = [self._place(resource.name) for resource in resources]
            start_s = max([ready_s, *(_SLOT.unpack_from(self._map, place)[1] for place in places)])
            stop_s = self.origin_s + finish_s(resources, start_s - self.origin_s, nbytes) if places else start_s
            for place in places:
                digest, _ = _SLOT.unpack_from(self._map, place)
                _SLOT.pack_into(self._map, place, digest, stop_s)
        return start_s, stop_s + wire.latency_s

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _place(self, name: str) -> int:
        """Offset of a resource's slot; a new resource gets the next free one."""
        if name not in self._slots:
            wanted = hashlib.blake2b(name.encode(), digest_size=16).digest()
            for slot in range(_SLOTS):
                place = _HEAD.size + slot * _SLOT.size
                digest, _ = _SLOT.unpack_from(self._map, place)
                if digest == bytes(16):
                    _SLOT.pack_into(self._map, place, wanted, 0.0)
                if digest in (wanted, bytes(16)):
                    self._slots[name] = place
                    break
            else:
                raise NodeError(f"emulated links have at most {_SLOTS} resources, {name!r} is one more; use fewer")
        return self._slots[name]


def finish_s(resources: Sequence[Resource], start_s: float, nbytes: int) -> float:
    """When a transfer that starts at `start_s` has sent its last byte, at the least rate of its resources.

    >>> finish_s([Resource(name="a", bytes_per_s=100.0), Resource(name="b", bytes_per_s=50.0)], 1.0, 100)
    3.0
    """
    now_s, remaining = start_s, float(nbytes)
    if remaining and any(resource.trace and not any(rate for _, rate in resource.trace) for resource in resources):
        return start_s + _HORIZON_S
    for _ in range(_MOST_STEPS):
        if remaining <= 0:
            return now_s
        rates = [_rate(resource, now_s) for resource in resources]
        rate, until_s = (
            min((rate for rate, _ in rates), default=math.inf),
            min((until for _, until in rates), default=math.inf),
        )
        if rate == math.inf:
            return now_s
        if rate > 0 and now_s + remaining / rate <= until_s:
            return now_s + remaining / rate
        if until_s > start_s + _HORIZON_S:
            break
        remaining -= rate * (until_s - now_s)
        now_s = until_s
    return start_s + _HORIZON_S


def _rate(resource: Resource, at_s: float) -> tuple[float, float]:
    """Rate of a resource at a moment, and until when it stays so."""
    if not resource.trace:
        return resource.bytes_per_s or math.inf, math.inf
    period_s = resource.trace_s
    round_s = math.floor(at_s / period_s) * period_s if period_s else 0.0
    within_s = at_s - round_s
    index = max(bisect.bisect_right(resource.trace, within_s, key=lambda step: step[0]) - 1, 0)
    next_s = resource.trace[index + 1][0] if index + 1 < len(resource.trace) else (period_s or math.inf)
    until_s = round_s + (min(next_s, period_s) if period_s else next_s)
    return resource.trace[index][1], max(until_s, math.nextafter(at_s, math.inf))
