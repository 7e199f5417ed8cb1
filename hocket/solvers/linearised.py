"""A DAG as a chain: units in topological order, and at every boundary all tensors that are read behind it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.additive import Additive
from hocket.solvers.holds import holds
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.room import Room
from hocket.solvers.stages import Runs, Stage
from hocket.solvers.ways import Ways


class Linear:
    """One task with its units in a row; nothing of the graph is lost, since every tensor is at its boundaries."""

    def __init__(self, problem: Problem) -> None:
        self.layout = Layout(problem, problem.task)
        self.hosts = np.array(self.layout.hosts)
        self.runs = self._runs()
        """With memory left out."""

    def within(self, window: int) -> Runs:
        """The same runs where nodes have room for so many requests."""
        return replace(self.runs, ends=self._room.ends(window))

    def fits(self, stages: Sequence[Stage]) -> bool:
        """Whether runs have room for the requests that are under way when all nodes are busy."""
        ends = self._room.ends(len(stages) + 1)
        return all(ends[stage.start, stage.host] >= stage.stop for stage in stages)

    @cached_property
    def _room(self) -> Room:
        # What a run reads from outside is known best from both its ends; by its start alone it is at most all that is
        # read from there on.
        layout = self.layout
        arriving: list[list[str]] = [[] for _ in layout.units]
        for net in layout.nets:
            for start in range(net.maker + 1, max(net.readers, default=-1) + 1):
                arriving[start].append(net.tensor)
        return Room(layout, [unit.operators for unit in layout.units], arriving)

    def _runs(self) -> Runs:
        layout, hosts = self.layout, self.hosts
        held = holds(layout, Ways(layout.problem.cluster))
        size, width = len(layout.units), len(hosts)
        before = np.vstack([np.zeros(width), np.cumsum(layout.seconds[:, hosts], axis=0)])
        steps = np.zeros((size, width, width))
        enter, leave = np.zeros(width), np.zeros(width)
        for number, net in enumerate(layout.nets):
            last = max(net.readers, default=-1)
            steps[max(net.maker + 1, 1) : last + 1] += held[number][np.ix_(hosts, hosts)]
            if net.home >= 0 and net.readers:
                enter += held[number, net.home, hosts]
            for sink in net.sinks if net.maker == size - 1 else ():
                leave += held[number, hosts, sink]
        return Runs(before, layout.call_s[hosts], enter, steps, leave, np.full((size, width), float(size)))

    def plan(self, stages: Sequence[Stage]) -> Plan:
        """The plan of runs of units."""
        return self.placed([int(self.hosts[stage.host]) for stage in stages for _ in range(stage.start, stage.stop)])

    def placed(self, places: Sequence[int]) -> Plan:
        """The plan of a placement of units."""
        task = self.layout.task
        codecs = Additive(self.layout, {"sequential": 1.0}).codecs if task.input_codecs else {}
        return self.layout.plan(places, codecs)

    def described(self, stages: Sequence[Stage]) -> str:
        """`4 units on n0, 2 on n2`."""
        names = [self.layout.nodes[self.hosts[stage.host]] for stage in stages]
        parts = [f"{stage.stop - stage.start} on {name}" for stage, name in zip(stages, names, strict=True)]
        return "units: " + ", ".join(parts)

    @property
    def source(self) -> int | None:
        """The host that has the first input; None if it cannot compute."""
        column = np.flatnonzero(self.hosts == self.layout.problem.cluster.index[self.layout.task.source])
        return int(column[0]) if len(column) else None

    def slowness(self) -> Floats:
        """(D,) seconds of everything on each host."""
        return np.asarray(self.runs.before[-1])
