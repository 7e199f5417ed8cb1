"""What nodes keep for sequences, once more in the session: when a node is lost, another can go on with it.

Nodes send what each step adds (`Rules.mirror_bytes`), after its results, so an answer does not wait for it. A sequence
whose copy would be too large has none; it is read again when its nodes are lost.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hocket.program import Program, State
from hocket.runtime.happenings import Rows

_PIECE_BYTES = 1 << 20
"""Most that is brought to a node at once: its heartbeat must not wait long behind it."""


class Mirrored(NamedTuple):
    """What there is of a sequence."""

    positions: int
    """From the first one on."""
    nbytes: int


class _Copy:
    """Of one sequence."""

    def __init__(self, program: Program) -> None:
        self.names = frozenset(state.past for state in program.states)
        self.arrays: dict[str, np.ndarray] = {}
        self.filled: dict[str, int] = dict.fromkeys(self.names, 0)
        self.nbytes = 0

    @property
    def positions(self) -> int:
        return min(self.filled.values(), default=0)

    def add(self, state: State, rows: Rows, part: bytes | memoryview) -> None:
        if state.past not in self.arrays:
            self.arrays[state.past] = np.zeros(state.shape, state.dtype)  # memory is taken where it is written
        array = self.arrays[state.past]
        into = array[:, :, rows.start : rows.stop]
        into[...] = np.frombuffer(part, array.dtype).reshape(into.shape)
        self.nbytes += max(rows.stop - self.filled[state.past], 0) * _row_bytes(state)
        self.filled[state.past] = max(self.filled[state.past], rows.stop)


class Mirror:
    """Copies of the states of sequences; belongs to one thread, but for `find`.

    Args:
        most_bytes: of all copies.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._copies: dict[int, _Copy] = {}
        self._without: set[int] = set()
        """Sequences that have no copy any more."""
        self.nbytes = 0

    def keep(self, program: Program, sequence: int, rows: Rows) -> None:
        """A segment of a program has added something; what does not follow on what is there, or fits no state, is
        not taken."""
        states = [state for state in program.states if state.segment == rows.segment]
        sizes = [_row_bytes(state) * (rows.stop - rows.start) for state in states]
        if sequence in self._without or not states or len(rows.data) != sum(sizes) or rows.start >= rows.stop:
            return
        copy = self._copies.get(sequence) or self._copies.setdefault(sequence, _Copy(program))
        if copy.names != {state.past for state in program.states}:
            return  # its heads are divided in another way
        before = copy.nbytes
        place = 0
        for state, size in zip(states, sizes, strict=True):
            if rows.start <= copy.filled[state.past] and rows.stop <= state.shape[2]:
                copy.add(state, rows, memoryview(rows.data)[place : place + size])
            place += size
        self.nbytes += copy.nbytes - before
        if self.nbytes > self._most_bytes:
            self.forget(sequence)
            self._without.add(sequence)

    def find(self, sequence: int) -> Mirrored:
        """What there is of a sequence."""
        copy = self._copies.get(sequence)
        return Mirrored(0, 0) if copy is None else Mirrored(copy.positions, copy.nbytes)

    def pass_on(self, sequence: int, heir: int) -> None:
        """A sequence goes on as another one."""
        copy = self._copies.pop(sequence, None)
        if copy is not None:
            self._copies[heir] = copy

    def rows(self, program: Program, sequence: int, stop: int) -> list[Rows] | None:
        """What the segments of a program need to go on at a position; None = it is not there.

        Args:
            program: maybe another one than that which kept it; its segments have other layers.
            sequence: which.
            stop: so many positions.
        """
        copy = self._copies.get(sequence)
        if copy is None or copy.positions < stop or copy.names != {state.past for state in program.states}:
            return None
        return [
            rows
            for segment in dict.fromkeys(state.segment for state in program.states)
            for rows in _pieces(copy, [state for state in program.states if state.segment == segment], stop)
        ]

    def forget(self, sequence: int) -> None:
        """A sequence has ended."""
        self._without.discard(sequence)
        copy = self._copies.pop(sequence, None)
        if copy is not None:
            self.nbytes -= copy.nbytes


def _row_bytes(state: State) -> int:
    """Bytes of one position."""
    one, heads, _, *rest = state.shape
    return one * heads * math.prod(rest) * np.dtype(state.dtype).itemsize


def _pieces(copy: _Copy, states: Sequence[State], stop: int) -> Iterator[Rows]:
    step = max(_PIECE_BYTES // sum(_row_bytes(state) for state in states), 1)
    for start in range(0, stop, step):
        end = min(start + step, stop)
        data = b"".join(copy.arrays[state.past][:, :, start:end].tobytes() for state in states)
        yield Rows(states[0].segment, start, end, data)
