"""Dividing a chain into runs, one per node, nodes in any order: what limits the runs, and which nodes are alike.

Nodes that cannot be told apart are counted, not named, which keeps the vectors of used nodes few in fleets of equal
devices: the product of (count + 1) over the kinds instead of 2^D.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.solvers.layout import Floats


class Stage(NamedTuple):
    """A run of blocks on one host, half-open."""

    start: int
    stop: int
    host: int


@dataclass(frozen=True)
class Runs:
    """A chain of L blocks on D hosts, and what limits it."""

    before: Floats
    """(L + 1, D) seconds of the blocks before each boundary."""
    call_s: Floats
    """(D,) fixed seconds of each run."""
    enter: Floats
    """(D,) seconds of the input to each host."""
    steps: Floats
    """(L, D, D) seconds of the tensor before each block from one host to another."""
    leave: Floats
    """(D,) seconds of the answer from each host."""
    ends: Floats
    """(L, D) end of the longest run from each block that the host's memory takes."""

    @property
    def length(self) -> int:
        """Number of blocks."""
        return len(self.before) - 1

    @property
    def width(self) -> int:
        """Number of hosts."""
        return len(self.call_s)

    def work(self, stage: Stage) -> float:
        """Seconds of a run."""
        return float(
            self.call_s[stage.host] + self.before[stage.stop, stage.host] - self.before[stage.start, stage.host]
        )

    def busiest(self, stages: Sequence[Stage]) -> float:
        """Seconds of the busiest node or way."""
        times = [self.work(stage) for stage in stages]
        times += [float(self.enter[stages[0].host]), float(self.leave[stages[-1].host])]
        times += [float(self.steps[b.start, a.host, b.host]) for a, b in pairwise(stages)]
        return max(times)

    def total(self, stages: Sequence[Stage]) -> float:
        """Seconds of all runs and ways together."""
        steps = sum(float(self.steps[b.start, a.host, b.host]) for a, b in pairwise(stages))
        ends = float(self.enter[stages[0].host]) + float(self.leave[stages[-1].host])
        return sum(self.work(stage) for stage in stages) + steps + ends

    @cached_property
    def _signatures(self) -> tuple[list[tuple[bytes, ...]], NDArray[np.int64]]:
        """What each host is by itself, and a number for what is between each two; equal = cannot be told apart."""
        own = [
            tuple(
                np.ascontiguousarray(part).tobytes()
                for part in (self.call_s[d], self.enter[d], self.leave[d], self.before[:, d], self.ends[:, d])
            )
            for d in range(self.width)
        ]
        rows = np.ascontiguousarray(self.steps.transpose(1, 2, 0))
        numbers: dict[bytes, int] = {}
        between = [[numbers.setdefault(rows[a, b].tobytes(), len(numbers)) for b in range(self.width)]
                   for a in range(self.width)]  # fmt: skip
        return own, np.array(between, dtype=np.int64).reshape(self.width, self.width)

    def alike(self, a: int, b: int) -> bool:
        """Whether two hosts may be exchanged without changing anything."""
        own, between = self._signatures
        swap = list(range(self.width))
        swap[a], swap[b] = b, a
        return own[a] == own[b] and np.array_equal(between[swap][:, swap], between)


class Step(NamedTuple):
    """Vectors of used nodes, and what they become with one node more of a kind."""

    sources: NDArray[np.int64]
    targets: NDArray[np.int64]


class Fleet:
    """Hosts in kinds, and the vectors of how many of each kind are used.

    Args:
        kinds: the hosts of each kind.
    """

    def __init__(self, kinds: Sequence[Sequence[int]]) -> None:
        self.kinds = kinds
        self.first = [kind[0] for kind in kinds]
        self.vectors = int(np.prod([len(kind) + 1 for kind in kinds]))
        """How many vectors of used nodes there are."""

    @staticmethod
    def of(*runs: Runs) -> "Fleet":
        """Hosts of one kind are alike in all of the runs."""
        kinds: list[list[int]] = []
        for host in range(runs[0].width):
            kind = next((kind for kind in kinds if all(some.alike(kind[0], host) for some in runs)), None)
            if kind is None:
                kinds.append([host])
            else:
                kind.append(host)
        return Fleet(kinds)

    @staticmethod
    def apart(width: int) -> "Fleet":
        """Every host is a kind of its own, so that a vector of used nodes is a set."""
        return Fleet([[host] for host in range(width)])

    @cached_property
    def levels(self) -> list[dict[int, Step]]:
        """For each number of used nodes and each kind of the next node: from which vectors to which."""
        counts = [len(kind) for kind in self.kinds]
        used = np.indices([count + 1 for count in counts]).reshape(len(counts), -1)
        strides = [int(np.prod([count + 1 for count in counts[kind + 1 :]])) for kind in range(len(counts))]
        level, levels = used.sum(axis=0), []
        for number in range(sum(counts)):
            now = np.flatnonzero(level == number)
            steps = {}
            for kind, count in enumerate(counts):
                sources = now[used[kind, now] < count]
                if len(sources):
                    steps[kind] = Step(sources, sources + strides[kind])
            levels.append(steps)
        return levels

    def between(self, runs: Runs) -> Floats:
        """(K, K, L + 1) seconds of the tensor before each block from a kind to a kind; inf after the last block, and
        from the only node of a kind to its own."""
        size = len(self.kinds)
        between = np.full((size, size, runs.length + 1), np.inf)
        for a, some in enumerate(self.kinds):
            for b, others in enumerate(self.kinds):
                if a != b or len(some) > 1:
                    between[a, b, :-1] = runs.steps[:, some[0], others[0] if a != b else some[1]]
        return between

    def staged(self, parts: Sequence[tuple[int, int, int]]) -> list[Stage]:
        """Stages from (start, stop, kind), the nodes of each kind in their order."""
        free = [iter(kind) for kind in self.kinds]
        return [Stage(start, stop, next(free[kind])) for start, stop, kind in parts]
