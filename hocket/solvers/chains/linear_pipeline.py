"""A pipeline of any DAG: the best division of one topological order, then units moved while it gets shorter.

Solves    the period of one task with any DAG, whatever the objective
Answer    a plan from the least bottleneck of one topological order with one run of units per node, improved by moving
          short runs of units between nodes, for a while to slightly worse plans too
Time      O(L K^2 prod(n_k + 1) log 1/e) for the start, then `rounds` batches of moves, fewer if the bound is reached;
          L = units, K = kinds of nodes, n_k = nodes of a kind
Source    the chain of Wu et al.: PDD, IEEE IoT-J 2024, divided as in Hu et al.: PipeEdge, DSD 2022; local search
Departs   moves are compared by the busy seconds of nodes and links, one call for each node; the judge has the last word
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hocket.cost import Problem
from hocket.solvers.bottleneck import Bottleneck
from hocket.solvers.bound import lower_bound
from hocket.solvers.chains.busy import Busy
from hocket.solvers.chains.rows import NO_WAY, none_allowed, refuses_row
from hocket.solvers.checks import require
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats
from hocket.solvers.linearised import Linear
from hocket.solvers.period import period_bound
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

Ints = NDArray[np.int64]
_BATCH = 128
_LENGTHS = (1, 1, 2, 3, 4, 6, 8, 12, 16)
_EQUAL = 1e-9
_WORSE = 0.02
"""Share by which a placement may be worse than the one before it, at first; it falls to 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearPipeline:
    """See the module."""

    name: ClassVar[str] = "linear_pipeline"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    rounds: int = 150
    """How many batches of moves are tried."""
    most_states: int = 100_000_000
    """Most states of the start; with more of them the start is everything on each node."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that computes."""
        return refuses_row(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best pipeline found."""
        require(self, problem)
        linear = Linear(problem)
        search = _Moves(linear, seed, period_bound(linear.layout))
        search.begin(self._starts(linear))
        rounds = 0
        while rounds < self.rounds and not search.done and not (stop is not None and stop(search.period)):
            search.round(_WORSE * (1 - rounds / self.rounds))
            rounds += 1
        return _first_allowed(problem, linear, search, rounds)

    def _starts(self, linear: Linear) -> list[list[int]]:
        starts = [[int(host)] * len(linear.layout.units) for host in linear.hosts]
        search = Bottleneck(linear.runs)
        if search.states <= self.most_states:
            stages = search.least(0.0)
            if stages is not None:
                places = [int(linear.hosts[stage.host]) for stage in stages for _ in range(stage.start, stage.stop)]
                starts.insert(0, places)
        return starts


def _first_allowed(problem: Problem, linear: Linear, search: "_Moves", rounds: int) -> Proposal:
    """The best placement on the way that keeps the constraints."""
    sentence = NO_WAY
    for places in search.ranked():
        plan = linear.placed(places)
        cost = judged(problem, plan)
        if cost is not None and cost.feasible and np.isfinite(cost.value):
            notes = {"rounds": str(rounds), "own_period_s": f"{search.period:.9g}"}
            return Proposal(plan=plan, bound=lower_bound(problem), notes=notes)
        sentence = cost.violations[0].sentence if cost is not None and cost.violations else sentence
    raise none_allowed(problem, "divisions of one topological order and their neighbours", sentence)


class _Moves:
    """Local search over placements: the best of a batch of moves is taken if it is no worse."""

    def __init__(self, linear: Linear, seed: int, bound: float) -> None:
        self.busy, self.random = Busy(linear.layout), np.random.default_rng(seed)
        self.hosts, self.size = linear.hosts, len(linear.layout.units)
        self.enough = bound * (1 + _EQUAL)
        self.here: Ints = np.zeros(self.size, dtype=np.int64)
        self.near = self.score = self.period = np.inf
        self.path: list[tuple[float, list[int]]] = []
        """Starts, and every placement that was the best so far: (score, places)."""

    @property
    def done(self) -> bool:
        """Whether nothing can be better, or nothing can be moved."""
        return self.period <= self.enough or self.size == 0 or len(self.hosts) < 2

    def begin(self, starts: list[list[int]]) -> None:
        """Go on from the best start."""
        placements = np.array(starts, dtype=np.int64).reshape(len(starts), self.size)
        scores, periods = self._scores(placements)
        self.path = sorted(zip(scores.tolist(), placements.tolist(), strict=True))
        best = int(scores.argmin())
        self.here, self.score, self.period = placements[best], float(scores[best]), float(periods[best])
        self.near = self.score

    def round(self, worse: float) -> None:
        """One batch of moves; the best of them is taken if it is worse by at most this share."""
        placements = np.tile(self.here, (_BATCH, 1))
        for row in placements:
            for _ in range(1 + int(self.random.integers(3) == 0)):
                first = int(self.random.integers(self.size))
                row[first : first + _LENGTHS[int(self.random.integers(len(_LENGTHS)))]] = self._host(first)
        placements = placements[(placements != self.here).any(axis=1)]
        if not len(placements):
            return
        scores, periods = self._scores(placements)
        best = int(scores.argmin())
        if scores[best] < self.near * (1 + worse):
            self.here, self.near = placements[best], float(scores[best])
        if scores[best] < self.score * (1 - _EQUAL):
            self.score, self.period = float(scores[best]), float(periods[best])
            self.path.append((self.score, placements[best].tolist()))

    def _host(self, unit: int) -> int:
        """Mostly the host of a unit nearby, so that boundaries move; else any."""
        if self.random.integers(4):
            near = int(np.clip(unit + self.random.integers(-16, 17), 0, self.size - 1))
            return int(self.here[near])
        return int(self.hosts[int(self.random.integers(len(self.hosts)))])

    def _scores(self, placements: Ints) -> tuple[Floats, Floats]:
        """(K,) what is compared, and (K,) the period. A little of the mean tells placements of one period apart."""
        seconds = self.busy.seconds(placements)
        periods = seconds.max(axis=1, initial=0.0)
        with np.errstate(invalid="ignore"):
            scores = periods + 0.01 * np.sqrt((seconds**2).mean(axis=1))
        return np.where(np.isfinite(scores), scores, np.inf) * (1 + 10 * self.busy.excess(placements)), periods

    def ranked(self) -> list[list[int]]:
        """The placements on the way, the best first."""
        return [places for _, places in sorted(self.path)]
