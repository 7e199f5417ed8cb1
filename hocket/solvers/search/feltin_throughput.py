"""Branch and bound over layers and nodes for the most inferences per second.

Solves    constraints of one task, as a chain of blocks; it minimises the period whatever the objective is
Answer    the least period by the method's own stages (each node one, each direction between two nodes one) over all
          placements of blocks that keep the constraints, if it comes to its end; else the best so far
Time      O(D^L) states in the worst case, as many as `stop` allows; D = nodes, L = blocks
Source    Feltin, Marcho, Cordero-Fuertes, Brockners, Clausen: DNN Partitioning for Inference Throughput Acceleration at
          the Edge, IEEE Access 11:52236-52249, 2023
Departs   [standard] the bounds; the speed of a node is what its profile measured, all cores together, not a sum of core
          speeds; resources that several directions share are for the judge to see
Cards     feltin_throughput
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.additive import Additive
from hocket.solvers.chain import Chain
from hocket.solvers.layout import Floats
from hocket.solvers.search.judge import Judge, refuses_search
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import MaxIterations, Stop

_SMALLER = 1 - 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class FeltinThroughput:
    """See the module."""

    name: ClassVar[str] = "feltin_throughput"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    states: int = 5000
    """Most partial placements that are looked at if no `stop` is given."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_search(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The placement of least period found."""
        judge = Judge(self, problem, stop or MaxIterations(self.states))
        if judge.size == 0:
            judge.rank(judge.best_vector)
            return judge.proposal()
        search = _Search(judge)
        search.run()
        if search.best is not None:
            judge.prefer(np.array(search.chain.places(search.best), dtype=np.int64))
        return judge.proposal(
            own_period_s=f"{search.period_s:.9g}",
            acceleration=f"{search.alone_s / search.period_s:.4g}" if search.period_s else "1",
            search="finished" if search.finished else "stopped",
        )


class _Search:
    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.chain = Chain(Additive(judge.layout, {"sequential": 1.0}))
        self.calls = judge.layout.call_s[self.chain.hosts]
        self.seconds: Floats = np.diff(self.chain.seconds, axis=0)
        self.enter, self.steps, self.leave = self.chain.holds
        least = self.seconds.min(axis=1)
        self.rest: Floats = np.concatenate([np.cumsum(least[::-1])[::-1], [0.0]])
        """(L + 1,) seconds of the blocks that are left, each where it is fastest."""
        self.longest: Floats = np.concatenate([np.maximum.accumulate(least[::-1])[::-1], [0.0]])
        self.best: list[int] | None = None
        self.period_s = self.alone_s = float("inf")
        self.finished = False

    def run(self) -> None:
        """The best node alone, then branch after branch; the branch of the least bound first."""
        size, width = self.seconds.shape
        for host in range(width):
            period = self._period([host] * size)
            if np.isfinite(period) and self._allowed([host] * size):
                self.alone_s = min(self.alone_s, period)
                self._note([host] * size, period)
        self.finished = self._branch([], np.zeros(width), {})

    def _branch(self, done: list[int], loads: Floats, ways: dict[tuple[int, int], float]) -> bool:
        """Whether all completions of a partial placement were looked at, or ruled out."""
        size, width = self.seconds.shape
        if len(done) == size:
            period = self._period(done)
            if period < self.period_s * _SMALLER and self._allowed(done):
                self._note(done, period)
            return True
        children = []
        for host in range(width):
            more, crossed = self._with(done, loads, ways, host)
            bound = self.bound(len(done) + 1, more, crossed)
            children.append((bound, host, more, crossed))
        for bound, host, more, crossed in sorted(children, key=lambda child: child[:2]):
            if bound >= self.period_s * _SMALLER:
                break
            if self.judge.over() or not self._branch([*done, host], more, crossed):
                return False
        return True

    def _with(
        self, done: list[int], loads: Floats, ways: dict[tuple[int, int], float], host: int
    ) -> tuple[Floats, dict[tuple[int, int], float]]:
        """Seconds of each node, and of each direction, with one block more."""
        block, more, crossed = len(done), loads.copy(), ways
        more[host] += self.seconds[block, host]
        if not done:
            more[host] += self.calls[host]
            crossed = {(-1, host): float(self.enter[host])}
        elif done[-1] != host:
            more[host] += self.calls[host]
            way = (done[-1], host)
            crossed = ways | {way: ways.get(way, 0.0) + float(self.steps[block, done[-1], host])}
        return more, crossed

    def bound(self, placed: int, loads: Floats, ways: dict[tuple[int, int], float]) -> float:
        """A period that no completion beats: the busiest so far, and the rest shared out evenly."""
        even = (float(loads.sum()) + float(self.rest[placed])) / len(loads)
        return max(float(loads.max()), *ways.values(), even, float(self.longest[placed]))

    def _period(self, hosts: list[int]) -> float:
        loads, ways = np.zeros(len(self.calls)), dict[tuple[int, int], float]()
        for block, host in enumerate(hosts):
            loads, ways = self._with(hosts[:block], loads, ways, host)
        return max(float(loads.max()), *ways.values(), float(self.leave[hosts[-1]]))

    def _allowed(self, hosts: list[int]) -> bool:
        return self.judge.rank(self.chain.places(hosts)).excess == 0

    def _note(self, hosts: list[int], period_s: float) -> None:
        if period_s < self.period_s * _SMALLER or self.best is None:
            self.best, self.period_s = list(hosts), period_s
