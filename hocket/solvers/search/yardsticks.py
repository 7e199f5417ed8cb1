"""Genetic algorithm, particle swarm and NSGA-II of a library, as they come: what a published search has to beat.

Solves    every metric and constraint of one task
Answer    the best that was seen by the judge; for nsga2 the best on the front of the metrics; with a lower bound
Time      O(G P) judgements; G = generations, P = individuals
Source    Blank, Deb: pymoo, IEEE Access 8, 2020; Deb, Pratap, Agarwal, Meyarivan: NSGA-II, IEEE TEVC 6(2), 2002
Departs   the library tries 100 times to mate something new, and here 20 times, since a small space is soon known;
          all vectors to begin with are random, also where other searches begin with each node alone
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.search.judge import Judge, refuses_search
from hocket.solvers.search.library import Algorithm, Point, evolve, front
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import MaxIterations, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class _Yardstick:
    name: ClassVar[str]
    algorithm: ClassVar[Algorithm]
    exact_for: ClassVar[frozenset[str]] = frozenset()

    population: int = 24
    generations: int = 80
    """How many if no `stop` is given."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_search(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan of all generations."""
        judge = Judge(self, problem, stop or MaxIterations(self.generations))
        if judge.is_trivial:
            judge.rank(judge.best_vector)
            return judge.proposal()
        done = evolve(judge, self.algorithm, population=self.population, seed=seed)
        return judge.proposal(generations=str(done))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ga(_Yardstick):
    """Two-point crossover and polynomial mutation, rounded; see the module."""

    name: ClassVar[str] = "ga"
    algorithm: ClassVar[Algorithm] = "ga"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pso(_Yardstick):
    """Particles between 0 and the number of nodes, rounded down; see the module."""

    name: ClassVar[str] = "pso"
    algorithm: ClassVar[Algorithm] = "pso"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nsga2(_Yardstick):
    """The front of several metrics; see the module."""

    name: ClassVar[str] = "nsga2"
    algorithm: ClassVar[Algorithm] = "nsga2"

    metrics: tuple[str, ...] = ("latency", "period", "energy", "price")

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The plan on the front that the objective likes best."""
        judge = Judge(self, problem, stop or MaxIterations(self.generations))
        return on_the_front(judge, self.front(judge, seed))

    def front(self, judge: Judge, seed: int = 0) -> list[Point]:
        """Figures and vectors of the plans that nothing seen dominates, by rising figures."""
        return front_of(judge, self.metrics, self.population, seed)


def front_of(judge: Judge, metrics: tuple[str, ...], population: int, seed: int) -> list[Point]:
    """The front; of one vector where there is nothing to choose."""
    if not judge.is_trivial:
        return front(judge, metrics, population=population, seed=seed)
    rank = judge.rank(judge.best_vector)
    return [((), judge.best_vector)] if rank.excess == 0 else []


def on_the_front(judge: Judge, points: list[Point]) -> Proposal:
    """The plan of a front that the objective likes best.

    Raises:
        InfeasibleError: the front is empty, because nothing that was seen keeps the constraints.
    """
    if points:
        judge.prefer(min(points, key=lambda point: (judge.rank(point[1]), point[0]))[1])
    return judge.proposal(front=f"{len(points)} plans")
