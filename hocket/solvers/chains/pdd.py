"""PDD: a DAG as a chain of its vertices, divided by bisection on the longest stage.

Solves    the period of one task with any DAG, whatever the objective, on peer units
Answer    for each of several orders of the units the least longest stage, computing and ways as stages of their own, of
          divisions of one topological order in which every unit takes the longest prefix that it can; of these the
          best by the method's own figure that keeps the constraints
Time      O(D^2 L log 1/e); L = vertices, D = units
Source    Wu, Gao, Yu, Zhou, Yang, Wang: PDD, IEEE IoT-J 11(6) 2024, pp. 9258-9268
Departs   [standard] the orders: by speed, and from the source along the fastest links, each also without its slowest
          units; a boundary carries all tensors that are read behind it, as published, where hocket sends each to its
          readers only; answers made within the chain travel beside it and cost nothing
Cards     pdd
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.chains.dichotomy import orders_of, shortest_stage
from hocket.solvers.chains.rows import NO_WAY, none_allowed, refuses_row, settled
from hocket.solvers.checks import require
from hocket.solvers.fixed import judged
from hocket.solvers.linearised import Linear
from hocket.solvers.solver import Proposal
from hocket.solvers.stages import Stage
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Pdd:
    """See the module."""

    name: ClassVar[str] = "pdd"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that computes."""
        return refuses_row(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The division with the shortest longest stage."""
        require(self, problem)
        linear = Linear(problem)
        found: dict[tuple[Stage, ...], float] = {}
        for order in orders_of(linear):
            some = shortest_stage(linear.runs, order)
            if some is not None:
                found[tuple(some)] = linear.runs.busiest(some) if some else 0.0
        searched, sentence = "the prefixes of one topological order on several orders of units", NO_WAY
        for stages, period in sorted(found.items(), key=lambda item: item[1]):
            plan = linear.plan(stages)
            cost = judged(problem, plan)
            if cost is not None and cost.feasible:
                notes = {"stages": linear.described(stages), "own_period_s": f"{period:.9g}"}
                return settled(problem, plan, searched, notes)
            sentence = cost.violations[0].sentence if cost is not None and cost.violations else sentence
        raise none_allowed(problem, searched, sentence)
