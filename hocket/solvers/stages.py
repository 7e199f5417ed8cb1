"""Dividing a chain into runs, one per node, nodes in any order: dynamic programming over sets of nodes.

A state is (set of nodes used, boundary reached), with a bit for each node that may be the last one. Nodes that cannot
be told apart are used in one order only, which keeps the sets few in fleets of equal devices.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.solvers.layout import Floats

_EQUAL = 1 + 1e-12  # sums of floats that should be equal are so up to this
_CLOSE = 1e-6  # relative; there are about as many busiest times as pairs of boundaries, so few lie so close


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

    @cached_property
    def kinds(self) -> list[list[int]]:
        """Hosts in groups that cannot be told apart."""
        kinds: list[list[int]] = []
        for host in range(self.width):
            for kind in kinds:
                if self._alike(kind[0], host):
                    kind.append(host)
                    break
            else:
                kinds.append([host])
        return kinds

    def _alike(self, a: int, b: int) -> bool:
        swap = list(range(self.width))
        swap[a], swap[b] = b, a
        return bool(
            self.call_s[a] == self.call_s[b]
            and self.enter[a] == self.enter[b]
            and self.leave[a] == self.leave[b]
            and np.array_equal(self.before[:, a], self.before[:, b])
            and np.array_equal(self.ends[:, a], self.ends[:, b])
            and np.array_equal(self.steps[:, swap][:, :, swap], self.steps)
        )

    @cached_property
    def levels(self) -> "list[dict[int, _Step]]":
        """For each number of used nodes and each next node: from which sets to which."""
        rank = {host: (number, place) for number, kind in enumerate(self.kinds) for place, host in enumerate(kind)}
        counts = [len(kind) for kind in self.kinds]
        sets: dict[tuple[int, ...], int] = {(0,) * len(counts): 0}
        levels: list[dict[int, _Step]] = []
        layer = list(sets)
        for _ in range(self.width):
            level: dict[int, tuple[list[int], list[int]]] = {}
            following: dict[tuple[int, ...], None] = {}
            for used in layer:
                for host, (kind, place) in rank.items():
                    if used[kind] == place:
                        more = (*used[:kind], place + 1, *used[kind + 1 :])
                        following[more] = None
                        target = sets.setdefault(more, len(sets))
                        level.setdefault(host, ([], []))[0].append(sets[used])
                        level[host][1].append(target)
            levels.append({host: _Step(np.array(a), np.array(b)) for host, (a, b) in sorted(level.items())})
            layer = list(following)
        return levels

    @cached_property
    def sets(self) -> int:
        """How many sets of nodes are told apart."""
        return int(np.prod([len(kind) + 1 for kind in self.kinds]))

    def work(self, stage: Stage) -> float:
        """Seconds of a run."""
        return float(
            self.call_s[stage.host] + self.before[stage.stop, stage.host] - self.before[stage.start, stage.host]
        )

    def busiest(self, stages: list[Stage]) -> float:
        """Seconds of the busiest node or way."""
        times = [self.work(stage) for stage in stages]
        times += [float(self.enter[stages[0].host]), float(self.leave[stages[-1].host])]
        times += [float(self.steps[b.start, a.host, b.host]) for a, b in pairwise(stages)]
        return max(times)


class _Step(NamedTuple):
    """Sets of nodes, and the sets that they become with one node more."""

    sources: NDArray[np.int64]
    targets: NDArray[np.int64]


def within(runs: Runs, period_s: float, count: int | None = None) -> list[Stage] | None:
    """Runs whose busiest node or way takes at most `period_s`, or None if there are none.

    Args:
        runs: the chain.
        period_s: the most that any node or way may take.
        count: how many runs; absent = any number.
    """
    most = period_s * _EQUAL
    length, width = runs.length, runs.width
    kind = np.uint8 if width <= 8 else np.uint32
    bits = np.left_shift(np.ones(width, dtype=kind), np.arange(width, dtype=kind)).astype(kind)
    crosses = np.zeros((width, length + 1), dtype=kind)
    crosses[:, :length] = ((runs.steps <= most) * bits[None, :, None]).sum(axis=1, dtype=kind).T
    furthest = _furthest(runs, most)
    reached = np.zeros((runs.sets, length + 1), dtype=kind)
    first = np.zeros((1, length + 1), dtype=bool)
    first[0, 0] = True
    closing = int(bits[runs.leave <= most].sum())
    for level, steps in enumerate(runs.levels):
        for host, step in steps.items():
            if level == 0:
                starts = first & bool(runs.enter[host] <= most)
            else:
                starts = (reached[step.sources] & crosses[host]) != 0
            ends = np.maximum.accumulate(np.where(starts, furthest[host], 0), axis=1)
            # Boundary j is reached if a run starts before it and may go on as far.
            reached[step.targets, 1:] |= np.where(ends[:, :-1] >= np.arange(1, length + 1), bits[host], kind(0))
        if count is None or count == level + 1:
            done = np.unique(np.concatenate([step.targets for step in steps.values()]))
            found = done[(reached[done, length] & closing) != 0]
            if len(found):
                return _trace(runs, reached, crosses, furthest, int(found[0]), level + 1, closing)
    return None


def _furthest(runs: Runs, most: float) -> NDArray[np.int32]:
    """(D, L + 1) end of the longest run from each boundary that takes at most so long and fits."""
    furthest = np.zeros((runs.width, runs.length + 1), dtype=np.int32)
    for host in range(runs.width):
        column = runs.before[:, host]
        slack = (most - runs.call_s[host]) + column[:-1]
        by_time = np.searchsorted(column, slack, side="right") - 1
        furthest[host, :-1] = np.minimum(by_time, runs.ends[:, host])
    return furthest


def _trace(
    runs: Runs,
    reached: NDArray[np.integer],
    crosses: NDArray[np.integer],
    furthest: NDArray[np.int32],
    used: int,
    level: int,
    closing: int,
) -> list[Stage]:
    """Walk back from the end."""
    stages: list[Stage] = []
    stop, allowed = runs.length, closing
    while level:
        last = int(reached[used, stop]) & allowed
        host = (last & -last).bit_length() - 1
        step = runs.levels[level - 1][host]
        former = int(step.sources[np.flatnonzero(step.targets == used)[0]])
        if level == 1:
            start = 0
        else:
            able = ((reached[former, :stop] & crosses[host, :stop]) != 0) & (furthest[host, :stop] >= stop)
            start = int(np.flatnonzero(able)[-1])
        stages.append(Stage(start, stop, host))
        allowed = int(crosses[host, start])
        used, stop, level = former, start, level - 1
    return stages[::-1]


def least_busiest(runs: Runs, least: float, count: int | None = None, below: float = np.inf) -> list[Stage] | None:
    """The runs whose busiest node or way takes the shortest time; None if none takes less than `below`.

    The time is halved in until nothing lies between what is possible and what is not: what is possible is always the
    busiest time of some runs, so a look just below it ends the search.

    Args:
        runs: the chain.
        least: a time below which there are none.
        count: how many runs; absent = any number.
        below: only what takes less is wanted.
    """
    best = _first(runs, least, count, below)
    if best is None:
        return None
    low, high = least, runs.busiest(best)
    while high > low * _EQUAL:
        close = high - low < _CLOSE * high
        middle = high * (2 - _EQUAL**2) if close else (low + high) / 2
        if not low < middle < high:
            break
        found = within(runs, middle, count)
        if found is not None:
            best, high = found, min(runs.busiest(found), middle)
        elif close:
            break
        else:
            low = middle
    return best


def _first(runs: Runs, least: float, count: int | None, below: float) -> list[Stage] | None:
    """Some runs that take less than `below`, not far above the least time where that is easy."""
    if below < np.inf:
        return within(runs, below * (2 - _EQUAL**2), count)
    slack, longest = 0.01, _longest(runs)
    while least * (1 + slack) < longest and slack < 1:
        found = within(runs, least * (1 + slack), count)
        if found is not None:
            return found
        slack *= 4
    return within(runs, longest, count)


def _longest(runs: Runs) -> float:
    """A time that everything keeps that is possible at all."""
    finite = [part[np.isfinite(part)] for part in (runs.enter, runs.steps, runs.leave)]
    return float(sum(part.max(initial=0.0) for part in finite) + runs.before[-1].max() + runs.call_s.max())


def least_sum(runs: Runs, costs: Runs, count: int | None = None) -> list[Stage] | None:
    """The runs with the least sum of costs; None if no runs fit.

    Args:
        runs: the chain, of which memory counts.
        costs: the same chain with costs in place of seconds.
        count: how many runs; absent = any number.
    """
    length = runs.length
    value = np.full((runs.sets, runs.width, length + 1), np.inf)
    best: tuple[float, int, int, int] | None = None
    for level, steps in enumerate(runs.levels):
        for host, step in steps.items():
            allowed = np.arange(length + 1)[None, :] <= runs.ends[:, host][:, None]
            allowed &= np.arange(length + 1)[None, :] > np.arange(length)[:, None]
            for former, used in zip(step.sources.tolist(), step.targets.tolist(), strict=True):
                begin = _begin(costs, value[former], host, level)
                run = np.where(allowed, (begin - costs.before[:-1, host])[:, None], np.inf).min(axis=0)
                value[used, host] = np.minimum(value[used, host], run + costs.before[:, host])
                total = float(value[used, host, length] + costs.leave[host])
                if (count is None or count == level + 1) and (best is None or total < best[0]):
                    best = (total, used, host, level)
    if best is None or not np.isfinite(best[0]):
        return None
    return _trace_sum(runs, costs, value, *best[1:])


def _begin(costs: Runs, former: Floats, host: int, level: int) -> Floats:
    """(L,) least cost up to the start of a run on a host at each boundary."""
    if level == 0:
        begin = np.full(costs.length, np.inf)
        begin[0] = costs.enter[host]
    else:
        begin = (former[:, :-1].T + costs.steps[:, :, host]).min(axis=1)
    return np.asarray(begin + costs.call_s[host])


def _trace_sum(runs: Runs, costs: Runs, value: Floats, used: int, host: int, level: int) -> list[Stage]:
    stages: list[Stage] = []
    stop = runs.length
    while level >= 0:
        step = runs.levels[level][host]
        former = int(step.sources[np.flatnonzero(step.targets == used)[0]])
        begin = _begin(costs, value[former], host, level)[:stop] - costs.before[:stop, host]
        start = int(np.where(runs.ends[:stop, host] >= stop, begin, np.inf).argmin())
        stages.append(Stage(start, stop, host))
        if level:
            host = int((value[former][:, start] + costs.steps[start, :, host]).argmin())
        used, stop, level = former, start, level - 1
    return stages[::-1]
