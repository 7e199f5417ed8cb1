"""Every task on one node, which may be another one than the source.

Solves    any problem with a node that can compute it
Answer    the plan that uses that node only; without the option `node`, the best of those plans other than local
Time      O(V) per node
Source    the baseline of every paper
Departs   the input travels in the best of its lossless codecs
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cluster.checks import did_you_mean
from hocket.cost import Problem
from hocket.errors import RefusedError
from hocket.solvers.bound import lower_bound
from hocket.solvers.fixed import hosts_of, judged, plan_at
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """See the module."""

    name: ClassVar[str] = "remote"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    node: str | None = None
    """Where everything runs; None = where it is best."""

    def refuses(self, problem: Problem) -> str | None:
        """A node that is not there or cannot compute."""
        hosts = hosts_of(problem)
        if self.node is None:
            return None if self._choice(problem) else "no node but the source has a profile"
        if self.node in hosts:
            return None
        if self.node in problem.cluster.node:
            return f"the profile knows nothing of the node {self.node!r}"
        return f"there is no node {self.node!r}: {did_you_mean(self.node, problem.cluster.node).rstrip('?')}"

    def _choice(self, problem: Problem) -> list[str]:
        sources = {task.source for task in problem.tasks}
        return [self.node] if self.node else [node for node in hosts_of(problem) if sources != {node}]

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Everything on that node."""
        plans = [plan_at(problem, node) for node in self._choice(problem)]
        costs = [(cost, plan) for plan in plans if (cost := judged(problem, plan)) is not None]
        if not costs:
            where = self.node or "any other node"
            raise RefusedError(f"remote cannot solve this problem: there is no way to {where} and back; add a link")
        _, plan = min(costs, key=lambda found: (len(found[0].violations), found[0].value))
        return Proposal(plan=plan, bound=lower_bound(problem))
