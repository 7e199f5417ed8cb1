"""Memory for the states of one segment: a row for each sequence, so that rows beside each other are one tensor.

Memory is reserved at once and taken page by page, when it is first written: rows that are free cost nothing.
"""

import contextlib
import heapq
import math
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

from hocket.errors import NodeError
from hocket.program import State

MOST_ROWS = 16
"""Of a pool; more sequences need another one."""


class Pool:
    """Rows of buffers.

    Args:
        states: of the segment.
        binding: makes a binding of its session.
        rows: that are wanted; there are fewer where memory cannot be reserved for so many.

    Raises:
        NodeError: there is no memory for one.
    """

    def __init__(self, states: tuple[State, ...], binding: Callable[[], Any], rows: int = MOST_ROWS) -> None:
        self.most = min(state.shape[2] for state in states)
        """Positions of a row."""
        self._states, self._binding = states, binding
        count, self._areas = _reserved(states, rows)
        self._arrays = [_array(state, area, count) for state, area in zip(states, self._areas, strict=True)]
        self._free = list(range(count))
        self.filled = [0] * count
        """Positions that each row has so far."""
        self._bindings: dict[range, Any] = {}

    @property
    def full(self) -> bool:
        """Whether no row is free."""
        return not self._free

    @property
    def unused(self) -> bool:
        """Whether every row is free."""
        return len(self._free) == len(self.filled)

    def take(self) -> int:
        """The lowest free row: rows in use stay close together."""
        row = heapq.heappop(self._free)
        self.filled[row] = 0  # again: a run that was under way when it was given back may have filled it since
        return row

    def give_back(self, row: int) -> None:
        """A row is free again, and its memory the system's, but for pages that it shares with its neighbours."""
        heapq.heappush(self._free, row)
        self.filled[row] = 0
        for state, area in zip(self._states, self._areas, strict=True):
            _discard(area, row * state.nbytes, (row + 1) * state.nbytes)

    def copy(self, row: int, start: int, stop: int) -> bytes:
        """Some positions of a row, of one state after the other."""
        return b"".join(array[row, :, :, start:stop].tobytes() for array in self._arrays)

    def put(self, row: int, start: int, stop: int, data: memoryview) -> None:
        """Write what `copy` gave.

        Raises:
            NodeError: it is not of these states.
        """
        parts = [array[row, :, :, start:stop] for array in self._arrays]
        nbytes = sum(part.nbytes for part in parts)
        if len(data) != nbytes:
            raise NodeError(
                f"positions {start} to {stop - 1} of these states have {nbytes} bytes, got {len(data)}; bring what"
                " such a segment has kept"
            )
        place = 0
        for part in parts:
            part[...] = np.frombuffer(data[place : place + part.nbytes], part.dtype).reshape(part.shape)
            place += part.nbytes
        self.filled[row] = max(self.filled[row], stop)

    def bound(self, rows: range) -> Any:
        """A binding of the session to some rows as past and present; made once."""
        if rows not in self._bindings:
            binding = self._bindings[rows] = self._binding()
            for state, array in zip(self._states, self._arrays, strict=True):
                part = array[rows.start : rows.stop].reshape(len(rows) * state.shape[0], *state.shape[1:])
                place = ("cpu", 0, part.dtype, part.shape, part.ctypes.data)
                binding.bind_input(state.past, *place)
                binding.bind_output(state.present, *place)
        return self._bindings[rows]


def together(rows: list[int], filled: list[int], most: int) -> list[range]:
    """Put rows that have something to compute into few ranges.

    Rows between them take part without need, so at least half of a range has something to compute. What they compute is
    written behind what they have, so a full one has no place for it and is not between.

    Args:
        rows: rising.
        filled: positions of each row of the pool.
        most: positions of a full one.

    >>> together([0, 2, 3, 9], [5] * 10, 8)
    [range(0, 4), range(9, 10)]
    >>> together([0, 2], [5, 8, 5], 8)
    [range(0, 1), range(2, 3)]
    """
    found: list[range] = []
    start = 0
    while start < len(rows):
        stop = start + 1
        for end in range(start + 1, len(rows)):
            between = range(rows[end - 1] + 1, rows[end])
            if any(filled[row] >= most for row in between):
                break
            if 2 * (end + 1 - start) >= rows[end] + 1 - rows[start]:
                stop = end + 1
        found.append(range(rows[start], rows[stop - 1] + 1))
        start = stop
    return found


def _reserved(states: tuple[State, ...], rows: int) -> tuple[int, list[mmap.mmap]]:
    """As many rows as memory can be reserved for, and their memory for each state."""
    while rows:
        # Shared memory: the limit of a node's process counts what may be written privately, used or not.
        with contextlib.suppress(OSError, OverflowError, MemoryError):
            return rows, [mmap.mmap(-1, max(rows * state.nbytes, 1)) for state in states]
        rows //= 2
    raise NodeError(
        f"there is no memory for the {sum(state.nbytes for state in states)} bytes of a sequence of segment"
        f" {states[0].segment!r}; place less on this node, or give it more"
    )


def _array(state: State, area: mmap.mmap, rows: int) -> np.ndarray:
    count = rows * math.prod(state.shape)
    return np.frombuffer(area, state.dtype, count).reshape(rows, *state.shape)


def _discard(area: mmap.mmap, start: int, stop: int) -> None:
    """Give the pages that lie wholly between two bytes back to the system, where it can take them."""
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = stop // mmap.PAGESIZE * mmap.PAGESIZE
    advice = getattr(mmap, "MADV_REMOVE", None)
    if advice is not None and last > first:
        with contextlib.suppress(OSError):
            area.madvise(advice, first, last - first)
