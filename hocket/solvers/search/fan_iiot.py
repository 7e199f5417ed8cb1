"""Which node holds which model, where each task runs, and how nodes are shared out: in turn until nothing gets better.

Solves    tasks that each run whole on one node, under memory, deadlines and floors; tasks that may be refused are
Answer    a deployment that neither moving one task nor exchanging two improves, by the judge
Time      O(R K D + R K^2) judgements; R = rounds, K = tasks, D = nodes
Source    Fan, Chen, Hao, Su, Wu, Tang, Liu: DNN Deployment, Task Offloading, and Resource Allocation for Joint Task
          Inference in IIoT, IEEE TII 19(2):1634-1646, 2023
Departs   [standard] the whole algorithm, of which the survey says no more than what it decides. Caching is which
          weights a node holds: those of the tasks that it serves, within its memory; a model that is held and not used
          cannot be said, so there is none. Accuracy that depends on the size of the data has no form here
Cards     fan_iiot
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.plan import Entry, Plan
from hocket.solvers.bound import lower_bound
from hocket.solvers.checks import require
from hocket.solvers.descent import excess
from hocket.solvers.fixed import judged, plan_at
from hocket.solvers.search.judge import NOWHERE, Rank
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import MaxIterations, Stop

Deployment = tuple[int, ...]
"""Node of each task; -1 = it is refused."""
REFUSED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class FanIiot:
    """See the module."""

    name: ClassVar[str] = "fan_iiot"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    rounds: int = 20
    """At most, if no `stop` is given."""

    def refuses(self, problem: Problem) -> str | None:
        """A task that no node can compute."""
        for task in problem.tasks:
            if not any(node.name in task.profile.nodes for node in problem.cluster.nodes):
                return f"the profile of {task.name!r} knows no node of the cluster"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The deployment where nothing gets better."""
        require(self, problem)
        search = _Deploying(problem)
        search.run(stop or MaxIterations(self.rounds))
        if search.rank.excess > 0:
            names = ", ".join(repr(task.name) for task in problem.tasks)
            raise InfeasibleError(
                f"no plan of {names} keeps the constraints, searched over deployments of whole models:"
                f" {search.complaint}"
            )
        return Proposal(plan=search.plan(search.held), bound=lower_bound(problem))


class _Deploying:
    def __init__(self, problem: Problem) -> None:
        self.problem, self.nodes = problem, [node.name for node in problem.cluster.nodes]
        self.entries = [self._entries(number) for number in range(len(problem.tasks))]
        self.known: dict[Deployment, Rank] = {}
        self.held: Deployment = tuple(next(iter(entries)) for entries in self.entries)
        self.rank = NOWHERE
        self.complaint = "no way leads from the inputs to the answers"

    def _entries(self, number: int) -> dict[int, Entry | None]:
        """Where a task may run, with its entry there; None = it is refused."""
        task = self.problem.tasks[number]
        alone = self.problem.replace(tasks=(task,))
        hosts = [node for node, name in enumerate(self.nodes) if name in task.profile.nodes]
        found: dict[int, Entry | None] = {host: plan_at(alone, self.nodes[host]).entries[0] for host in hosts}
        if task.refusal_cost is not None:
            found[REFUSED] = None
        return found

    def run(self, stop: Stop) -> None:
        """Models are deployed by their benefit, then tasks move and change places."""
        for number in self.order():
            self._take(self._moves(number))
        while not stop(self.rank.value if self.rank.excess == 0 else np.inf):
            before = self.rank
            for number in range(len(self.entries)):
                self._take(self._moves(number))
            self._take(self._exchanges())
            if self.rank == before:
                return

    def order(self) -> list[int]:
        """Tasks by what a choice of node is worth to them per byte that they take, most first."""

        def worth(number: int) -> float:
            alone = self.problem.replace(tasks=(self.problem.tasks[number],))
            costs = [judged(alone, plan_at(alone, self.nodes[node])) for node in self.entries[number] if node >= 0]
            values = [cost.value for cost in costs if cost is not None]
            nbytes = self.problem.tasks[number].graph.weight_bytes
            return (max(values) - min(values)) / (nbytes or 1) if values else 0.0

        return sorted(range(len(self.entries)), key=lambda number: (-worth(number), number))

    def _moves(self, number: int) -> Iterator[Deployment]:
        return ((*self.held[:number], node, *self.held[number + 1 :]) for node in self.entries[number])

    def _exchanges(self) -> Iterator[Deployment]:
        for a, b in combinations(range(len(self.held)), 2):
            if self.held[b] in self.entries[a] and self.held[a] in self.entries[b]:
                changed = list(self.held)
                changed[a], changed[b] = self.held[b], self.held[a]
                yield tuple(changed)

    def _take(self, deployments: Iterator[Deployment]) -> None:
        """The best of some deployments, if it is better than the one that is held."""
        for deployment in list(deployments):
            rank = self._rank(deployment)
            if rank < self.rank:
                self.held, self.rank = deployment, rank

    def _rank(self, deployment: Deployment) -> Rank:
        if deployment not in self.known:
            cost = judged(self.problem, self.plan(deployment))
            rank = NOWHERE if cost is None else Rank(excess(self.problem, cost), cost.value)
            if cost and cost.violations and rank < self.rank:
                self.complaint = cost.violations[0].sentence
            self.known[deployment] = rank
        return self.known[deployment]

    def plan(self, deployment: Deployment) -> Plan:
        """The plan of a deployment, nodes that several tasks with a rate use shared out."""
        entries = []
        for number, node in enumerate(deployment):
            entry = self.entries[number][node]
            if entry is not None:
                share = self.share(deployment, number)
                entries.append(entry if share is None else entry.replace(shares={self.nodes[node]: share}))
        tasks = self.problem.tasks
        hashes = {task.name: task.graph.source.sha256 if task.graph.source else "" for task in tasks}
        return Plan(entries=tuple(entries), graph=hashes)

    def share(self, deployment: Deployment, number: int) -> float | None:
        """The share of its node that a task gets: sqrt(w a) over the sum of them, a its seconds there per second.

        That minimises sum w a / f where sum f is 1. None where it shares with nobody or has no rate.
        """
        weights = {}
        for other, node in enumerate(deployment):
            if node == deployment[number] and node != REFUSED:
                task = self.problem.tasks[other]
                seconds = sum(task.profile.at(self.nodes[node]).seconds.values())
                weights[other] = float(np.sqrt(task.weight * task.rate_per_s * seconds))
        if len(weights) < 2 or not all(weights.values()):
            return None
        return min(weights[number] / sum(weights.values()), 1.0)
