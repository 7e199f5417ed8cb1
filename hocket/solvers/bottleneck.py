"""The least time of the busiest node or way of a chain that is divided into runs, one per node.

Whether a time can be kept is a question of reachability. If every way before a block keeps the time, or none does, the
furthest boundary that a vector of used nodes reaches says everything, because whatever is before it is reached too.
Where ways differ, this gives an answer from above (a way counts if any keeps the time) and one from below (if all do);
only if these disagree every boundary has a state of its own, as in PipeEdge, with a bit for each kind that may be the
last.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.solvers.layout import Floats
from hocket.solvers.stages import Fleet, Runs, Stage

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
_EQUAL = 1 + 1e-12  # sums of floats that should be equal are so up to this
_CLOSE = 1e-6  # relative; there are about as many busiest times as pairs of boundaries, so few lie so close


class _Question(NamedTuple):
    """What keeps a time."""

    fleet: Fleet
    ends: Ints
    """(K, L + 1) end of the longest run from each boundary on a node of each kind; the boundary itself = none."""
    crosses: Bools
    """(K, K, L + 1) whether the tensor before each block may go from a kind to a kind."""
    most: int
    """Most runs."""

    @property
    def length(self) -> int:
        """Number of blocks."""
        return int(self.ends.shape[1]) - 1


class Bottleneck:
    """Finds runs whose busiest node or way takes little time.

    Args:
        runs: the chain.
        most: how many runs there may be; absent = one per node.
    """

    def __init__(self, runs: Runs, most: int | None = None) -> None:
        self.runs, self.fleet = runs, Fleet.of(runs)
        self.most = runs.width if most is None else most
        self.states = self.fleet.vectors * (runs.length + 1)
        """How many states the search has at most."""
        self._between = self.fleet.between(runs)

    def least(self, lower: float, below: float = np.inf) -> list[Stage] | None:
        """The runs whose busiest node or way takes the shortest time; None if none takes less than `below`.

        The time is halved in until nothing lies between what is possible and what is not: what is possible is always
        the busiest time of some runs, so a look just below it ends the search.

        Args:
            lower: a time below which there are none.
            below: only what takes less is wanted.
        """
        best = self.within(lower) or self._first(lower, below)
        if best is None or self.runs.busiest(best) >= below:
            return None
        low, high = lower, self.runs.busiest(best)
        while high > low * _EQUAL:
            close = high - low < _CLOSE * high
            middle = high * (2 - _EQUAL**2) if close else (low + high) / 2
            if not low < middle < high:
                break
            found = self.within(middle)
            if found is not None:
                best, high = found, min(self.runs.busiest(found), middle)
            elif close:
                break
            else:
                low = middle
        return best

    def _first(self, lower: float, below: float) -> list[Stage] | None:
        """Some runs that take less than `below`, not far above the least time where that is easy."""
        if below < np.inf:
            return self.within(below * (2 - _EQUAL**2))
        slack, longest = 0.01, _longest(self.runs)
        while lower * (1 + slack) < longest and slack < 1:
            found = self.within(lower * (1 + slack))
            if found is not None:
                return found
            slack *= 4
        return self.within(longest)

    def within(self, period_s: float) -> list[Stage] | None:
        """Runs whose busiest node or way takes at most `period_s`, or None if there are none."""
        question = self._question(period_s * _EQUAL)
        if not question.length:
            return []
        possible, sure = np.asarray(question.crosses.any(axis=0)), _by_all(question)
        alike = np.array_equal(possible, sure)
        if not alike and _furthest(question, possible) is None:
            return None
        # From below: whoever comes before, the way keeps the time.
        parts = _furthest(question, sure)
        if parts is None and not alike:
            parts = _every_boundary(question)
        return None if parts is None else self.fleet.staged(parts)

    def _question(self, most_s: float) -> _Question:
        runs, first = self.runs, self.fleet.first
        ends = np.tile(np.arange(runs.length + 1), (len(first), 1))
        for kind, host in enumerate(first):
            column = runs.before[:, host]
            by_time = np.searchsorted(column, (most_s - runs.call_s[host]) + column[:-1], side="right") - 1
            ends[kind, :-1] = np.maximum(np.minimum(by_time, runs.ends[:, host]), ends[kind, :-1])
            if runs.leave[host] > most_s:
                ends[kind, :-1] = np.minimum(ends[kind, :-1], runs.length - 1)
            if runs.enter[host] > most_s:
                ends[kind, 0] = 0
        return _Question(self.fleet, ends, self._between <= most_s, self.most)


def _by_all(question: _Question) -> Bools:
    """(K, L + 1) whether the tensor before each block may come to a kind from whatever node of the others."""
    alone = np.array([len(kind) == 1 for kind in question.fleet.kinds])
    return np.asarray((question.crosses | (np.diag(alone)[:, :, None])).all(axis=0))


def _furthest(question: _Question, starts: Bools) -> list[tuple[int, int, int]] | None:
    """(start, stop, kind) of runs that reach the end, where a run may start on a kind wherever `starts` says; or None.

    Args:
        question: what keeps the time.
        starts: (K, L + 1)
    """
    boundaries = np.arange(question.length + 1)
    able = starts | (boundaries == 0)
    reaches = np.maximum.accumulate(np.where(able, question.ends, boundaries), axis=1)
    far = np.zeros(question.fleet.vectors, dtype=np.int64)
    for steps in question.fleet.levels[: question.most]:
        for kind, step in steps.items():
            far[step.targets] = np.maximum(far[step.targets], reaches[kind][far[step.sources]])
        done = [int(target) for step in steps.values() for target in step.targets[far[step.targets] >= question.length]]
        if done:
            return _walked(question, able, far, done[0])
    return None


def _walked(question: _Question, able: Bools, far: Ints, used: int) -> list[tuple[int, int, int]]:
    """Walk back from the end."""
    parts: list[tuple[int, int, int]] = []
    stop = question.length
    level = _level_of(question.fleet, used)
    while stop:
        level -= 1
        for kind, step in question.fleet.levels[level].items():
            place = np.flatnonzero(step.targets == used)
            if not len(place):
                continue
            former = int(step.sources[place[0]])
            limit = min(int(far[former]), stop - 1)
            good = np.flatnonzero(able[kind, : limit + 1] & (question.ends[kind, : limit + 1] >= stop))
            if far[former] >= stop or len(good):
                if far[former] < stop:
                    parts.append((int(good[-1]), stop, kind))
                    stop = int(good[-1])
                used = former
                break
    return parts[::-1]


def _level_of(fleet: Fleet, used: int) -> int:
    return next(
        number + 1
        for number, steps in enumerate(fleet.levels)
        if any((step.targets == used).any() for step in steps.values())
    )


def _every_boundary(question: _Question) -> list[tuple[int, int, int]] | None:
    """As `_furthest`, with a state for each vector of used nodes, boundary and kind of the last node."""
    length, size = question.length, len(question.fleet.kinds)
    kind_type = np.uint8 if size <= 8 else np.uint32
    bits = np.left_shift(np.ones(size, dtype=kind_type), np.arange(size, dtype=kind_type)).astype(kind_type)
    crosses = (question.crosses * bits[:, None, None]).sum(axis=0, dtype=kind_type)
    reached = np.zeros((question.fleet.vectors, length + 1), dtype=kind_type)
    boundaries = np.arange(1, length + 1)
    ends = question.ends.astype(np.int32)
    for level, steps in enumerate(question.fleet.levels[: question.most]):
        for kind, step in steps.items():
            starts = (reached[step.sources] & crosses[kind]) != 0 if level else np.arange(length + 1)[None, :] == 0
            stops = np.maximum.accumulate(np.where(starts, ends[kind], 0), axis=1)
            # Boundary j is reached if a run starts before it and may go on as far.
            reached[step.targets, 1:] |= np.where(stops[:, :-1] >= boundaries, bits[kind], kind_type(0))
        for step in steps.values():
            done = step.targets[reached[step.targets, length] != 0]
            if len(done):
                return _traced(question, reached, crosses, int(done[0]), level + 1)
    return None


def _traced(
    question: _Question, reached: NDArray[np.integer], crosses: NDArray[np.integer], used: int, level: int
) -> list[tuple[int, int, int]]:
    """Walk back from the end."""
    parts: list[tuple[int, int, int]] = []
    stop, allowed = question.length, -1
    while level:
        last = int(reached[used, stop]) & allowed
        kind = (last & -last).bit_length() - 1
        step = question.fleet.levels[level - 1][kind]
        former = int(step.sources[np.flatnonzero(step.targets == used)[0]])
        start = 0
        if level > 1:
            able = ((reached[former, :stop] & crosses[kind, :stop]) != 0) & (question.ends[kind, :stop] >= stop)
            start = int(np.flatnonzero(able)[-1])
        parts.append((start, stop, kind))
        allowed = int(crosses[kind, start])
        used, stop, level = former, start, level - 1
    return parts[::-1]


def _longest(runs: Runs) -> float:
    """A time that everything keeps that is possible at all."""
    finite = [part[np.isfinite(part)] for part in (runs.enter, runs.steps, runs.leave)]
    return float(sum(part.max(initial=0.0) for part in finite) + runs.before[-1].max() + runs.call_s.max())


Search = Callable[[int, int, float, float], list[Stage] | None]
"""(window, most runs, a bound, a value) -> the best of at most so many runs that fit with this window; None if there
is none, or none below the value."""


def with_room(
    search: Search, value: Callable[[list[Stage]], float], fits: Callable[[list[Stage]], bool], width: int, lower: float
) -> list[Stage] | None:
    """The best runs, memory for the requests under way included; None if none fit.

    With up to `most` runs a node needs room for at least `fewest` + 1 requests: what is best with room for so many is a
    bound for all numbers between the two, and the best of them if it has room for as many as it needs itself.

    Args:
        search: finds the best runs for one window.
        value: what is minimised.
        fits: whether runs have room for the requests under way.
        width: number of hosts.
        lower: a value below which there is nothing.
    """
    best: tuple[float, list[Stage]] | None = None
    ranges = [(1, width, lower)]
    while ranges:
        fewest, most, bound = ranges.pop()
        if fewest > most or (best is not None and bound >= best[0]):
            continue
        stages = search(fewest + 1, most, bound, np.inf if best is None else best[0])
        if stages is None:
            continue
        found, count = value(stages), len(stages)
        if count <= fewest or fits(stages):
            best = (found, stages)
        else:
            # The same numbers of runs with the room that this plan shows to be needed, and the smaller ones.
            ranges += [(fewest, count - 1, found), (count, most, found)]
    return None if best is None else best[1]


def least_sum(runs: Runs, costs: Runs, most: int | None = None, fleet: Fleet | None = None) -> list[Stage] | None:
    """The runs with the least sum of costs; None if no runs fit.

    Args:
        runs: the chain, of which memory counts.
        costs: the same chain with costs in place of seconds.
        most: how many runs there may be; absent = one per node.
        fleet: its hosts in kinds; absent = they are found.
    """
    fleet, length = fleet or Fleet.of(runs, costs), runs.length
    between, first = fleet.between(costs), fleet.first
    value = np.full((fleet.vectors, len(first), length + 1), np.inf)
    boundaries = np.arange(length + 1)
    best: tuple[float, int, int, int] | None = None
    for level, steps in enumerate(fleet.levels[:most]):
        for kind, step in steps.items():
            host = first[kind]
            allowed = (boundaries[None, :] <= runs.ends[:, host][:, None]) & (
                boundaries[None, :] > boundaries[:-1, None]
            )
            for former, used in zip(step.sources.tolist(), step.targets.tolist(), strict=True):
                begin = _begin(costs, value[former], between[:, kind], host, level)
                run = np.where(allowed, (begin - costs.before[:-1, host])[:, None], np.inf).min(axis=0)
                value[used, kind] = np.minimum(value[used, kind], run + costs.before[:, host])
                total = float(value[used, kind, length] + costs.leave[host])
                if best is None or total < best[0]:
                    best = (total, used, kind, level)
    if best is None or not np.isfinite(best[0]):
        return None
    return fleet.staged(_trace_sum(fleet, runs, costs, value, *best[1:]))


def _begin(costs: Runs, former: Floats, between: Floats, host: int, level: int) -> Floats:
    """(L,) least cost up to the start of a run on a host at each boundary."""
    if level == 0:
        begin = np.full(costs.length, np.inf)
        begin[0] = costs.enter[host]
    else:
        begin = (former + between).min(axis=0)[:-1]
    return np.asarray(begin + costs.call_s[host])


def _trace_sum(
    fleet: Fleet, runs: Runs, costs: Runs, value: Floats, used: int, kind: int, level: int
) -> list[tuple[int, int, int]]:
    parts: list[tuple[int, int, int]] = []
    between, stop = fleet.between(costs), runs.length
    while level >= 0:
        step, host = fleet.levels[level][kind], fleet.first[kind]
        former = int(step.sources[np.flatnonzero(step.targets == used)[0]])
        begin = _begin(costs, value[former], between[:, kind], host, level)[:stop] - costs.before[:stop, host]
        start = int(np.where(runs.ends[:stop, host] >= stop, begin, np.inf).argmin())
        parts.append((start, stop, kind))
        if level:
            kind = int((value[former][:, start] + between[:, kind, start]).argmin())
        used, stop, level = former, start, level - 1
    return parts[::-1]
