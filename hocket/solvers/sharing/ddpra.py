"""One slot of a system with energy budgets: cuts between an edge and a cloud, and shares of both, by one weighted sum.

Solves    latency, sequential latency or energy of many tasks, each cut between its source and one server
Answer    cuts and shares with a small sum of V x latency + Z_e x joules of the edge + Z_c x joules of the cloud for
          given backlogs Z: no change of the cut of one task makes it less; the judge's objective is not that sum
Time      O(K N^2 L R); K = changes
Source    Su, Fan, Gao, Qiao, Liu, Wu: Joint DNN Partition and Resource Allocation Optimization for Energy-Constrained
          Hierarchical Edge-Cloud Systems, IEEE TVT 72(3), 2023, pp. 3930-3944
Departs   the part of one slot only: the cuts that the paper's actor network proposes are found by changing one at a
          time; [standard] shares by the rule of square roots (HCRA), which is exact here, as joules do not depend on
          them; every source is an edge; of several servers each is tried as the cloud
Cards     ddpra
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.sharing.cut_and_share import improved
from hocket.solvers.sharing.dual import Offer, offer_of
from hocket.solvers.sharing.fan_edgecloud import by_roots
from hocket.solvers.sharing.iao import users_at
from hocket.solvers.sharing.users import Choice, Floats, Users, refuses_servers, servers_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Ddpra:
    """See the module."""

    name: ClassVar[str] = "ddpra"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    v: float = 1.0
    """V: what a second of latency counts."""
    z_edge: float = 0.0
    """Backlog of the edges: what a joule there counts."""
    z_cloud: float = 0.0
    """Backlog of the cloud."""

    def refuses(self, problem: Problem) -> str | None:
        """An objective of which the sum has no part, or no server."""
        if problem.objective.metric not in ("latency", "sequential", "energy"):
            return f"it makes a sum of latency and energy small, and the objective is {problem.objective.metric}"
        return refuses_servers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The least sum of the slot that single changes find."""
        require(self, problem)
        everything = [users_at(problem, server) for server in servers_of(problem)]
        plans = []
        for users, server in zip(everything, servers_of(problem), strict=True):
            choice = self.slot(users, server)
            plans.append(users.plan(choice, by_roots(users, choice)))
        return Proposal(plan=everything[0].best(plans))

    def slot(self, users: Users, cloud: str) -> Choice:
        """Cuts from which no change of one makes the sum of the slot less."""
        offer = weighed(users, cloud, self.v, self.z_edge, self.z_cloud)
        return improved(offer, offer.fixed.argmin(axis=1).tolist())


def weighed(users: Users, cloud: str, v: float, z_edge: float, z_cloud: float) -> Offer:
    """The sum of the slot as seconds: V w (fixed + joules' part / (V w) + work / share), all with the weight V w."""
    weights = v * users.weights
    joules = np.full(users.fixed.shape, 0.0)
    for user, ways in enumerate(users.ways):
        for number, way in enumerate(ways):
            joules[user, number] = sum(
                (z_cloud if name == cloud else z_edge) * node.active_w() * way.cost.busy_s.get(name, 0.0)
                for name, node in users.problem.cluster.node.items()
                if name in way.cost.busy_s
            )
    counted = np.maximum(weights, 1e-12)
    return offer_of(users)._replace(fixed=users.fixed + joules / counted[:, None], weights=counted)


def sum_of_slot(users: Users, cloud: str, choice: Choice, shares: Floats, *, v: float, z: tuple[float, float]) -> float:
    """V x weighted latency + backlogs x joules, from the judge's own figures of each way."""
    latency = float((users.weights * users.latencies_s(choice, shares)).sum())
    joules = [0.0, 0.0]
    for user, number in enumerate(choice):
        for name, seconds in users.ways[user][number].cost.busy_s.items():
            if name in users.problem.cluster.node:
                joules[name == cloud] += seconds * users.problem.cluster.node[name].active_w()
    return v * latency + z[0] * joules[0] + z[1] * joules[1]
