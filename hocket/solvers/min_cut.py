"""Two nodes that compute, any DAG: the best placement is a minimum cut.

Solves    sequential latency, energy or price on a cluster where two nodes compute; inputs, answers and relays anywhere
Answer    optimal over all placements of units on the two nodes, data crossing as often and both ways as it pays
Time      one maximum flow (Dinic) with U + 2 M vertices, U = units, M = tensors with several readers
Source    Hu, Bao, Wang, Liu: Dynamic adaptive DNN surgery for inference acceleration on the edge (DADS), INFOCOM 2019,
          pp. 1423-1431: the light load
Departs   every tensor is paid once per direction and not once per reader; inputs are pinned where they are born and
          answers where they are needed; what comes back from the server is charged, where the paper's cut lets it pass
          free of charge; views and activations are not cut from their producer
Cards     dads
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.errors import RefusedError
from hocket.solvers.additive import additive_of, weights_of
from hocket.solvers.bound import lower_bound
from hocket.solvers.checks import checked, refuses_metric, refuses_tasks
from hocket.solvers.cut import least_cut
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class MinCut:
    """See the module."""

    name: ClassVar[str] = "min_cut"
    exact_for: ClassVar[frozenset[str]] = frozenset({"sequential", "energy", "price"})

    relaxed: bool = False
    """Go on where the objective does not add up: the cut is then that of a lower bound, or of sequential latency."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, another number of nodes, or an objective that is not a sum."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        hosts = [node for node in problem.cluster.nodes if node.name in problem.task.profile.nodes]
        if len(hosts) != 2:
            return f"it divides a model over two nodes that compute, and here {len(hosts)} do"
        if self.relaxed:
            return None
        return refuses_metric(problem) or additive_of(problem).departs

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The least cut."""
        additive = additive_of(problem)
        exact = weights_of(problem) is not None and additive.departs is None
        if not exact and not self.relaxed:
            raise RefusedError(f"{self.name} cannot solve this problem: {self.refuses(problem)}")
        places = least_cut(additive.costs, *additive.layout.hosts)
        plan = additive.plan(places)
        if exact:
            return checked(problem, self.name, Proposal(plan=plan, over="units"))
        return Proposal(plan=plan, bound=lower_bound(problem))
