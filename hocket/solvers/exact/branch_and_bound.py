"""A search over all placements of units, unit by unit, that leaves out what a lower bound rules out.

Solves    every metric and constraint of one task on any number of nodes
Answer    optimal over all placements of units if the search ends by itself; else the best plan found, and the least
          bound of what is left
Time      O(D^U) nodes at worst, O(E + D) each; D = nodes, U = units, E = tensors that a unit reads
Source    Land, Doig: An automatic method of solving discrete programming problems, Econometrica 1960
Departs   best bound first, the deeper of equal ones; latency is bounded by paths and by work as a fluid, the period by
          the latter, sums by what has been placed and the cheapest node of what has not
Cards     -
"""

import heapq
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.additive import additive_of
from hocket.solvers.batch import bounds_of
from hocket.solvers.checks import refuses_tasks, require
from hocket.solvers.exact.incumbent import Clock, Incumbent
from hocket.solvers.exact.prefix import Prefix, State
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchAndBound:
    """See the module."""

    name: ClassVar[str] = "branch_and_bound"
    # It may be stopped, or run out of nodes: `Proposal.over` says for each plan whether it is proven.
    exact_for: ClassVar[frozenset[str]] = frozenset()

    most_nodes: int = 20_000
    """Most nodes of the search tree that are opened."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        return None if additive_of(problem).layout.hosts else "the profile knows no node of the cluster"

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best placement, or the best found and a bound."""
        require(self, problem)
        return _Search(problem, self.name).run(self.most_nodes, Clock(stop))


class _Search:
    def __init__(self, problem: Problem, name: str) -> None:
        self.problem, self.name = problem, name
        self.additive = additive_of(problem)
        self.layout = self.additive.layout
        self.prefix = Prefix(problem, self.layout)
        self.leaf = bounds_of(problem, self.layout)
        self.best = Incumbent(problem)
        self.opened = 0

    def run(self, most_nodes: int, clock: Clock) -> Proposal:
        self.best.try_whole(self.additive)
        root = self.prefix.empty()
        self._dive(root)
        heap: list[tuple[float, int, int, State]] = [(self.prefix.bound(root), 0, 0, root)]
        count = 0
        while heap and not self.best.closes(heap[0][0]):
            if self.opened >= most_nodes or clock.ends(self.best.value) or clock.left_s == 0:
                return self._stopped(heap[0][0])
            _, _, _, state = heapq.heappop(heap)
            self.opened += 1
            for bound, child in self._children(state):
                count += 1
                heapq.heappush(heap, (bound, -len(child.places), count, child))
        if self.best.plan is None:
            raise self.best.none()
        notes = {"nodes": str(self.opened)}
        return Proposal(plan=self.best.plan, bound=self.best.value, over="units", notes=notes)

    def _dive(self, state: State) -> None:
        """Go down to a first placement, each unit where the bound is least."""
        while len(state.places) < len(self.layout.units):
            children = [child for host in self.layout.hosts if (child := self.prefix.place(state, host))]
            if not children:
                return
            state = min(children, key=self.prefix.bound)
        self.best.try_plan(self.additive.plan(list(state.places)))

    def _children(self, state: State) -> list[tuple[float, State]]:
        """What is one unit longer and may still be better; placements that are complete are judged at once."""
        found = []
        for host in self.layout.hosts:
            child = self.prefix.place(state, host)
            if child is None:
                continue
            bound = self.prefix.bound(child)
            if self.best.closes(bound):
                continue
            if len(child.places) < len(self.layout.units):
                found.append((bound, child))
                continue
            places = np.array([child.places])
            if not self.best.closes(float(self.leaf(places)[0])):
                self.best.try_plan(self.additive.plan(list(child.places)))
        return found

    def _stopped(self, bound: float) -> Proposal:
        if self.best.plan is None:
            raise self.best.unknown(self.name)
        notes = {"nodes": str(self.opened)}
        return Proposal(plan=self.best.plan, bound=min(bound, self.best.value), notes=notes)
