"""A swarm whose moves are mutation and crossover chooses servers; then weights are sent in the order of their benefit.

Solves    every metric and constraint of one task: where layers run, and in which order their weights are sent
Answer    the best that the swarm saw, by the judge, with a lower bound; the order of sending lowers the survey's sum
          per byte most quickly, layers whose weights are not there yet running at the source
Time      O(G P) judgements, and O(U^2) sums for the order; G = moves, P = particles, U = units
Source    Xue, Wu, Li, Xu, Jiao: EosDNN, IEEE TGCN 6(1):248-264, 2022
Departs   [standard] operators and their adaptive rates as in the literature on PSO-GA; Deb's rule in place of a
          penalty; where the source cannot compute no query runs before all weights are there, and they are sent in
          the order of the layers; the first particles hold everything on one node each, which the paper is not known
          to do
Cards     eosdnn
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.search.judge import Judge, Vector, refuses_search
from hocket.solvers.search.uploading import upload_order
from hocket.solvers.search.vectors import Generator, flipped, random_vectors, two_point
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import MaxIterations, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class EosDnn:
    """See the module."""

    name: ClassVar[str] = "eosdnn"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    particles: int = 30
    moves: int = 100
    """How often the swarm moves if no `stop` is given; the rates change over so many moves in any case."""
    inertia: tuple[float, float] = (0.4, 0.9)
    """Least and greatest probability of a mutation."""
    own: tuple[float, float] = (0.9, 0.2)
    """Probability of a crossover with the particle's own best, at the first and at the last move."""
    common: tuple[float, float] = (0.4, 0.9)
    """The same for the best of the swarm."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_search(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan that the swarm saw, with the order in which its weights are sent."""
        judge = Judge(self, problem, stop or MaxIterations(self.moves))
        if judge.is_trivial:
            judge.rank(judge.best_vector)
        else:
            self._fly(judge, np.random.default_rng(seed))
        proposal = judge.proposal()
        loads = upload_order(problem, [int(node) for node in judge.best_vector])
        entry = proposal.plan.entries[0].replace(loads=loads)
        return Proposal(plan=proposal.plan.replace(entries=(entry,)), bound=proposal.bound, notes=proposal.notes)

    def _fly(self, judge: Judge, rng: Generator) -> None:
        swarm = random_vectors(rng, judge.hosts, judge.size, self.particles - len(judge.hosts))
        swarm += [np.full(judge.size, host, dtype=np.int64) for host in judge.hosts]
        ranks = judge.ranks(swarm)
        bests = list(zip(ranks, swarm, strict=True))
        move = 0
        while not judge.over():
            done = min(move / max(self.moves - 1, 1), 1.0)
            swarm = [
                self.moved(rng, vector, own, judge.best_vector, judge.hosts, done)
                for vector, (_, own) in zip(swarm, bests, strict=True)
            ]
            ranks = judge.ranks(swarm)
            bests = [
                (rank, vector) if rank < best[0] else best
                for rank, vector, best in zip(ranks, swarm, bests, strict=True)
            ]
            move += 1

    def rates(self, distance: float, done: float) -> tuple[float, float, float]:
        """Probabilities of a mutation, and of a crossover with the own and with the common best.

        Args:
            distance: share of the layers that the particle places otherwise than the best of the swarm.
            done: share of the moves that are done.

        >>> [round(rate, 2) for rate in EosDnn().rates(0.0, 0.0)], [round(r, 2) for r in EosDnn().rates(1.0, 1.0)]
        ([0.4, 0.9, 0.4], [0.9, 0.2, 0.9])
        """
        least, most = self.inertia
        mutation = most - (most - least) * float(np.exp(distance / (distance - 1.01)))
        own, common = (first + (last - first) * done for first, last in (self.own, self.common))
        return mutation, own, common

    def moved(self, rng: Generator, vector: Vector, own: Vector, common: Vector, hosts: Vector, done: float) -> Vector:
        """A particle after one move: inertia, then its own memory, then that of the swarm."""
        mutation, cognitive, social = self.rates(float((vector != common).mean()), done)
        if rng.random() < mutation:
            vector = flipped(rng, vector, hosts)
        if rng.random() < cognitive:
            vector = two_point(rng, vector, own)
        if rng.random() < social:
            vector = two_point(rng, vector, common)
        return vector
