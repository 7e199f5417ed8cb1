"""The latency of a whole timeline, nodes and links used one at a time, by constraint programming.

Solves    latency of one task on any number of nodes
Answer    the bound holds for every placement and every order; the plan carries priorities where they make it faster.
          Optimal over all placements of units with the default order where no other placement can be faster; where
          only the priorities reach the bound, `bound` is the value and the plan the best of all, without a space
Time      exponential at worst; E D^2 optional intervals; E = tensors, D = nodes
Source    Perron, Didier: CP-SAT, in OR-Tools (Google); Baptiste, Le Pape, Nuijten: Constraint-based scheduling, 2001
Departs   operators are scheduled, not segments: a segment ends with the operator whose result leaves, so every timeline
          of segments is one of operators, where a transfer may also wait on purpose; a call delays each operator that
          reads what comes from elsewhere; times are rounded down to 1e-10 of the fastest node's; placements whose
          timeline is slower than their schedule are excluded and it is solved again
Cards     -
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.additive import additive_of
from hocket.solvers.checks import refuses_tasks, require
from hocket.solvers.exact.incumbent import Clock, Incumbent
from hocket.solvers.exact.relaxation import pairs_of
from hocket.solvers.exact.schedule import Schedule, require_ortools
from hocket.solvers.layout import Layout
from hocket.solvers.solver import Proposal, Space
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class CpSat:
    """See the module."""

    name: ClassVar[str] = "cp_sat"
    # It may be stopped, or run out of rounds: `Proposal.over` says for each plan whether it is proven.
    exact_for: ClassVar[frozenset[str]] = frozenset()

    most_rounds: int = 20
    """Most placements that are judged."""
    effort: float = 4.0
    """Most deterministic seconds of CP-SAT in all; unlike wall time they give the same plan on every computer."""
    most_variables: int = 20_000
    """Larger programs are refused."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, another objective, nothing that can compute, or too large a program."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        if problem.objective.metric != "latency":
            return f"it schedules for latency, and the objective is {problem.objective.metric}"
        layout = additive_of(problem).layout
        if not layout.hosts:
            return "the profile knows no node of the cluster"
        changing = additive_of(problem).ways.changing
        if changing is not None:
            return (
                f"the rate of {changing!r} changes over time, and a schedule needs to know how long each transfer takes"
            )
        pairs = pairs_of(layout)
        if pairs > self.most_variables:
            return f"{pairs} pairs of nodes over all readers of tensors are more than {self.most_variables} variables"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best placement with its order, or the best found and its bound."""
        require_ortools()
        require(self, problem)
        return _Rounds(problem, seed, Clock(stop)).run(self)


class _Rounds:
    def __init__(self, problem: Problem, seed: int, clock: Clock) -> None:
        self.problem, self.clock = problem, clock
        self.additive = additive_of(problem)
        self.plain, self.ordered = Incumbent(problem), Incumbent(problem)
        self.schedule = Schedule(problem, self.additive, seed)

    def run(self, options: CpSat) -> Proposal:
        self.plain.try_whole(self.additive)
        proven, rounds, effort = 0.0, 0, options.effort
        of_all = 0.0
        while rounds < options.most_rounds and effort > 0 and not self.plain.closes(proven):
            rounds += 1
            found = self.schedule.solve(self.plain.value, effort, self.clock.left_s)
            effort -= found.effort
            proven = max(proven, min(found.bound_s, self.plain.value))
            # Of what is excluded later only two orders have been judged, so the first bound alone holds for all.
            of_all = of_all or proven
            if not found.places:
                break
            plan = self.additive.plan(found.places)
            self.plain.try_plan(plan)
            self.ordered.try_plan(with_order(plan, self.additive.layout, found.begins))
            self.schedule.exclude(found.places)
            if self.clock.ends(min(self.plain.value, self.ordered.value)):
                break
        return self._proposal(proven, of_all, rounds)

    def _proposal(self, proven: float, of_all: float, rounds: int) -> Proposal:
        plain, ordered = self.plain, self.ordered
        best = ordered if ordered.value < plain.value else plain
        if best.plan is None:
            raise plain.none() if proven == math.inf else plain.unknown(CpSat.name)
        over: Space = "units" if best is plain and plain.closes(proven) else ""
        return Proposal(plan=best.plan, bound=min(of_all, best.value), over=over, notes={"rounds": str(rounds)})


def with_order(plan: Plan, layout: Layout, begins: list[int]) -> Plan:
    """The plan with priorities by the time at which each unit begins."""
    order = {}
    for rank, unit in enumerate(sorted(range(len(begins)), key=lambda unit: (begins[unit], unit))):
        for position in layout.units[unit].operators:
            order[layout.graph.operators[position].name] = rank
    return plan.replace(entries=(plan.entries[0].replace(order=order),))
