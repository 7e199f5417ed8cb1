"""OCDST: one path through the matrix of layers and units, found by a depth-first search that is cut short.

Solves    the mean delay of a stream of requests, whatever the objective, of one task on peer units
Answer    the least (sum of the stages + (n - 1) x longest stage) / n of all divisions into one run of blocks per unit,
          where computing and each way are stages of their own: the method's own sum; best found if `most_steps` ends it
Time      O(L^(D - 1) D!) at worst; L = blocks, D = units
Source    Gao, Wu, Shao, Yang, Lin: OCDST, GLOBECOM 2021
Departs   [standard] the bound that ends a branch adds the least time of all later blocks; units without room for a run
          are passed over
Cards     ocdst
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.chains.rows import chain_of, described, plan_of, refuses_row, settled
from hocket.solvers.checks import require
from hocket.solvers.solver import Proposal
from hocket.solvers.stages import Runs, Stage
from hocket.solvers.stop import Stop

_EQUAL = 1 - 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Ocdst:
    """See the module."""

    name: ClassVar[str] = "ocdst"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    requests: int = 100
    """How many requests the stream has (n)."""
    most_steps: int = 300_000
    """Most extensions of a path, where no `stop` ends it before."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that computes."""
        return refuses_row(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The path of least mean delay."""
        require(self, problem)
        chain = chain_of(problem)
        runs = chain.runs(len(chain.hosts) + 1)
        search = DepthFirst(runs, self.requests, self.most_steps, stop)
        search.run()
        searched = "all divisions into one run of blocks per unit"
        if search.best is None:
            return settled(problem, None, searched, {})
        notes = {
            "stages": described(chain, search.best),
            "mean_delay_s": f"{search.value:.9g}",
            "steps": f"{search.steps}" + (", ended before all paths were seen" if search.over else ""),
        }
        return settled(problem, plan_of(chain, search.best), searched, notes)


class DepthFirst:
    """Three steps for each path: extend it by the next block, add up what it takes, keep it if it is the best.

    Args:
        runs: the chain and what limits it.
        requests: how many the stream has.
        most_steps: most extensions.
        stop: asked after each extension.
    """

    def __init__(self, runs: Runs, requests: int, most_steps: int, stop: Stop | None = None) -> None:
        self.runs, self.requests, self.most_steps, self.stop = runs, requests, most_steps, stop
        least = np.diff(runs.before, axis=0).min(axis=1)
        self.rest_s = np.append(np.cumsum(least[::-1])[::-1], 0.0)
        """(L + 1,) least seconds of all blocks from each boundary on."""
        self.best: list[Stage] | None = None
        self.value = np.inf
        self.steps = 0
        self.over = False

    def run(self) -> None:
        """Search all paths, or until the steps are used up."""
        if not self.runs.length:
            self.best, self.value = [], 0.0
            return
        for host in np.argsort(self.runs.before[-1], kind="stable").tolist():
            way = float(self.runs.enter[host])
            self._extend([Stage(0, 0, host)], way, way)

    def _extend(self, path: list[Stage], sum_s: float, longest_s: float) -> None:
        """Lengthen the last run block by block; after each block go on with an unused unit, the longest run first."""
        runs, (start, _, host) = self.runs, path[-1]
        taken = {stage.host for stage in path}
        for stop in range(int(runs.ends[start, host]), start, -1):
            stage = Stage(start, stop, host)
            work = runs.work(stage)
            total, longest = sum_s + work, max(longest_s, work)
            if self._delay(total + float(self.rest_s[stop]), longest) >= self.value * _EQUAL:
                continue
            self._tick()
            if self.over:
                return
            if stop == runs.length:
                self._record([*path[:-1], stage], total, longest)
                continue
            for other in np.argsort(runs.before[-1], kind="stable").tolist():
                way = float(runs.steps[stop, host, other])
                if other not in taken and np.isfinite(way):
                    self._extend([*path[:-1], stage, Stage(stop, stop, other)], total + way, max(longest, way))

    def _record(self, path: list[Stage], sum_s: float, longest_s: float) -> None:
        way = float(self.runs.leave[path[-1].host])
        delay = self._delay(sum_s + way, max(longest_s, way))
        if delay < self.value * _EQUAL:
            self.best, self.value = path, delay

    def _delay(self, sum_s: float, longest_s: float) -> float:
        """Mean delay of a request."""
        return (sum_s + (self.requests - 1) * longest_s) / self.requests

    def _tick(self) -> None:
        self.steps += 1
        # A limit ends the search, but not before there is a path.
        done = self.steps > self.most_steps or (self.stop is not None and self.stop(self.value))
        self.over = self.over or (done and self.best is not None)
