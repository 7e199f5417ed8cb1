"""Emulated links: honest across the processes of one computer.

Every `Resource` has one number, the moment it becomes free, in a file that all processes of a run map into memory.
A sender reserves its wire there under a lock, first come first served, and so learns when its bytes arrive; the real
bytes are sent at once and handed over at that moment. The monotonic clock is the same in all processes of a host.
"""

import fcntl
import hashlib
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
from hocket.program.sending import finish_s

_MAGIC = b"hktlink1"
_HEAD = struct.Struct("<8s16sd")  # magic, id, origin
_SLOT = struct.Struct("<16sd")  # digest of the resource's name, when it is free
_SLOTS = 4096
_HORIZON_S = 1e7  # a transfer that would take longer never arrives


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
            local_s = start_s - self.origin_s
            end_s = finish_s(resources, local_s, nbytes) if places else local_s
            stop_s = self.origin_s + min(end_s, local_s + _HORIZON_S)
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
