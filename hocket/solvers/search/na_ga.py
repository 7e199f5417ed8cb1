"""Genetic algorithm whose operators keep pieces whole and memory sufficient.

Solves    every metric and constraint of one task on peer devices
Answer    the best of all generations by the judge; no guarantee; with a lower bound
Time      O(G P) judgements; G = generations, P = individuals
Source    Na, Zhang, Lian, Zhang: Partitioning DNNs for Optimizing Distributed Inference Performance on Cooperative Edge
          Devices: A Genetic Algorithm Approach, Applied Sciences 12(20):10619, 2022
Departs   [standard] sizes, rates, tournaments and the form of the operators; layer times come from the profile, not
          from a PALEO-type model; Deb's rule in place of a penalty
Cards     na_ga
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.search.judge import Judge, Rank, Vector, refuses_search
from hocket.solvers.search.vectors import Generator, Room, contiguous, edges_of, one_point, tournament
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import MaxIterations, Stop

_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NaGa:
    """See the module."""

    name: ClassVar[str] = "na_ga"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    population: int = 24
    generations: int = 80
    """At most, if no `stop` is given."""
    patience: int = 20
    """Generations without a better one after which it ends by itself."""
    elites: int = 2
    """How many of the best go on unchanged."""
    crossover_rate: float = 0.9
    mutation_rate: float = 0.3
    feasibility_aware: bool = True
    """False = the basic algorithm: any vectors to begin with, any unit changes, nothing is repaired."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_search(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan of all generations."""
        judge = Judge(self, problem, stop or MaxIterations(self.generations))
        if judge.is_trivial:
            judge.rank(judge.best_vector)
            return judge.proposal()
        rng, room = np.random.default_rng(seed), Room(judge.layout)
        people = self.beginning(rng, judge.hosts, judge.size, room)
        ranks = judge.ranks(people)
        done = unchanged = 0
        while not judge.over() and unchanged < self.patience:
            before = judge.best
            people = self._next(rng, people, ranks, judge.hosts, room)
            ranks = judge.ranks(people)
            done += 1
            unchanged = 0 if judge.best < before else unchanged + 1
        return judge.proposal(generations=str(done))

    def beginning(self, rng: Generator, hosts: Vector, size: int, room: Room) -> list[Vector]:
        """The first generation: random divisions into pieces that fit, as far as any are found."""
        if not self.feasibility_aware:
            return list(hosts[rng.integers(len(hosts), size=(self.population, size))])
        people: list[Vector] = []
        for _ in range(self.population):
            tried = contiguous(rng, hosts, size)
            for _ in range(_TRIES):
                if room.fits(tried):
                    break
                tried = contiguous(rng, hosts, size)
            people.append(room.repaired(tried))
        return people

    def _next(self, rng: Generator, people: list[Vector], ranks: list[Rank], hosts: Vector, room: Room) -> list[Vector]:
        order = sorted(range(len(people)), key=lambda number: ranks[number])
        children = [people[number] for number in order[: self.elites]]
        while len(children) < self.population:
            a, b = people[tournament(rng, ranks)], people[tournament(rng, ranks)]
            pair = one_point(rng, a, b) if rng.random() < self.crossover_rate else (a, b)
            for child in pair:
                changed = self.mutated(rng, child, hosts) if rng.random() < self.mutation_rate else child
                children.append(room.repaired(changed) if self.feasibility_aware else changed)
        return children[: self.population]

    def mutated(self, rng: Generator, vector: Vector, hosts: Vector) -> Vector:
        """The vector with one border between pieces moved by one unit, or one piece on another device."""
        child, edges = vector.copy(), edges_of(vector)
        if not self.feasibility_aware:
            child[rng.integers(len(child))] = hosts[rng.integers(len(hosts))]
        elif len(edges) > 2 and rng.random() < 0.5:
            border = edges[int(rng.integers(1, len(edges) - 1))]
            if rng.random() < 0.5:
                child[border] = child[border - 1]
            else:
                child[border - 1] = child[border]
        else:
            piece = int(rng.integers(len(edges) - 1))
            child[edges[piece] : edges[piece + 1]] = hosts[rng.integers(len(hosts))]
        return child
