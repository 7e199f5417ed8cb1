"""What nodes keep for sequences, once more in the session: when a node is lost, another can go on with it.

Nodes send what each step adds (`Rules.mirror_bytes`), after its results. A sequence whose copy would be too large has
none; it is read again when its nodes are lost.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hocket.program import Program, State
from hocket.runtime.happenings import Rows

NO_COPY = "there is no copy of its states that this plan can go on with; read the sequence again from its beginning"
_PIECE_BYTES = 1 << 18
"""Most that is brought to a node in one message."""
_LEAST_ROOM = 16
"""Positions that memory is taken for at first; then twice as many each time."""


class Mirrored(NamedTuple):
    """What there is of a sequence."""

    positions: int
    """From the first one on."""
    nbytes: int


class _Copy:
    """Of one sequence."""

    def __init__(self) -> None:
        self.filled: dict[str, int] = {}
        """State -> positions."""
        self.arrays: dict[str, np.ndarray] = {}

    @property
    def positions(self) -> int:
        return min(self.filled.values(), default=0)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def add(self, state: State, rows: Rows, part: memoryview) -> int:
        """Take in some positions; how many bytes more are held now."""
        filled, name = self.filled[state.past], state.past
        array = self.arrays.get(name, np.empty((*state.shape[:2], 0, *state.shape[3:]), state.dtype))
        held = array.nbytes
        if rows.stop > array.shape[2]:
            room = min(max(2 * array.shape[2], rows.stop, _LEAST_ROOM), state.shape[2])
            longer = np.empty((*state.shape[:2], room, *state.shape[3:]), state.dtype)
            longer[:, :, :filled] = array[:, :, :filled]
            array = self.arrays[name] = longer
        into = array[:, :, rows.start : rows.stop]
        into[...] = np.frombuffer(part, array.dtype).reshape(into.shape)
        self.filled[name] = max(filled, rows.stop)
        return array.nbytes - held


class Mirror:
    """Copies of the states of sequences; belongs to one thread, but for `find`.

    Args:
        most_bytes: of all copies.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._copies: dict[int, _Copy | None] = {}
        """Of the sequences that have not ended; None = one that has become too large."""
        self.nbytes = 0

    def open(self, sequence: int, heir_of: int | None = None) -> None:
        """A request of a sequence has come: its copy begins, goes on, or is that of another one."""
        if self._most_bytes and heir_of in self._copies:
            self._copies[sequence] = self._copies.pop(heir_of)
        elif self._most_bytes and sequence not in self._copies:
            self._copies[sequence] = _Copy()

    def keep(self, program: Program, sequence: int, rows: Rows) -> None:
        """A segment of a program has added something; what does not follow on what is there, or fits no state, is
        not taken."""
        copy = self._copies.get(sequence)
        states = [state for state in program.states if state.segment == rows.segment]
        sizes = [_row_bytes(state) * (rows.stop - rows.start) for state in states]
        if copy is None or not states or len(rows.data) != sum(sizes) or rows.start >= rows.stop:
            return
        if not copy.filled:
            copy.filled = {state.past: 0 for state in program.states}
        if copy.filled.keys() != {state.past for state in program.states}:
            return  # its heads are divided in another way
        place = 0
        for state, size in zip(states, sizes, strict=True):
            if rows.start <= copy.filled[state.past] and rows.stop <= state.shape[2]:
                self.nbytes += copy.add(state, rows, memoryview(rows.data)[place : place + size])
            place += size
        if self.nbytes > self._most_bytes:
            self.nbytes -= copy.nbytes
            self._copies[sequence] = None

    def find(self, sequence: int) -> Mirrored:
        """What there is of a sequence."""
        copy = self._copies.get(sequence)
        return Mirrored(0, 0) if copy is None else Mirrored(copy.positions, copy.nbytes)

    def rows(self, program: Program | None, sequence: int, stop: int) -> dict[str, Iterator[Rows]] | None:
        """What the segments of a program need to go on at a position; None = it is not there.

        Args:
            program: maybe another one than that which kept it; its segments have other layers.
            sequence: which.
            stop: so many positions.

        Returns:
            Node -> pieces, made when they are drawn.
        """
        copy = self._copies.get(sequence)
        if copy is None or program is None or copy.positions < stop:
            return None
        if copy.filled.keys() != {state.past for state in program.states}:
            return None
        found: dict[str, list[list[State]]] = {}
        for segment in program.segments:
            states = [state for state in program.states if state.segment == segment.id]
            if states:
                found.setdefault(segment.node, []).append(states)
        return {node: _pieces(copy, groups, stop) for node, groups in found.items()}

    def forget(self, sequence: int) -> None:
        """A sequence has ended; what still comes of it is not taken."""
        copy = self._copies.pop(sequence, None)
        if copy is not None:
            self.nbytes -= copy.nbytes


def _row_bytes(state: State) -> int:
    """Bytes of one position."""
    return state.nbytes // state.shape[2]


def _pieces(copy: _Copy, groups: Sequence[Sequence[State]], stop: int) -> Iterator[Rows]:
    for states in groups:
        step = max(_PIECE_BYTES // sum(_row_bytes(state) for state in states), 1)
        for start in range(0, stop, step):
            end = min(start + step, stop)
            data = b"".join(copy.arrays[state.past][:, :, start:end].tobytes() for state in states)
            yield Rows(states[0].segment, start, end, data)
