"""Groups of units as players that choose nodes: what each takes there, and what it takes to bring its data."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.additive import Additive
from hocket.solvers.layout import Floats, Layout

Grouping = Callable[[Layout], Sequence[int]]
"""Of a task -> the group of each unit, counted from 0."""


class Flow(NamedTuple):
    """A tensor between groups."""

    maker: int
    """-1 for an input."""
    home: int
    """Node of an input; -1 for a tensor that a group makes."""
    readers: tuple[int, ...]
    sinks: tuple[int, ...]
    """Nodes that need it as an answer."""
    seconds: Floats
    """(N, N) from one node to another."""


class Groups:
    """All groups of all tasks, counted through."""

    def __init__(self, problem: Problem, grouping: Grouping) -> None:
        self.problem = problem
        self.layouts = [Layout(problem, task) for task in problem.tasks]
        self.flows: list[Flow] = []
        self.task_of: list[int] = []
        self.unit_groups: list[list[int]] = []
        """Of each task the group of each unit."""
        seconds = []
        for number, layout in enumerate(self.layouts):
            first = len(self.task_of)
            own = [first + group for group in grouping(layout)]
            summed = np.zeros((max(own, default=first - 1) + 1 - first, len(layout.nodes)))
            np.add.at(summed, [group - first for group in own], layout.seconds)
            seconds.append(summed)
            self.task_of += [number] * len(summed)
            self.unit_groups.append(own)
            self._add_flows(layout, own)
        self.seconds = np.concatenate(seconds)
        """(G, N) of computing; inf = the node cannot."""
        self.reads: list[list[Flow]] = [[] for _ in self.task_of]
        self.makes: list[list[Flow]] = [[] for _ in self.task_of]
        for flow in self.flows:
            for reader in flow.readers:
                self.reads[reader].append(flow)
            if flow.maker >= 0:
                self.makes[flow.maker].append(flow)

    def _add_flows(self, layout: Layout, own: Sequence[int]) -> None:
        of_nets = Additive(layout, {"sequential": 1.0}).costs.of_nets
        for number, net in enumerate(layout.nets):
            maker = own[net.maker] if net.maker >= 0 else -1
            readers = tuple(sorted({own[reader] for reader in net.readers} - {maker}))
            if readers or net.sinks:
                self.flows.append(Flow(maker, net.home, readers, net.sinks, of_nets[number]))

    def source(self, group: int) -> int:
        """The node where the inputs of a group's task are."""
        return self.problem.cluster.index[self.problem.tasks[self.task_of[group]].source]

    def arriving(self, group: int, places: Sequence[int]) -> Floats:
        """(N,) seconds of bringing a group what it reads, on each node; what is there anyway comes for nothing."""
        total = np.zeros(self.seconds.shape[1])
        for flow in self.reads[group]:
            origin = flow.home if flow.maker < 0 else places[flow.maker]
            cost = flow.seconds[origin].copy()
            cost[[origin, *flow.sinks, *(places[other] for other in flow.readers if other != group)]] = 0.0
            total += cost
        return total

    def leaving(self, group: int, places: Sequence[int], readers: Callable[[int], bool] = lambda _: True) -> Floats:
        """(N,) seconds of bringing what a group makes to some of its readers and to those that need answers."""
        total = np.zeros(self.seconds.shape[1])
        for flow in self.makes[group]:
            for target in {*flow.sinks, *(places[reader] for reader in flow.readers if readers(reader))}:
                cost = flow.seconds[:, target].copy()
                cost[target] = 0.0
                total += cost
        return total

    def sequential_s(self, places: Sequence[int]) -> float:
        """Seconds of all computing and sending, one after the other."""
        total = sum(float(self.seconds[group, node]) for group, node in enumerate(places))
        for flow in self.flows:
            origin = flow.home if flow.maker < 0 else places[flow.maker]
            targets = {*flow.sinks, *(places[reader] for reader in flow.readers)} - {origin}
            total += sum(float(flow.seconds[origin, target]) for target in sorted(targets))
        return total

    def busy_s(self, places: Sequence[int], *, without: int = -1) -> Floats:
        """(N,) seconds that each node computes for one request of each task, perhaps without one group."""
        busy = np.zeros(self.seconds.shape[1])
        for group, node in enumerate(places):
            if group != without:
                busy[node] += self.seconds[group, node]
        return busy

    def plan(self, places: Sequence[int]) -> Plan:
        """The plan of a node for each group."""
        plans = [
            layout.plan([places[group] for group in own], {})
            for layout, own in zip(self.layouts, self.unit_groups, strict=True)
        ]
        return Plan(
            entries=tuple(plan.entries[0] for plan in plans),
            graph={name: sha256 for plan in plans for name, sha256 in plan.graph.items()},
        )
