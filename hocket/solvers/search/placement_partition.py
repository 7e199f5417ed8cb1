"""Device placement by annealing, model partitioning by dynamic programming, one inside the other.

Solves    every metric and constraint of one task, as a chain of blocks with one run per device
Answer    the best of the annealing by the judge; for the order of devices of each of its steps the cuts are the best by
          the method's own sum or period; with a lower bound
Time      O(I D L^2); I = steps, D = devices, L = blocks; an order of devices is cut once
Source    Dai, Han, Li, Xu, Xing, Liu: Joint Optimization of Device Placement and Model Partitioning for Cooperative DNN
          Inference in Heterogeneous Edge Computing, IEEE TMC 2024
Departs   [standard] annealing over orders of devices and the recurrence of the cuts; a DAG is taken as its chain of
          blocks; latency and what does not add up are cut by the survey's sum, calls counted
Cards     placement_partition
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.chain import Chain
from hocket.solvers.search.judge import NOWHERE, Judge, Rank, refuses_search
from hocket.solvers.search.order_dp import Aim, best_split, runs_for
from hocket.solvers.search.vectors import Generator, accepts
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import MaxIterations, Stop

Order = tuple[int, ...]
"""Hosts that take part, each once, in the order of their runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementPartition:
    """See the module."""

    name: ClassVar[str] = "placement_partition"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    steps: int = 300
    """How many if no `stop` is given."""
    temperature: float = 0.2
    """Of the first step: relative loss that is accepted with probability 1/e."""
    cooling: float = 0.98

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_search(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan of the annealing."""
        judge = Judge(self, problem, stop or MaxIterations(self.steps))
        if judge.size == 0:
            judge.rank(judge.best_vector)
            return judge.proposal()
        rng, cutter = np.random.default_rng(seed), _Cutter(judge)
        width = len(judge.hosts)
        first: list[tuple[Rank, Order]] = [(cutter.rank((host,)), (host,)) for host in range(width)]
        rank, order = min(first)
        temperature = self.temperature
        while width > 1 and not judge.over():
            following = neighbour(rng, order, width, len(cutter.chain.blocks))
            found = cutter.rank(following)
            if accepts(rng, rank, found, temperature):
                rank, order = found, following
            temperature *= self.cooling
        return judge.proposal(orders=str(len(cutter.known)))


class _Cutter:
    """The best cuts of each order of devices, found once."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.chain = judge, Chain(judge.additive)
        self.aim: Aim = "period" if judge.problem.objective.metric == "period" else "sum"
        metric = judge.problem.objective.metric
        calls = judge.layout.call_s[self.chain.hosts]
        self.calls = calls if metric in ("latency", "period") else np.zeros_like(calls)
        self.known: dict[Order, Rank] = {}

    def rank(self, order: Order) -> Rank:
        """How good the best cuts are by the judge."""
        if order not in self.known:
            found = best_split(runs_for(self.chain, self.aim, self.calls, len(order)), order, self.aim)
            self.known[order] = NOWHERE if found is None else self.judge.rank(
                self.chain.places([stage.host for stage in found[1] for _ in range(stage.start, stage.stop)])
            )  # fmt: skip
        return self.known[order]


def neighbour(rng: Generator, order: Order, width: int, most: int) -> Order:
    """An order with one device more, less, exchanged for another, or in another place.

    Args:
        rng: chooses.
        order: hosts now.
        width: how many hosts there are.
        most: how many may take part.
    """
    moves = list(_neighbours(order, width, most))
    return moves[int(rng.integers(len(moves)))] if moves else order


def _neighbours(order: Order, width: int, most: int) -> Iterator[Order]:
    outside = [host for host in range(width) if host not in order]
    for place in range(len(order)):
        if len(order) > 1:
            yield (*order[:place], *order[place + 1 :])
        for host in outside:
            yield (*order[:place], host, *order[place + 1 :])
        for other in range(place + 1, len(order)):
            swapped = list(order)
            swapped[place], swapped[other] = order[other], order[place]
            yield tuple(swapped)
    if len(order) < most:
        for host in outside:
            for place in range(len(order) + 1):
                yield (*order[:place], host, *order[place:])
