"""Several requests of a segment as one run: what goes in is put together along axis 0, what comes out taken apart."""

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hocket.errors import NodeError
from hocket.program import Counter
from hocket.runtime import wire
from hocket.runtime.executable import Executable
from hocket.runtime.pool import Pool

Values = dict[str, np.ndarray]
Request = tuple[Mapping[str, np.ndarray], wire.Step]
"""Inputs of a segment, and their place in a sequence."""


class Run(NamedTuple):
    """What is computed at once: rows of a pool beside each other, or requests of a segment that keeps nothing."""

    pool: Pool | None
    rows: range
    members: dict[int, int]
    """Row -> which of the requests; the other rows have none."""

    def singles(self) -> list["Run"]:
        """The same requests one by one."""
        return [Run(self.pool, range(row, row + 1), {row: number}) for row, number in self.members.items()]


def rounds(requests: Sequence[Request]) -> list[list[int]]:
    """Which requests may be computed at once, by their numbers: one of each sequence, and all with the same shapes.

    >>> tokens = {"tokens": np.zeros((1, 1))}
    >>> rounds([(tokens, wire.Step(7, 4, 5)), (tokens, wire.Step(8, 0, 1)), (tokens, wire.Step(7, 5, 6))])
    [[0, 1], [2]]
    """
    found: dict[tuple[int, object], list[int]] = {}
    earlier: Tally[int] = Tally()
    for number, (inputs, step) in enumerate(requests):
        shapes = tuple(sorted((name, array.shape, array.dtype.name) for name, array in inputs.items()))
        found.setdefault((earlier[step.sequence], shapes), []).append(number)
        earlier[step.sequence] += 1
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def compute(executable: Executable, requests: Sequence[Request], run: Run) -> dict[int, Values]:
    """Compute a run; what each of its requests makes.

    Raises:
        NodeError: ONNX Runtime fails, or does not make one result for each.
    """
    # A row that has no request writes behind what it has: its own next step writes there again.
    stops = [requests[run.members[row]][1].stop if row in run.members else _filled(run, row) + 1 for row in run.rows]
    inputs = _stacked(requests, run) | {each.name: _counted(each, stops) for each in executable.counters}
    made = executable.run(inputs) if run.pool is None else executable.run_kept(inputs, run.pool.bound(run.rows))
    if len(run.rows) == 1:
        return dict.fromkeys(run.members.values(), made)
    for name, value in made.items():
        if value.shape[:1] != (len(run.rows),):
            raise NodeError(
                f"segment {executable.segment.id!r} makes {name!r} {list(value.shape)} of {len(run.rows)} requests, not"
                " one for each; correct the program: it does not stack"
            )
    return {
        number: {name: value[row - run.rows.start :][:1] for name, value in made.items()}
        for row, number in run.members.items()
    }


def _filled(run: Run, row: int) -> int:
    return 0 if run.pool is None else run.pool.filled[row]


def _stacked(requests: Sequence[Request], run: Run) -> Values:
    """The inputs of all rows, zeros for those that have no request."""
    first, _ = requests[next(iter(run.members.values()))]
    if len(run.rows) == 1:
        return dict(first)
    stacked = {name: np.zeros((len(run.rows), *array.shape[1:]), array.dtype) for name, array in first.items()}
    for row, number in run.members.items():
        for name, array in requests[number][0].items():
            stacked[name][row - run.rows.start] = array[0]
    return stacked


def _counted(counter: Counter, stops: Sequence[int]) -> np.ndarray:
    """What a segment wants to know of sequences that have come so far."""
    if counter.counts == "total":
        return np.full(counter.shape, max(stops), counter.dtype)
    return np.concatenate([np.full(counter.shape, stop - 1, counter.dtype) for stop in stops])
