"""An integer program over all placements of units, with the bound that it proves.

Solves    every metric of one task on any number of nodes, with memory, limits and a deadline
Answer    optimal over all placements of units where it ends by itself: for sums at once; for the period, and the
          latency of a chain, at once unless calls or codecs take time; for others after more rounds; else a plan and
          the bound that HiGHS has proven, also when it is stopped by time
Time      exponential at worst; the linear relaxation, which is often whole, has E D^2 variables; E = readers of
          tensors, D = nodes
Source    Calinescu, Karloff, Rabani: An improved approximation algorithm for multiway cut, JCSS 2000: the relaxation;
          Huangfu, Hall: Parallelizing the dual revised simplex method, Math. Prog. Comp. 2018: HiGHS
Departs   a tensor is paid for once per node; where the program's value is below the judge's, the placement is excluded
          and the program solved again, until no other one can be better
Cards     -
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.additive import additive_of
from hocket.solvers.checks import refuses_tasks, require
from hocket.solvers.exact.figures import Figures
from hocket.solvers.exact.incumbent import Clock, Incumbent
from hocket.solvers.exact.relaxation import pairs_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Milp:
    """See the module."""

    name: ClassVar[str] = "milp"
    # It may be stopped, or run out of rounds: `Proposal.over` says for each plan whether it is proven.
    exact_for: ClassVar[frozenset[str]] = frozenset()

    most_rounds: int = 50
    """Most placements that are judged."""
    most_nodes: int = 20_000
    """Most nodes of HiGHS's search tree in one round; unlike a time limit it gives the same plan on every computer."""
    most_variables: int = 200_000
    """Larger programs are refused."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, nothing that can compute, or too large a program."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        layout = additive_of(problem).layout
        if not layout.hosts:
            return "the profile knows no node of the cluster"
        pairs = pairs_of(layout)
        if pairs > self.most_variables:
            return f"{pairs} pairs of nodes over all readers of tensors are more than {self.most_variables} variables"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best placement, or the best found and its bound."""
        require(self, problem)
        clock, best = Clock(stop), Incumbent(problem)
        additive = additive_of(problem)
        best.try_whole(additive)
        figures = Figures(problem, additive.layout)
        figures.constrain()
        proven, rounds = 0.0, 0
        while rounds < self.most_rounds and not best.closes(proven):
            rounds += 1
            reference = best.value if best.plan else _scale(problem)
            found = figures.solve(reference, seconds=clock.left_s, most_nodes=self.most_nodes)
            # What was excluded before has been judged, so the bound of the rest and the best of those hold for all.
            proven = max(proven, min(found.bound, best.value))
            if found.values is None:
                break
            places = figures.crossings.placement(found.values)
            best.try_plan(additive.plan(places))
            figures.crossings.exclude(places)
            if not found.complete or clock.ends(best.value):
                break
        return self._proposal(best, proven, rounds)

    def _proposal(self, best: Incumbent, proven: float, rounds: int) -> Proposal:
        if best.plan is None:
            raise best.none() if proven == math.inf else best.unknown(self.name)
        notes = {"rounds": str(rounds)}
        if best.closes(proven):
            return Proposal(plan=best.plan, bound=best.value, over="units", notes=notes)
        return Proposal(plan=best.plan, bound=min(proven, best.value), notes=notes)


def _scale(problem: Problem) -> float:
    """About what the objective is where no plan is known."""
    known = problem.task.source in problem.task.profile.nodes
    return problem.references.get(problem.objective.metric, 1.0) if known else 1.0
