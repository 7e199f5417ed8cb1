"""On demand: the fastest cut, if it is in time.

Solves    one task whose source can compute, and a server; exits, where a model has them, are not searched
Answer    the cut of least latency (the method's sum), whatever the objective; an error where that is after the deadline
Time      O(D (U + M)); U = units, M = tensors, D = servers
Source    Li, Zeng, Zhou, Chen: Edge AI: on-demand accelerating DNN inference via edge computing, IEEE TWC 19(1),
          2020, pp. 447-457: the static configuration
Departs   the search over exits is left out, because a problem carries none: it is the step for the full model; layer
          times come from the profile and not from the paper's regressions
Cards     edgent
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import best_cut, cut_table, refuses_pair, sequential, servers_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.units import show


@dataclass(frozen=True, slots=True, kw_only=True)
class Edgent:
    """See the module."""

    name: ClassVar[str] = "edgent"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    server_first: bool = False
    """The server computes what is before the cut and the device the rest: the input goes up and one tensor comes back;
    else the device begins."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The fastest cut.

        Raises:
            InfeasibleError: it is too late, or breaks a constraint as all others do.
        """
        require(self, problem)
        additive, device = sequential(problem), problem.cluster.index[problem.task.source]
        pairs = [(device, server) for server in servers_of(problem, problem.task)]
        tables = [cut_table(additive, *(pair[::-1] if self.server_first else pair)) for pair in pairs]
        values = [table.total_s() for table in tables]
        least = min(float(some.min()) for some in values)
        deadline = problem.task.deadline_s
        if deadline is not None and np.isfinite(least) and least > deadline:
            raise InfeasibleError(
                f"C3: {problem.task.name!r} is due after {show(deadline, 's')}, and its fastest cut takes"
                f" {show(least, 's')}; allow more time or use faster nodes"
            )
        return best_cut(problem, tables, values, "all cuts of one topological order")
