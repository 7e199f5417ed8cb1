"""What stays on a node between the requests of a sequence: buffers that segments read and write in place.

A sequence's buffers are a row of a pool, taken when its first positions come, and given back when it has ended. A
request that goes on where nothing was kept (another node has taken over) is refused: whoever steers the sequence lets
it be read again. Requests of several sequences are computed as one where their segment allows it: its weights are read
once for all of them.
"""

import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hocket.errors import HocketError, NodeError
from hocket.runtime import wire
from hocket.runtime.executable import Executable
from hocket.runtime.pool import MOST_ROWS, Pool, together
from hocket.runtime.stacking import Request, Run, Values, compute, rounds

GONE = "has not kept"
"""In the sentence of a node that was asked to go on with a sequence that it does not know."""


class _Row(NamedTuple):
    """Where a sequence's buffers of one segment are."""

    pool: Pool
    number: int
    nbytes: int


class States:
    """What a program keeps for its sequences on one node.

    Args:
        room: whether so many more bytes may be held.
    """

    def __init__(self, room: Callable[[int], bool]) -> None:
        self._room = room
        self._kept: dict[int, dict[str, _Row]] = {}
        self._pools: dict[str, list[Pool]] = {}
        self._lock = threading.Lock()  # steps run on the compute lane, releases on the event loop
        self.nbytes = 0
        self.runs: Tally[int] = Tally()
        """How often so many requests were computed at once."""

    def step(self, executable: Executable, inputs: Mapping[str, np.ndarray], step: wire.Step | None) -> Values:
        """Compute a segment with what is kept for the request's sequence.

        Raises:
            NodeError: it cannot go on there, or there is no room.
        """
        if step is None:
            raise NodeError(
                f"segment {executable.segment.id!r} keeps states, and a request came without its sequence; name one"
            )
        (found,) = self.steps(executable, [(inputs, step)])
        if isinstance(found, HocketError):
            raise found
        return found

    def steps(self, executable: Executable, requests: Sequence[Request]) -> list[Values | HocketError]:
        """Compute a segment for several requests, in as few runs as there can be.

        Args:
            executable: the segment; without `stacks` it is given one request.
            requests: in their order; of one sequence the earlier are computed first.

        Returns:
            What each made, or why it cannot.
        """
        found: dict[int, Values | HocketError] = {}
        for numbers in rounds(requests):
            for run in self._runs(executable, requests, numbers, found):
                found.update(self._computed(executable, requests, run))
        return [found[number] for number in range(len(requests))]

    def copy(self, executable: Executable, step: wire.Step) -> bytes | None:
        """What a step has added to its sequence, as bytes; None = it has ended meanwhile."""
        with self._lock:
            row = self._kept.get(step.sequence, {}).get(executable.segment.id)
            if row is None or row.pool.filled[row.number] < step.stop:
                return None
            return row.pool.copy(row.number, step.start, step.stop)

    def bring(self, executable: Executable, step: wire.Step, data: memoryview) -> None:
        """Let a sequence have what a step added to it elsewhere.

        Raises:
            NodeError: its earlier positions are not there, there is no room, or the bytes are of other states.
        """
        if not executable.states or step.stop <= step.start:
            raise NodeError(f"segment {executable.segment.id!r} is brought positions that it does not keep; bring none")
        row = self._at(executable, step)
        with self._lock:
            row.pool.put(row.number, step.start, step.stop, data)

    def release(self, sequence: int) -> None:
        """Give back what is kept for a sequence."""
        with self._lock:
            for segment, row in self._kept.pop(sequence, {}).items():
                self.nbytes -= row.nbytes
                row.pool.give_back(row.number)
                if row.pool.unused:
                    self._pools[segment].remove(row.pool)

    def _runs(
        self, executable: Executable, requests: Sequence[Request], numbers: Sequence[int],
        refused: dict[int, Values | HocketError],
    ) -> list[Run]:  # fmt: skip
        """How requests of different sequences are computed; those that cannot be are told why."""
        if not executable.states:
            return [Run(None, range(len(numbers)), dict(enumerate(numbers)))]
        seats: dict[Pool, dict[int, int]] = {}
        for number in numbers:
            try:
                row = self._at(executable, requests[number][1])
            except HocketError as error:
                refused[number] = error
            else:
                seats.setdefault(row.pool, {})[row.number] = number
        return [
            Run(pool, rows, {row: members[row] for row in rows if row in members})
            for pool, members in seats.items()
            for rows in together(sorted(members), pool.filled, pool.most)
        ]

    def _computed(
        self, executable: Executable, requests: Sequence[Request], run: Run
    ) -> Iterator[tuple[int, Values | HocketError]]:
        """What a run makes. If it fails, each of its requests has its own: one is to blame, not all."""
        try:
            made = compute(executable, requests, run)
        except NodeError as error:
            if len(run.members) == 1:
                yield from ((number, error) for number in run.members.values())
            else:
                for single in run.singles():
                    yield from self._computed(executable, requests, single)
            return
        self.runs[len(made)] += 1
        if run.pool is not None:
            for row, number in run.members.items():
                run.pool.filled[row] = max(run.pool.filled[row], requests[number][1].stop)
        yield from made.items()

    def _at(self, executable: Executable, step: wire.Step) -> _Row:
        """The buffers of a sequence, made if it begins.

        Raises:
            NodeError: it does not go on here, or there is no room.
        """
        with self._lock:
            row = self._kept.get(step.sequence, {}).get(executable.segment.id)
            filled = 0 if row is None else row.pool.filled[row.number]
            if step.start > filled:
                raise NodeError(
                    f"segment {executable.segment.id!r} {GONE} positions {filled} to {step.start - 1} of sequence"
                    f" {step.sequence}; read the sequence again from its beginning"
                )
            if row is None:
                row = self._taken(executable)
                self._kept.setdefault(step.sequence, {})[executable.segment.id] = row
                self.nbytes += row.nbytes
        if step.stop > row.pool.most:
            raise NodeError(
                f"a sequence has at most {row.pool.most} positions here, and {step.stop} were asked for; end it before"
            )
        return row

    def _taken(self, executable: Executable) -> _Row:
        segment = executable.segment.id
        nbytes = sum(state.nbytes for state in executable.states)
        if not self._room(nbytes):
            raise NodeError(
                f"a sequence takes {nbytes} bytes of segment {segment!r}, and the node's memory limit leaves less;"
                " end another one, or give it more"
            )
        pools = self._pools.setdefault(segment, [])
        pool = next((pool for pool in pools if not pool.full), None)
        if pool is None:
            pool = Pool(executable.states, executable.binding, MOST_ROWS if executable.segment.stacks else 1)
            pools.append(pool)
        return _Row(pool, pool.take(), nbytes)
