"""One task as solvers see it: units to place, nets that join them, nodes that can host them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.cost import Problem, Table, Task
from hocket.cost.trust import private_tensors, trusted
from hocket.graph.topology import Unit, units
from hocket.plan import Crossing, Plan
from hocket.plan.placement import plan_for

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = Sequence[int]
"""Node of each unit, as a position in the cluster."""


class Net(NamedTuple):
    """A tensor and all that want it outside the unit that makes it; it goes to each node at most once."""

    tensor: str
    nbytes: int
    maker: int
    """Position of the unit that makes it; -1 for an input of the graph."""
    home: int
    """Node of an input; -1 for a tensor that a unit makes."""
    readers: tuple[int, ...]
    """Units, rising, without the maker."""
    sinks: tuple[int, ...]
    """Nodes that need it as an answer."""


class Layout:
    """Units, nets and seconds of one task of a problem."""

    def __init__(self, problem: Problem, task: Task) -> None:
        self.problem, self.task, self.graph = problem, task, task.graph
        self.nodes: tuple[str, ...] = tuple(node.name for node in problem.cluster.nodes)
        self.table = Table(problem, task)
        self.hosts: tuple[int, ...] = tuple(problem.cluster.index[name] for name in self.table.nodes)
        """Nodes that can compute, rising: those that the profile knows."""

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The atoms of placement."""
        return units(self.graph)

    @cached_property
    def unit_of(self) -> list[int]:
        """Unit of each operator."""
        home = [0] * len(self.graph.operators)
        for number, unit in enumerate(self.units):
            for position in unit.operators:
                home[position] = number
        return home

    @cached_property
    def seconds(self) -> Floats:
        """(U, N) seconds of each unit on each node, margin included; inf = the node cannot compute."""
        seconds = np.full((len(self.units), len(self.nodes)), np.inf)
        summed = np.zeros((len(self.units), len(self.hosts)))
        if len(self.graph.operators):
            np.add.at(summed, self.unit_of, self.table.seconds)
        seconds[:, list(self.hosts)] = summed
        return seconds

    @cached_property
    def call_s(self) -> Floats:
        """(N,) seconds of each call; 0 where nothing is called."""
        calls = np.zeros(len(self.nodes))
        calls[list(self.hosts)] = self.table.call_s
        return calls

    @cached_property
    def nets(self) -> tuple[Net, ...]:
        """Every tensor that could have to travel, in topological order."""
        found = (self._net(tensor.name, tensor.nbytes) for tensor in self.graph.tensors)
        return tuple(net for net in found if net.readers or net.sinks)

    def _net(self, tensor: str, nbytes: int) -> Net:
        index, producer = self.problem.cluster.index, self.graph.producer.get(tensor)
        maker = -1 if producer is None else self.unit_of[producer]
        home = index[self.task.inputs[tensor]] if producer is None else -1
        readers = sorted({self.unit_of[reader] for reader in self.graph.readers[tensor]} - {maker})
        sinks = (index[self.task.outputs[tensor]],) if tensor in self.task.outputs else ()
        return Net(tensor, nbytes, maker, home, tuple(readers), sinks)

    @cached_property
    def barred(self) -> Bools:
        """(M, N, N) whether a tensor may not go from one node to another, because it is private (see `cost.trust`).

        That is a way which is not there, so whoever knows of missing ways knows of trust.
        """
        size, cluster = len(self.nodes), self.problem.cluster
        barred = np.zeros((len(self.nets), size, size), dtype=bool)
        private = private_tensors(self.problem, self.task)
        able = trusted(self.problem, self.task) if private else frozenset()
        for number, net in enumerate(self.nets):
            if net.tensor not in private:
                continue
            for source in [net.home] if net.home >= 0 else self.hosts:
                for target in {*self.hosts, *net.sinks} - {source}:
                    names = self.nodes[source], self.nodes[target]
                    if names[0] in able and cluster.reachable(*names):
                        barred[number, source, target] = not able.issuperset(cluster.path(*names, net.nbytes))
        return barred

    @cached_property
    def reads(self) -> list[list[int]]:
        """Nets that each unit reads, rising."""
        reads: list[list[int]] = [[] for _ in self.units]
        for number, net in enumerate(self.nets):
            for reader in net.readers:
                reads[reader].append(number)
        return reads

    @cached_property
    def makes(self) -> list[list[int]]:
        """Nets that each unit makes, rising."""
        makes: list[list[int]] = [[] for _ in self.units]
        for number, net in enumerate(self.nets):
            if net.maker >= 0:
                makes[net.maker].append(number)
        return makes

    def plan(self, places: Places, codecs: Mapping[tuple[str, int], str]) -> Plan:
        """The plan of a placement.

        Args:
            places: node of each unit.
            codecs: (input, node) -> codec with which it goes there; absent = raw.
        """
        names = [self.nodes[places[unit]] for unit in self.unit_of]
        plan = plan_for(self.task.name, self.graph, names)
        used = tuple(
            Crossing(tensor=net.tensor, target=self.nodes[target], codec=codecs[net.tensor, target])
            for net in self.nets
            if net.home >= 0
            for target in targets(net, places)
            if (net.tensor, target) in codecs
        )
        if not used:
            return plan
        return plan.replace(entries=(plan.entries[0].replace(codecs=used),))


def targets(net: Net, places: Places) -> list[int]:
    """Nodes to which a tensor goes, rising."""
    origin = net.home if net.maker < 0 else places[net.maker]
    return sorted({*(places[reader] for reader in net.readers), *net.sinks} - {origin})
