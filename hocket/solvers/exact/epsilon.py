"""One metric under a limit on another, and the front of both, each point by an exact solver.

Solves    what milp solves, for the objective and a second metric
Answer    the best plan that keeps the limit, proven as milp proves it; the note `front` has the pairs of values, the
          objective's first, that no plan beats in both; without a limit the plan is the first of them
Time      an integer program for each point
Source    Haimes, Lasdon, Wismer: On a bicriterion formulation of the problems of integrated system identification and
          system optimization, IEEE Trans. SMC 1971
Departs   a point whose first metric ties is replaced by the better one; points that are not proven are marked
Cards     -
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from hocket.cost import Problem, evaluate
from hocket.cost.objective import figure
from hocket.errors import InfeasibleError
from hocket.plan import Plan
from hocket.solvers.checks import refuses_tasks, require
from hocket.solvers.exact.incumbent import SAME, Clock
from hocket.solvers.exact.milp import Milp
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import Stop

Single = Literal["latency", "sequential", "period", "energy", "price"]
_SINGLE = ("latency", "sequential", "period", "energy", "price")


class Point(NamedTuple):
    """A plan of the front."""

    plan: Plan
    first: float
    second: float
    proven: bool
    """Whether no plan has a lower first without a higher second."""


def pareto(
    problem: Problem,
    first: Single,
    second: Single,
    *,
    solver: Solver | None = None,
    points: int = 20,
    seed: int = 0,
    stop: Stop | None = None,
) -> tuple[Point, ...]:
    """The front of two metrics, by rising first and falling second.

    Args:
        problem: its other limits and constraints hold for every point.
        first: minimised again and again.
        second: limited more and more, from where the first is least down to its own least.
        solver: finds each point; absent = `milp`.
        points: most points; they lie at least (greatest - least second) / points apart, so between them may be others.
        seed: given to the solver.
        stop: asked before each point, and given to the solver.

    Raises:
        InfeasibleError: no plan keeps the constraints.
        RefusedError: the solver cannot solve the problem.
    """
    clock, chosen = Clock(stop), solver or Milp()
    least = _point(_aiming(problem, second, {}), first, second, chosen, seed, stop)
    found = [_point(_aiming(problem, first, {}), first, second, chosen, seed, stop)]
    apart = (found[0].second - least.second) / max(points, 1)
    while found[-1].second > least.second * (1 + SAME) and not clock.ends(found[-1].first):
        limit = max(found[-1].second - max(apart, SAME * found[-1].second), least.second)
        try:
            found.append(_point(_aiming(problem, first, {second: limit}), first, second, chosen, seed, stop))
        except InfeasibleError:
            break
    return _front([*found, least._replace(proven=False)])


def _aiming(problem: Problem, metric: Single, limits: dict[str, float]) -> Problem:
    """The problem with another objective, and limits besides its own."""
    own = problem.objective.limits
    tighter = {name: min(limit, own.get(name, math.inf)) for name, limit in limits.items()}
    return problem.replace(objective=problem.objective.replace(metric=metric, weights={}, limits={**own, **tighter}))


def _point(problem: Problem, first: str, second: str, solver: Solver, seed: int, stop: Stop | None) -> Point:
    proposal = solver(problem, seed=seed, stop=stop)
    cost = evaluate(problem, proposal.plan)
    return Point(proposal.plan, figure(cost, first), figure(cost, second), proposal.over == "units")


def _front(points: list[Point]) -> tuple[Point, ...]:
    """Points that no other one beats, each pair of values once."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.first, point.second, not point.proven)):
        if not kept or point.second < kept[-1].second * (1 - SAME):
            kept.append(point)
    return tuple(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epsilon:
    """See the module."""

    name: ClassVar[str] = "epsilon"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    second: str = "energy"
    """The other metric."""
    limit: float | None = None
    """Most that it may be, in its SI unit; None = what the objective's limits say of it."""
    points: int = 8
    """Most points of the front; 0 = the plan alone."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a metric that cannot be traded, or a program that is too large."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        if self.second not in _SINGLE:
            return f"the second metric is one of {', '.join(_SINGLE)}, got {self.second!r}"
        if problem.objective.metric not in _SINGLE:
            return "a weighted objective has no front of two metrics"
        return Milp().refuses(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan within the limit."""
        require(self, problem)
        first: Single = problem.objective.metric  # type: ignore[assignment]
        second: Single = self.second  # type: ignore[assignment]
        limits: dict[str, float] = {} if self.limit is None else {second: self.limit}
        found = Milp()(_aiming(problem, first, limits), seed=seed, stop=stop)
        notes = dict(found.notes)
        if self.points and first != second:
            front = pareto(problem, first, second, points=self.points, seed=seed, stop=stop)
            notes["front"] = "; ".join(_shown(point) for point in front)
        if self.limit is not None:
            # The best under this limit need not be the best of the problem, which has none.
            return Proposal(plan=found.plan, notes=notes)
        return Proposal(plan=found.plan, bound=found.bound, over=found.over, notes=notes)


def _shown(point: Point) -> str:
    return f"{point.first:.6g}, {point.second:.6g}{'' if point.proven else ' (not proven)'}"
