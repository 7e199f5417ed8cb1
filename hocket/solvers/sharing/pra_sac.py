"""Partitions that as many devices as possible can take: modules are cut where the next layer would be too much for one.

Solves    latency or sequential latency of many tasks on any nodes that their profiles know
Answer    partitions by the number of devices that can hold them and run them in time; a placement that no single move
          of a partition makes better by the weighted sum of latencies, with shares by the rule of square roots
Time      O(U D) for the partitions; O(K P D) judgements for the placement; U = units, P = partitions, D = nodes
Source    Kim, Park, Jin, Lee, Lee: Partition Placement and Resource Allocation for Multiple DNN-Based Applications in
          Heterogeneous IoT Environments, IEEE IoT-J 10(11), 2023, pp. 9836-9848; the partitions as in the authors' code
Departs   the partitioner is theirs, with the profile's seconds instead of a coefficient x input size; placement and
          shares are not learned by soft actor-critic but found by single moves
Cards     pra_sac
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem, Task
from hocket.errors import RefusedError
from hocket.solvers.checks import require
from hocket.solvers.layout import Layout
from hocket.solvers.sharing.fan_edgecloud import by_roots
from hocket.solvers.sharing.users import Users, refuses_latency
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PraSac:
    """See the module."""

    name: ClassVar[str] = "pra_sac"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    limit_s: float | None = None
    """Longest that a partition may take on a device; None = the deadline, or half of the whole model at its source."""

    def refuses(self, problem: Problem) -> str | None:
        """An objective that is no latency."""
        return refuses_latency(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Partition, then place."""
        require(self, problem)
        parts = {task.name: partitions(problem, task, self.limit_s) for task in problem.tasks}
        placed = [_nodes(problem, task, parts[task.name]) for task in problem.tasks]
        placed, value = _moves(problem, parts, placed, stop)
        if value is None:
            raise RefusedError(f"{self.name} cannot solve this problem: some task has no node with a way to it")
        users = _users(problem, parts, placed)
        choice = [0] * len(placed)
        plan = users.best([users.plan(choice, by_roots(users, choice))])
        return Proposal(plan=plan, notes={"partitions": str(sum(max(own, default=-1) + 1 for own in parts.values()))})


def modules(layout: Layout) -> list[list[int]]:
    """Units in topological order, cut before each merge and after each branch, so that each module is a chain."""
    before: list[set[int]] = [set() for _ in layout.units]
    after: list[set[int]] = [set() for _ in layout.units]
    for net in layout.nets:
        if net.maker >= 0:
            after[net.maker] |= set(net.readers)
            for reader in net.readers:
                before[reader].add(net.maker)
    found: list[list[int]] = []
    for unit in range(len(layout.units)):
        follows = bool(found) and before[unit] == {found[-1][-1]} and after[found[-1][-1]] == {unit}
        if follows:
            found[-1].append(unit)
        else:
            found.append([unit])
    return found


def partitions(problem: Problem, task: Task, limit_s: float | None = None) -> list[int]:
    """The partition of each unit: a module grows until one device fewer could take it with the next unit."""
    layout = Layout(problem, task)
    if limit_s is None and task.deadline_s is not None:
        limit_s = task.deadline_s
    if limit_s is None:
        known = task.profile.nodes.get(task.source)
        limit_s = sum(known.seconds.values()) / 2 if known else float("inf")
    part_of, number = [0] * len(layout.units), -1
    for module in modules(layout):
        run: list[int] = []
        for unit in module:
            if not run or takers(layout, [*run, unit], limit_s) < takers(layout, run, limit_s):
                run, number = [], number + 1
            run.append(unit)
            part_of[unit] = number
    return part_of


def takers(layout: Layout, run: list[int], limit_s: float) -> int:
    """How many devices can hold the weights of a run of units and compute it in time."""
    graph = layout.graph
    names = {name for unit in run for at in layout.units[unit].operators for name in graph.operators[at].weights}
    need = sum(graph.weights[name] for name in names)
    count = 0
    for host in layout.hosts:
        room = layout.problem.cluster.nodes[host].memory_bytes
        fits = room is None or need <= room
        count += fits and float(layout.seconds[run, host].sum()) <= limit_s
    return count


def _nodes(problem: Problem, task: Task, parts: list[int]) -> list[str]:
    """All partitions where the inputs are, or on the first node that computes."""
    hosts = [node.name for node in problem.cluster.nodes if node.name in task.profile.nodes]
    first = task.source if task.source in hosts else hosts[0]
    return [first] * (max(parts, default=-1) + 1)


def _users(problem: Problem, parts: dict[str, list[int]], placed: list[list[str]]) -> Users:
    ways = {task.name: [tuple(own)] for task, own in zip(problem.tasks, placed, strict=True)}
    return Users(problem, ways, parts)


def _moves(
    problem: Problem, parts: dict[str, list[int]], placed: list[list[str]], stop: Stop | None
) -> tuple[list[list[str]], float | None]:
    """Move one partition after another to where the sum of latencies is least, until no move helps."""
    alone: dict[tuple[str, tuple[str, ...]], Users | None] = {}
    best = _sum(problem, parts, placed, alone)
    for _ in range(_ROUNDS):
        before = best
        for task, own in zip(problem.tasks, placed, strict=True):
            for part in range(len(own)):
                for node in [node.name for node in problem.cluster.nodes if node.name in task.profile.nodes]:
                    kept, own[part] = own[part], node
                    now = _sum(problem, parts, placed, alone)
                    if now is not None and (best is None or now < best * (1 - 1e-12)):
                        best = now
                    else:
                        own[part] = kept
            if stop is not None and stop(np.inf if best is None else best):
                return placed, best
        if best == before:
            break
    return placed, best


def _sum(
    problem: Problem,
    parts: dict[str, list[int]],
    placed: list[list[str]],
    alone: dict[tuple[str, tuple[str, ...]], Users | None],
) -> float | None:
    """Weighted sum of latencies with shares by the rule of square roots; None where a way is missing."""
    fixed = 0.0
    roots: dict[str, float] = {}
    for task, own in zip(problem.tasks, placed, strict=True):
        key = task.name, tuple(own)
        if key not in alone:
            try:
                alone[key] = Users(problem.replace(tasks=(task,)), {task.name: [tuple(own)]}, parts)
            except RefusedError:
                alone[key] = None
        users = alone[key]
        if users is None:
            return None
        cost = users.ways[0][0].cost
        fixed += task.weight * (cost.latency_s - sum(cost.busy_s.values()))
        for name, seconds in cost.busy_s.items():
            roots[name] = roots.get(name, 0.0) + math.sqrt(task.weight * seconds)
    return fixed + sum(root**2 for root in roots.values())
