"""Every task where its first input is.

Solves    any problem whose source nodes can compute
Answer    the plan that uses no other node
Time      O(V)
Source    the baseline of every paper
Departs   nothing
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.bound import lower_bound
from hocket.solvers.fixed import plan_at
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """See the module."""

    name: ClassVar[str] = "local"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """A source that the profile does not know."""
        for task in problem.tasks:
            if task.source not in task.profile.nodes:
                return f"the inputs of {task.name!r} are on {task.source!r}, of which the profile knows nothing"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Everything at the source."""
        return Proposal(plan=plan_at(problem, None), bound=lower_bound(problem))
