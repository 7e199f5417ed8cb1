"""Archimedes optimisation that accepts by annealing, chaotic crossover of the elites, then slower clocks.

Solves    every metric and constraint of one task; made for energy under a deadline and a budget
Answer    the best that was seen by the judge, clocks included; with a lower bound where no clock is set
Time      O(G P) judgements; G = generations, P = objects; and O(N F) for each round of clocks, N = nodes, F = levels
Source    Li, Yu, Fan, Zhang, Xu: Energy-efficient offloading for DNN-based applications in edge-cloud computing: A
          hybrid chaotic evolutionary approach, JPDC 187:104850, 2024; Hashim et al., Applied Intelligence 51, 2021
Departs   [standard] constants of the optimisation, cooling, and the form of the chaotic operators; clocks are set after
          the search, level by level, and not within it; they are equal steps between a node's least and greatest;
          the first objects hold everything on one node each, which the paper is not known to do
Cards     hcea
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.plan import Setting
from hocket.solvers.layout import Floats
from hocket.solvers.search.archimedes import Objects
from hocket.solvers.search.judge import Judge, Rank, Settings, Vector, refuses_search
from hocket.solvers.search.vectors import Generator, accepts, edges_of, logistic
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import MaxIterations, Stop

_FIRST_CHAOS = 0.7  # not one of 0, 1/4, 1/2, 3/4, 1, from which the logistic map does not get away
_ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Hcea:
    """See the module."""

    name: ClassVar[str] = "hcea"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    objects: int = 24
    generations: int = 80
    """How many if no `stop` is given; factors change over so many in any case."""
    elites: int = 6
    """Objects that are crossed in each generation."""
    temperature: float = 0.1
    """Of the first generation: relative loss that is accepted with probability 1/e."""
    cooling: float = 0.95
    levels: int = 5
    """Clocks of each node that are tried; 0 = clocks stay at their greatest (HCEA without DVFS)."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_search(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan."""
        judge = Judge(self, problem, stop or MaxIterations(self.generations))
        if judge.is_trivial:
            judge.rank(judge.best_vector)
        else:
            _Evolution(self, judge, np.random.default_rng(seed)).run()
        if self.levels and judge.size:
            slow_down(judge, self.levels)
        return judge.proposal()


class _Evolution:
    def __init__(self, options: Hcea, judge: Judge, rng: Generator) -> None:
        self.options, self.judge, self.rng = options, judge, rng
        self.chaos = _FIRST_CHAOS
        self.objects = Objects.random(rng, options.objects, judge.size)
        self._settle()
        self.ranks = judge.ranks(map(self.decoded, self.objects.at))

    def _settle(self) -> None:
        """The first objects hold everything on one node each."""
        width = len(self.judge.hosts)
        for number in range(min(width, len(self.objects.at))):
            self.objects.take(number, np.full(self.judge.size, (number + 0.5) / width))

    def decoded(self, position: Floats) -> Vector:
        """Numbers between 0 and 1 to nodes."""
        width = len(self.judge.hosts)
        return self.judge.hosts[np.minimum((position * width).astype(np.int64), width - 1)]

    def run(self) -> None:
        temperature, generation = self.options.temperature, 0
        while not self.judge.over():
            self.diversify(min(generation / self.options.generations, 1.0), temperature)
            self.intensify()
            temperature *= self.options.cooling
            generation += 1

    def diversify(self, done: float, temperature: float) -> None:
        """Every object moves; a place that is worse is taken with the probability of annealing."""
        best = min(range(len(self.ranks)), key=lambda number: self.ranks[number])
        positions = self.objects.moved(self.rng, best, done)
        for number, rank in enumerate(self.judge.ranks(map(self.decoded, positions))):
            if accepts(self.rng, self.ranks[number], rank, temperature):
                self._take(number, positions[number], rank)

    def intensify(self) -> None:
        """Neighbours among the elites are crossed and mutated; a child takes the place of the worst if it is better."""
        order = sorted(range(len(self.ranks)), key=lambda number: self.ranks[number])
        children = [
            self._child(self.objects.at[a], self.objects.at[b]) for a, b in pairwise(order[: self.options.elites])
        ]
        for position, rank in zip(children, self.judge.ranks(map(self.decoded, children)), strict=True):
            worst = max(range(len(self.ranks)), key=lambda number: self.ranks[number])
            if rank < self.ranks[worst]:
                self._take(worst, position, rank)

    def _child(self, a: Floats, b: Floats) -> Floats:
        """Crossed at a chaotic place, one number of it chaotic."""
        cut = int(self._next_chaos() * len(a))
        child = np.concatenate([a[:cut], b[cut:]])
        child[min(int(self._next_chaos() * len(a)), len(a) - 1)] = self._next_chaos()
        return child

    def _next_chaos(self) -> float:
        self.chaos = logistic(self.chaos)
        return self.chaos

    def _take(self, number: int, position: Floats, rank: Rank) -> None:
        self.objects.take(number, position)
        self.ranks[number] = rank


def slow_down(judge: Judge, levels: int) -> None:
    """Lower clocks where that is better, and move pieces at those clocks, until nothing gets better.

    Args:
        judge: with a best vector; what is found better becomes its best.
        levels: clocks that are tried for each node.
    """
    for _ in range(_ROUNDS):
        before = judge.best
        for node in sorted(set(judge.best_vector.tolist())):
            for clock_hz in clocks_hz(judge, node, levels):
                judge.rank(judge.best_vector, with_clock(judge.best_settings, judge.layout.nodes[node], clock_hz))
        for start, stop in pairwise(edges_of(judge.best_vector)):
            for host in judge.hosts.tolist():
                moved = judge.best_vector.copy()
                moved[start:stop] = host
                judge.rank(moved, judge.best_settings)
        if judge.best == before or judge.over():
            return


def clocks_hz(judge: Judge, node: int, levels: int) -> list[float]:
    """Clocks of a node below its greatest, falling; none if it has one clock only."""
    limits = judge.problem.cluster.nodes[node].frequency_hz
    if limits is None:
        return []
    return [float(clock_hz) for clock_hz in np.linspace(limits[1], limits[0], levels + 1)[1:]]


def with_clock(settings: Settings, node: str, clock_hz: float) -> Settings:
    """The settings with the clock of one node changed."""
    others = [setting for setting in settings if setting.node != node]
    return tuple(sorted([*others, Setting(node=node, frequency_hz=clock_hz)], key=lambda setting: setting.node))
