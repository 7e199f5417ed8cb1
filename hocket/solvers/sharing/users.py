"""Many tasks as users of what they share: for each the ways to be served, and what each way needs of each thing.

A way of a task (its blocks up to a cut on one node, the rest on others) takes `fixed + sum work / share` seconds; work
is the time for which it holds a thing at full speed. For a chain of blocks that is what the judge finds; where work
overlaps, or a link is slower than the medium it is in, it is an upper bound of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.cost import Cost, Problem, Task
from hocket.cost.many import Evaluator
from hocket.errors import ClusterError, InfeasibleError, PlanError, RefusedError
from hocket.graph.topology import blocks
from hocket.plan import Entry, Plan
from hocket.solvers.additive import Additive
from hocket.solvers.layout import Layout

Floats = NDArray[np.float64]
Choice = Sequence[int]
"""The way of each user."""
_WHOLE = 1 - 1e-12


class Way(NamedTuple):
    """One way to serve a task."""

    nodes: tuple[str, ...]
    """Of each part: of each block, unless the parts are others."""
    entry: Entry
    cost: Cost
    """Of one request that has everything for itself."""


class Users:
    """The tasks of a problem with their ways.

    Args:
        problem: several tasks, or one.
        ways: task -> the nodes of its parts in each of its ways; ways that cannot be gone are left out.
        parts: task -> the part of each unit; absent = its blocks.
    """

    def __init__(
        self,
        problem: Problem,
        ways: Mapping[str, Iterable[tuple[str, ...]]],
        parts: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.problem, self.judge, self._parts = problem, Evaluator(problem), parts or {}
        self.tasks: tuple[Task, ...] = problem.tasks
        self.ways: list[list[Way]] = [self._ways(task, ways[task.name]) for task in self.tasks]
        self.things: tuple[str, ...] = self._things()
        """Nodes and resources that ways of several tasks use."""
        self.fixed, self.work = self._figures()
        """(N, W) seconds and (N, W, R) seconds of each thing; ways that are not there take for ever."""
        self.weights = np.array([task.weight for task in self.tasks])
        self.rates_per_s = np.array([task.rate_per_s for task in self.tasks])
        self.deadlines_s = np.array([np.inf if t.deadline_s is None else t.deadline_s for t in self.tasks])

    def _ways(self, task: Task, ways: Iterable[tuple[str, ...]]) -> list[Way]:
        layout = Layout(self.problem, task)
        codecs = Additive(layout, {"sequential": 1.0}).codecs if task.input_codecs else {}
        homes = self._parts[task.name] if task.name in self._parts else block_of_units(layout)
        index, found = self.problem.cluster.index, []
        for nodes in dict.fromkeys(ways):
            entry = layout.plan([index[nodes[home]] for home in homes], codecs).entries[0]
            try:
                cost = self.judge.alone(entry)
            except (ClusterError, PlanError):
                continue
            if np.isfinite(cost.latency_s) and self._fits(cost):
                found.append(Way(nodes, entry, cost))
        if not found:
            raise RefusedError(f"no node can compute {task.name!r} and has a way to where it is needed; add a link")
        return found

    def _fits(self, cost: Cost) -> bool:
        room = self.problem.cluster.node
        return all(nbytes <= (room[name].memory_bytes or np.inf) for name, nbytes in cost.memory_bytes.items())

    def _things(self) -> tuple[str, ...]:
        users: dict[str, set[int]] = {}
        for number, ways in enumerate(self.ways):
            for way in ways:
                for name, seconds in way.cost.busy_s.items():
                    if seconds:
                        users.setdefault(name, set()).add(number)
        return tuple(sorted(name for name, some in users.items() if len(some) > 1))

    def _figures(self) -> tuple[Floats, Floats]:
        shape = len(self.ways), max(len(ways) for ways in self.ways)
        fixed, work = np.full(shape, np.inf), np.zeros((*shape, len(self.things)))
        sequential = self.problem.objective.metric == "sequential"
        for user, ways in enumerate(self.ways):
            for number, way in enumerate(ways):
                work[user, number] = [way.cost.busy_s.get(thing, 0.0) for thing in self.things]
                alone = way.cost.sequential_s if sequential else way.cost.latency_s
                fixed[user, number] = max(alone - work[user, number].sum(), 0.0)
        return fixed, work

    def chosen(self, choice: Choice) -> tuple[Floats, Floats]:
        """(N,) fixed seconds and (N, R) work of the chosen ways."""
        rows = np.arange(len(self.ways))
        return self.fixed[rows, list(choice)], self.work[rows, list(choice)]

    def latencies_s(self, choice: Choice, shares: Floats) -> Floats:
        """(N,) seconds of the chosen ways with (N, R) shares."""
        fixed, work = self.chosen(choice)
        return np.asarray(fixed + ratio(work, shares).sum(axis=1))

    def all_latencies_s(self, shares: Floats) -> Floats:
        """(N, W) seconds of every way with (N, R) shares."""
        return np.asarray(self.fixed + ratio(self.work, shares[:, None, :]).sum(axis=2))

    def together(self, latencies_s: Floats) -> float:
        """One figure from the latency of each, as the objective says."""
        return self.problem.together([float(seconds) for seconds in latencies_s])

    def plan(self, choice: Choice, shares: Floats, cores: Mapping[str, Sequence[int]] | None = None) -> Plan:
        """The plan of the chosen ways; who has nothing to do at a thing, or has all of it, needs no share of it.

        Args:
            choice: the way of each user.
            shares: (N, R) parts of the speed of each thing.
            cores: node -> whole cores of each user, instead of a part of its speed.
        """
        entries = []
        for user, number in enumerate(choice):
            way = self.ways[user][number]
            own = {
                thing: float(cores[thing][user]) if cores and thing in cores else float(shares[user, r])
                for r, thing in enumerate(self.things)
                if self.work[user, number, r] and shares[user, r] < _WHOLE
            }
            entries.append(way.entry.replace(shares=own))
        hashes = {task.name: task.graph.source.sha256 if task.graph.source else "" for task in self.tasks}
        return Plan(entries=tuple(entries), graph=hashes)

    def best(self, plans: Iterable[Plan]) -> Plan:
        """Of some plans the best that keeps the constraints.

        Raises:
            InfeasibleError: none of them does.
        """
        judged = [(self.judge.evaluate(plan), plan) for plan in plans]
        cost, plan = min(judged, key=lambda found: (len(found[0].violations), found[0].value))
        if cost.violations:
            raise InfeasibleError(
                f"no plan of {len(self.tasks)} tasks keeps the constraints, searched over cuts with shares:"
                f" {cost.violations[0].sentence}"
            )
        return plan


def block_of_units(layout: Layout) -> list[int]:
    """The block of each unit of a task."""
    block_of = {at: number for number, block in enumerate(blocks(layout.graph)) for at in block.operators}
    return [block_of[unit.operators[0]] for unit in layout.units]


def ratio(work: Floats, shares: Floats) -> Floats:
    """Work / share; 0 without work, inf with work and no share."""
    work, shares = np.broadcast_arrays(work, shares)
    found = np.divide(work, shares, out=np.full(work.shape, np.inf), where=shares > 0)
    return np.asarray(np.where(work == 0, 0.0, found))


def equal_shares(users: Users) -> Floats:
    """(N, R) the same share of each thing for each user that has a way over it."""
    uses = users.work.any(axis=1)
    return np.asarray(np.where(uses, 1 / np.maximum(uses.sum(axis=0), 1), 0.0))


def servers_of(problem: Problem) -> list[str]:
    """Nodes that compute for others: those that the profile of every task knows and that are no task's source."""
    sources = {task.source for task in problem.tasks}
    names = [node.name for node in problem.cluster.nodes if node.name not in sources]
    return [name for name in names if all(name in task.profile.nodes for task in problem.tasks)]


def tier_ways(task: Task, tiers: Sequence[str]) -> list[tuple[str, ...]]:
    """The nodes of the blocks of a task where runs of them are on the tiers in turn, each run perhaps empty."""
    size, known = len(blocks(task.graph)), task.profile.nodes
    found = []
    for cuts in combinations_with_replacement(range(size + 1), len(tiers) - 1):
        ends = (0, *cuts, size)
        nodes = tuple(tier for number, tier in enumerate(tiers) for _ in range(ends[number], ends[number + 1]))
        if all(node in known for node in nodes):
            found.append(nodes)
    return found


def refuses_latency(problem: Problem) -> str | None:
    """The reason of a method that makes latencies small."""
    if problem.objective.metric in ("latency", "sequential"):
        return None
    return f"it makes latencies small, and the objective is {problem.objective.metric}"


def refuses_servers(problem: Problem) -> str | None:
    """The reason of a method that needs a server."""
    if servers_of(problem):
        return None
    return "no node that is no task's source can compute every task; give one a profile"
