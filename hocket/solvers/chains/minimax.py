"""Least bottleneck of a chain over vectors of used devices: the recurrence of PipeEdge, and of EdgeShard with sets.

    h[S + u][v][j] = min over i < j, u of max(h[S][u][i], compute(i..j, u), transfer(j, u, v))

S counts the devices used of each kind; v is the kind of the next device. With a kind for each device S is a set.
"""

import numpy as np
from numpy.typing import NDArray

from hocket.solvers.layout import Floats
from hocket.solvers.stages import Fleet, Runs, Stage


def least_bottleneck(runs: Runs, fleet: Fleet, most: int | None = None) -> list[Stage] | None:
    """The runs whose busiest device or link takes the shortest time; None if none fit.

    Args:
        runs: the chain and what limits it.
        fleet: its hosts in kinds.
        most: how many runs there may be; absent = one per host.
    """
    return _Table(runs, fleet).run(most)


class _Table:
    def __init__(self, runs: Runs, fleet: Fleet) -> None:
        self.runs, self.fleet = runs, fleet
        size, length = len(fleet.kinds), runs.length
        self.between = fleet.between(runs)
        self.compute = [compute_s(runs, host) for host in fleet.first]
        self.h: Floats = np.full((fleet.vectors, size, length + 1), np.inf)
        """(S, v, j): the first j blocks are done on S and their result is on a device of kind v."""
        self.h[0, :, 0] = runs.enter[fleet.first]
        self.came: NDArray[np.int32] = np.zeros((fleet.vectors, size, length + 1), dtype=np.int32)
        """Kind of the last device times (L + 1), plus the first block of its run."""

    def run(self, most: int | None) -> list[Stage] | None:
        best: tuple[float, int, int, int, int] | None = None
        length = self.runs.length
        if not length:
            return []
        for level, steps in enumerate(self.fleet.levels[:most]):
            for kind, step in steps.items():
                for former, used in zip(step.sources.tolist(), step.targets.tolist(), strict=True):
                    reached, start = self._extend(former, used, kind)
                    last = max(float(reached[length]), float(self.runs.leave[self.fleet.first[kind]]))
                    if best is None or last < best[0]:
                        best = (last, former, kind, int(start[length]), level)
        if best is None or not np.isfinite(best[0]):
            return None
        return self._trace(*best[1:])

    def _extend(self, former: int, used: int, kind: int) -> tuple[Floats, NDArray[np.int64]]:
        """(L + 1,) bottleneck up to each boundary if a device of a kind comes next, and where its run starts."""
        through = np.maximum(self.h[former, kind][:, None], self.compute[kind])
        start = through.argmin(axis=0)
        reached = through[start, np.arange(len(start))]
        code = kind * len(start) + start
        handed = np.maximum(reached[None, :], self.between[kind])
        better = handed < self.h[used]
        self.h[used] = np.where(better, handed, self.h[used])
        self.came[used] = np.where(better, code[None, :], self.came[used])
        return reached, start

    def _trace(self, former: int, kind: int, start: int, level: int) -> list[Stage]:
        parts = [(start, self.runs.length, kind)]
        strides = self._strides()
        while level:
            stop, code = start, int(self.came[former, kind, start])
            kind, start = divmod(code, self.runs.length + 1)
            former, level = former - strides[kind], level - 1
            parts.append((start, stop, kind))
        return self.fleet.staged(parts[::-1])

    def _strides(self) -> list[int]:
        counts = [len(kind) + 1 for kind in self.fleet.kinds]
        return [int(np.prod(counts[number + 1 :])) for number in range(len(counts))]


def compute_s(runs: Runs, host: int) -> Floats:
    """(L + 1, L + 1) seconds of the blocks from one boundary to a later one on a host; inf if they do not fit."""
    before, boundaries = runs.before[:, host], np.arange(runs.length + 1)
    ends = np.append(runs.ends[:, host], runs.length)
    allowed = (boundaries[None, :] > boundaries[:, None]) & (boundaries[None, :] <= ends[:, None])
    return np.where(allowed, runs.call_s[host] + before[None, :] - before[:, None], np.inf)
