"""Any metric, any number of nodes: move runs of units while the judge sees less.

Solves    every metric and constraint of one task
Answer    a plan that no single move of a run of units improves, from the best of many starts; with a lower bound
Time      a given number of judgements, or as long as it may
Source    iterated local search; starts by Topcuoglu, Hariri, Wu: HEFT, IEEE TPDS 2002, and by minimum cuts
Departs   moves that a lower bound rules out are not judged
Cards     -
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cost import Cost, Problem
from hocket.plan import Plan
from hocket.solvers.additive import Additive, additive_of
from hocket.solvers.batch import Placements, bounds_of, overfull
from hocket.solvers.bound import lower_bound
from hocket.solvers.checks import infeasible, refuses_nodes, require
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Places
from hocket.solvers.solver import Proposal
from hocket.solvers.starts import starts
from hocket.solvers.stop import MaxIterations, Stop

_BATCH = 64
_EXCESS = 1e-9


class _Rank(NamedTuple):
    """What is compared: first how far constraints are broken, then the value."""

    excess: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """See the module."""

    name: ClassVar[str] = "descent"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    judgements: int = 400
    """How many plans, or batches of plans that a bound rules out, are judged if no `stop` is given."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_nodes(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan found."""
        return self.improved(problem, (), seed=seed, stop=stop)

    def improved(
        self, problem: Problem, first: Sequence[Places], *, seed: int = 0, stop: Stop | None = None
    ) -> Proposal:
        """The best plan found, where some placements are starts besides the search's own."""
        require(self, problem)
        bound = lower_bound(problem)
        search = _Search(problem, seed, stop or MaxIterations(self.judgements), bound)
        search.run(first)
        if search.best_plan is None or search.best.excess > 0:
            raise infeasible(problem, "the plans that descent tried", search.complaint)
        return Proposal(plan=search.best_plan, bound=bound, notes={"judgements": str(search.judgements)})


class _Search:
    def __init__(self, problem: Problem, seed: int, stop: Stop, bound: float) -> None:
        self.problem, self.stop, self.random = problem, stop, random.Random(seed)
        self.enough = bound * (1 + _EXCESS)
        self.additive: Additive = additive_of(problem)
        self.layout = self.additive.layout
        self.bounds, self.overfull = bounds_of(problem, self.layout), overfull(self.layout)
        self.judgements = 0
        self.over = False
        self.best = _Rank(np.inf, np.inf)
        self.best_plan: Plan | None = None
        self.best_places: list[int] = []
        self.complaint = "no way leads from the inputs to the answers"
        self.known: dict[tuple[int, ...], _Rank] = {}

    def run(self, first: Sequence[Places]) -> None:
        """Judge the starts, then go down from the best of them, and from near it again."""
        ranked = []
        for places in chain(map(list, first), starts(self.additive)):
            ranked.append((self._judge(places), places))
            # A limit ends the search, but not before there is a plan if a start is one.
            if self.over and self.best.excess == 0:
                return
        ranked.sort()
        if len(self.layout.hosts) < 2 or not self.layout.units:
            return
        for rank, places in ranked[: 2 + len(first)]:
            self._down(rank, places)
        while not self.over:
            places = self._shaken(self.best_places or ranked[0][1])
            self._down(self._judge(places), places)

    def _judge(self, places: list[int]) -> _Rank:
        key = tuple(places)
        if key in self.known:
            # Without this a search in a small space would go round for ever.
            self._tick()
            return self.known[key]
        plan = self.additive.plan(places)
        cost = judged(self.problem, plan)
        self.judgements += 1
        rank = _Rank(np.inf, np.inf) if cost is None else _Rank(excess(self.problem, cost), cost.value)
        self.known[key] = rank
        if rank < self.best:
            self.best, self.best_plan, self.best_places = rank, plan, places
            self.complaint = cost.violations[0].sentence if cost and cost.violations else self.complaint
        self._tick()
        return rank

    def _tick(self) -> None:
        """One iteration is a judgement, or a batch of moves that bounds rule out."""
        reached = self.best.excess == 0 and self.best.value <= self.enough
        self.over = self.over or reached or self.stop(self.best.value)

    def _down(self, rank: _Rank, places: list[int]) -> None:
        """Take the first move that is better, until none is."""
        improved = True
        while improved and not self.over:
            improved = False
            for batch in self._batches(places):
                found = self._first_better(rank, batch)
                if found is not None:
                    rank, places = found
                    improved = True
                    break
                if self.over:
                    return

    def _first_better(self, rank: _Rank, batch: Placements) -> tuple[_Rank, list[int]] | None:
        bounds = self.bounds(batch)
        if rank.excess == 0:
            bounds[self.overfull(batch)] = np.inf
        self._tick()
        for number in np.argsort(bounds, kind="stable"):
            if self.over or np.isinf(bounds[number]) or (rank.excess == 0 and bounds[number] >= rank.value):
                return None
            moved = batch[number].tolist()
            new = self._judge(moved)
            if new < rank:
                return new, moved
        return None

    def _batches(self, places: list[int]) -> Iterator[Placements]:
        moves = list(self._moves(places))
        self.random.shuffle(moves)
        for start in range(0, len(moves), _BATCH):
            some = moves[start : start + _BATCH]
            batch = np.tile(np.array(places), (len(some), 1))
            for row, (first, last, host) in zip(batch, some, strict=True):
                row[first:last] = host
            yield batch

    def _moves(self, places: list[int]) -> Iterator[tuple[int, int, int]]:
        """Runs of 1, 2, 4, ... units, and the runs that are on one node, to every other node."""
        size = len(places)
        runs = {(first, min(first + length, size)) for first in range(size) for length in _powers(size)}
        edges = [0, *(unit for unit in range(1, size) if places[unit] != places[unit - 1]), size]
        runs |= set(pairwise(edges))
        elsewhere = {host: [0, *accumulate(int(place != host) for place in places)] for host in self.layout.hosts}
        for first, last in sorted(runs):
            for host in self.layout.hosts:
                if elsewhere[host][first] < elsewhere[host][last]:
                    yield first, last, host

    def _shaken(self, places: list[int]) -> list[int]:
        """Some runs moved at random."""
        shaken = list(places)
        for _ in range(3):
            first = self.random.randrange(len(shaken))
            last = min(first + self.random.randint(1, max(2, len(shaken) // 6)), len(shaken))
            shaken[first:last] = [self.random.choice(self.layout.hosts)] * (last - first)
        return shaken


def _powers(size: int) -> Iterator[int]:
    length = 1
    while length <= size:
        yield length
        length *= 2


def excess(problem: Problem, cost: Cost) -> float:
    """How far constraints are broken: 0 = not at all; memory by its share, everything else counts 1."""
    total = 0.0
    for violation in cost.violations:
        total += _EXCESS if violation.constraint == "C6" else 1.0
    for name, need in cost.memory_bytes.items():
        room = problem.cluster.node[name].memory_bytes
        if room is not None and need > room:
            total += need / room - 1
    return total
