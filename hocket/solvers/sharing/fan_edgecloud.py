"""Device, edge and cloud: cuts for given shares by a scan, shares for given cuts by the rule of square roots.

Solves    latency or sequential latency of many tasks with a rate or none, over their sources, an edge server each and,
          where there are several servers, a cloud behind it
Answer    cuts and shares from which neither a scan of the cuts nor the rule makes the weighted sum of latencies less
Time      O(K N L^2 E); K = rounds, N = tasks, L = blocks, E = edge servers
Source    Fan, Gao, Su, Wu, Liu: Joint DNN Partition and Resource Allocation for Task Offloading in Edge-Cloud-Assisted
          IoT Environments, IEEE IoT-J 10(12), 2023, pp. 10146-10159
Departs   [standard] the scan is over all pairs of cuts and edges, and the square root rule divides the air too; a share
          that nobody had is looked at as an equal one; channels are the cluster's own media, one for each link, so none
          are assigned; the cloud is the server that computes all tasks in the least time
Cards     fan_edgecloud
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem, Task
from hocket.solvers.checks import require
from hocket.solvers.sharing.allocation import least_sum_shares
from hocket.solvers.sharing.alternate import Course, alternate
from hocket.solvers.sharing.users import (
    Choice,
    Floats,
    Users,
    equal_shares,
    refuses_latency,
    refuses_servers,
    servers_of,
    tier_ways,
)
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class FanEdgecloud:
    """See the module."""

    name: ClassVar[str] = "fan_edgecloud"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    least_gain: float = 1e-6
    """Relative; a round that gains less is the last."""

    def refuses(self, problem: Problem) -> str | None:
        """An objective that is no latency, or no server."""
        return refuses_latency(problem) or refuses_servers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Alternate scans and the rule."""
        require(self, problem)
        users = Users(problem, {task.name: ways_of(problem, task) for task in problem.tasks})
        course = two_stages(users, self.least_gain, stop)
        plan = users.best([users.plan(course.choice, course.shares)])
        return Proposal(plan=plan, notes={"rounds": str(len(course.values))})


def cloud_of(problem: Problem) -> str:
    """The server that computes all tasks in the least time."""

    def seconds(server: str) -> float:
        return sum(sum(task.profile.at(server).seconds.values()) for task in problem.tasks)

    return min(servers_of(problem), key=seconds)


def ways_of(problem: Problem, task: Task) -> list[tuple[str, ...]]:
    """Cuts s1 <= s2: blocks up to s1 at the source, up to s2 at an edge, the rest in the cloud."""
    servers, cloud = servers_of(problem), cloud_of(problem)
    edges = [server for server in servers if server != cloud]
    tiers = [*([task.source, edge, cloud] for edge in edges), [task.source, cloud], [task.source]]
    return [way for tier in tiers for way in tier_ways(task, tier)]


def two_stages(users: Users, least_gain: float = 1e-6, stop: Stop | None = None) -> Course:
    """Scans and the rule in turn, from equal shares."""
    equal = equal_shares(users)
    choice = tuple(users.all_latencies_s(equal).argmin(axis=1).tolist())
    return alternate(
        choice,
        by_roots(users, choice),
        cuts=lambda _, shares: users.all_latencies_s(np.where(shares > 0, shares, equal)).argmin(axis=1).tolist(),
        divide=lambda choice, _: by_roots(users, choice),
        value=lambda choice, shares: float((users.weights * users.latencies_s(choice, shares)).sum()),
        least_gain=least_gain,
        stop=stop,
    )


def by_roots(users: Users, choice: Choice) -> Floats:
    """(N, R) shares of each thing in proportion to sqrt(weight x work)."""
    _, work = users.chosen(choice)
    columns = [least_sum_shares(users.weights, work[:, thing]) for thing in range(work.shape[1])]
    return np.stack(columns, axis=1) if columns else np.zeros((len(work), 0))
