"""What a solver is, and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.stop import Stop

Space = Literal["units", "blocks", "stages", ""]
"""Of which plans none is better, and proven to be so: every unit on any node; every block of the chain on any node;
every node with at most one run of blocks; "" = not proven."""
SPACES: Mapping[str, str] = {
    "units": "all placements of units",
    "blocks": "all placements of blocks",
    "stages": "all plans with one run of blocks per node",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A plan and what is known about it; its cost is for the judge to say."""

    plan: Plan
    bound: float | None = None
    """No plan that places each operator on one node has a lower value of the objective, and no plan at all if this one
    divides operators; None = not known."""
    over: Space = ""
    """Of which plans none is proven to be better; this one may be outside of a smaller space than `units`."""
    notes: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Solver(Protocol):
    """One way to find a plan. Its options are its fields."""

    name: ClassVar[str]
    exact_for: ClassVar[frozenset[str]]
    """Metrics for which, unless it refuses, no plan of a space is better than its own: `Proposal.over` names it."""

    def refuses(self, problem: Problem) -> str | None:
        """Why it cannot solve a problem, in words that complete 'X cannot solve this problem: '; None if it can."""
        ...

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """Find a plan.

        Args:
            problem: what to solve; it is not changed.
            seed: of all that is random; equal seeds give equal plans.
            stop: when to stop; absent = the solver's own rule, which does not depend on time.

        Raises:
            RefusedError: it cannot solve this problem.
            InfeasibleError: no plan of its space satisfies the constraints.
        """
        ...
