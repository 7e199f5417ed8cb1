"""Weights of a node, by the hash of their content: sent once, shared by programs, checked on arrival."""

import math

import numpy as np

from hocket.errors import FormatError, NodeError
from hocket.program import tensor_hash
from hocket.runtime.codecs import DTYPES

_MOST_PARTIAL = 64


class WeightStore:
    """Holds weights; those that no program uses are let go, oldest first, beyond a limit.

    Args:
        most_bytes: most that it may hold at all; 0 = not limited.
        spare_bytes: most that it holds of weights that no program uses.
    """

    def __init__(self, *, most_bytes: int = 0, spare_bytes: int = 1 << 30) -> None:
        self._most_bytes, self._spare_bytes = most_bytes, spare_bytes
        self._whole: dict[str, np.ndarray] = {}
        self._partial: dict[str, tuple[np.ndarray, int]] = {}
        self._users: dict[str, set[str]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes held, those of unfinished weights included."""
        return sum(array.nbytes for array in self._whole.values()) + sum(a.nbytes for a, _ in self._partial.values())

    def lacking(self, hashes: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the hashes that are not held, in their order."""
        return tuple(sha256 for sha256 in hashes if sha256 not in self._whole)

    def add(self, sha256: str, array: np.ndarray) -> None:
        """Take a whole weight."""
        self._whole[sha256] = array

    def get(self, sha256: str) -> np.ndarray:
        """A weight that is held.

        Raises:
            NodeError: it is not.
        """
        if sha256 not in self._whole:
            raise NodeError(f"weight {sha256[:12]} is not held here; send it before the program")
        return self._whole[sha256]

    def piece(self, sha256: str, dtype: str, shape: tuple[int, ...], offset: int, data: memoryview) -> None:
        """Take the next piece of a weight; a piece at 0 begins anew.

        Raises:
            FormatError: it does not fit what came before, or the content is not what the hash says.
            NodeError: there is no room.
        """
        if sha256 in self._whole:
            return
        if offset == 0:
            self._partial[sha256] = (self._room(sha256, dtype, shape), 0)
        array, filled = self._partial.get(sha256, (np.empty(0), -1))
        place = array.reshape(-1).view(np.uint8)
        if offset != filled or offset + data.nbytes > place.nbytes or (not data.nbytes and place.nbytes):
            self._partial.pop(sha256, None)
            raise FormatError(
                f"a piece of {data.nbytes} bytes at {offset} does not continue weight {sha256[:12]}, which has"
                f" {max(filled, 0)} of {place.nbytes}; begin again at 0"
            )
        place[offset : offset + data.nbytes] = np.frombuffer(data, np.uint8)
        self._partial[sha256] = (array, offset + data.nbytes)
        if offset + data.nbytes == place.nbytes:
            self._finish(sha256, array)

    def use(self, program: str, hashes: tuple[str, ...]) -> None:
        """Keep weights for as long as a program is held."""
        for sha256 in hashes:
            self._users.setdefault(sha256, set()).add(program)

    def release(self, program: str) -> None:
        """A program is gone; its weights stay as spares while there is room."""
        for sha256 in list(self._users):
            self._users[sha256].discard(program)
            if not self._users[sha256]:
                del self._users[sha256]
        self._trim(self._spare_bytes)

    def _room(self, sha256: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        if dtype not in DTYPES:
            raise FormatError(f"weight {sha256[:12]} has type {dtype!r}; weights have plain numpy types")
        nbytes = math.prod(shape) * np.dtype(dtype).itemsize
        self._partial.pop(sha256, None)
        if len(self._partial) >= _MOST_PARTIAL:
            self._partial.pop(next(iter(self._partial)))
        if self._most_bytes and self.nbytes + nbytes > self._most_bytes:
            self._trim(0)
        if self._most_bytes and self.nbytes + nbytes > self._most_bytes:
            raise NodeError(
                f"a weight of {nbytes} bytes does not fit beside {self.nbytes} of {self._most_bytes};"
                " raise --memory-limit or place less on this node"
            )
        try:
            return np.empty(shape, dtype)
        except (MemoryError, ValueError):
            raise NodeError(f"there is no memory for a weight of {nbytes} bytes; place less on this node") from None

    def _finish(self, sha256: str, array: np.ndarray) -> None:
        del self._partial[sha256]
        found = tensor_hash(array)
        if found != sha256:
            raise FormatError(f"a weight has hash {found[:12]} and was announced as {sha256[:12]}; send it again")
        array.setflags(write=False)
        self._whole[sha256] = array

    def _trim(self, keep_bytes: int) -> None:
        spare = [sha256 for sha256 in self._whole if sha256 not in self._users]
        held = sum(self._whole[sha256].nbytes for sha256 in spare)
        for sha256 in spare:
            if held <= keep_bytes:
                return
            held -= self._whole.pop(sha256).nbytes
