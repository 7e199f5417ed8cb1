"""A task as a chain of cells, and what a part of a run of cells needs and costs.

A cell is the operators between two boundaries of the chain view, so a run of cells has one result, and what a box of it
needs is found by walking back cell by cell: the same walks are asked for again and again, and each is done once.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hocket.cost import Problem, Table, Task
from hocket.cost.trust import confined
from hocket.cost.work import share_of_time
from hocket.graph.regions import Box, Demand, slicer_of, whole
from hocket.graph.regions.box import hull
from hocket.graph.topology import blocks
from hocket.program import Contract
from hocket.solvers.layout import Floats


class Cell(NamedTuple):
    """Operators between two boundaries."""

    operators: tuple[str, ...]
    entry: str
    """The tensor that enters; an input of the graph for the first cell."""
    result: str
    """The tensor that leaves."""


class Part(NamedTuple):
    """A box of a run's result: what it needs at the run's entry, and what it costs on each host."""

    need: Box | None
    """None = nothing of the tensor that enters."""
    seconds: Floats
    """(D,) without calls."""
    weight_bytes: int


class Cells:
    """The chain of cells of one task.

    Args:
        problem: profiles and margin.
        task: its graph was loaded from ONNX.
    """

    def __init__(self, problem: Problem, task: Task) -> None:
        self.problem, self.task, self.graph = problem, task, task.graph
        self.table = Table(problem, confined(problem, task))
        self.hosts = self.table.nodes
        """Nodes that can compute and may see all of it, in the cluster's order."""
        self.slicer = slicer_of(task.graph)
        self._rows = {operator.name: row for row, operator in enumerate(self.graph.operators)}
        self._curves = [task.profile.nodes[host].curve for host in self.hosts]
        self._linear = all(curve == ((0.0, 0.0), (1.0, 1.0)) for curve in self._curves)
        self._steps: dict[tuple[int, Box], Part] = {}

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """In the order in which they are computed; () if an answer is made half way, or there are several."""
        if not self.graph.operators:
            return ()
        entry = self.graph.inputs[0].name
        found: list[Cell] = []
        for block in blocks(self.graph):
            names = tuple(self.graph.operators[position].name for position in block.operators)
            if block.inputs and block.inputs[0] in self.graph.producer:
                entry = block.inputs[0]
            if len(block.outputs) != 1 or (found and entry != found[-1].result):
                return ()
            found.append(Cell(names, entry, block.outputs[0]))
        return tuple(found)

    @cached_property
    def seconds(self) -> Floats:
        """(L + 1, D) seconds of the cells before each boundary, each whole on one host."""
        rows = [sum(self.table.seconds[self._rows[name]] for name in cell.operators) for cell in self.cells]
        return np.vstack([np.zeros(len(self.hosts)), np.cumsum(np.array(rows), axis=0)])

    def shape(self, boundary: int) -> tuple[int, ...]:
        """Of the tensor before a cell; after the last one, of the answer."""
        return self.graph.tensor[self.tensor(boundary)].shape

    def tensor(self, boundary: int) -> str:
        """The tensor before a cell; after the last one, the answer."""
        return self.cells[boundary].entry if boundary < len(self.cells) else self.cells[-1].result

    def part(self, first: int, last: int, box: Box) -> Part:
        """A box of the result of cells first..last (both included), everything before it recomputed."""
        need: Box | None = box
        seconds, nbytes = np.zeros(len(self.hosts)), 0
        for number in range(last, first - 1, -1):
            if need is None:
                break
            step = self._step(number, need)
            need, seconds, nbytes = step.need, seconds + step.seconds, nbytes + step.weight_bytes
        return Part(need, seconds, nbytes)

    def of_demand(self, demand: Demand, entry: str) -> Part:
        """What a demand costs, and its box of the tensor that enters."""
        boxes = demand.inputs.get(entry, ())
        need = boxes[0] if boxes else None
        for box in boxes[1:]:
            need = hull(need, box) if need else box
        return Part(need, self._price(self.slicer.shares(demand)), demand.weight_bytes)

    def contracted(self, operators: tuple[str, ...], entry: str, contract: Contract) -> Part:
        """Operators of which the last one covers a part of its contracted axis."""
        full = {contract.tensor: whole(self.graph.tensor[contract.tensor].shape)}
        return self.of_demand(self.slicer.demand(operators, full, contract), entry)

    def _step(self, number: int, box: Box) -> Part:
        if (number, box) not in self._steps:
            cell = self.cells[number]
            demand = self.slicer.demand(cell.operators, {cell.result: box})
            self._steps[number, box] = self.of_demand(demand, cell.entry)
        return self._steps[number, box]

    def _price(self, shares: Mapping[str, float]) -> Floats:
        rows = [self._rows[name] for name in shares if name in self._rows]
        given = np.array([share for name, share in shares.items() if name in self._rows])
        if not rows:
            return np.zeros(len(self.hosts))
        seconds = self.table.seconds[rows]
        if self._linear:
            return np.asarray(given @ seconds)
        times = np.array([[share_of_time(curve, share) for curve in self._curves] for share in given])
        return np.asarray((times * seconds).sum(axis=0))
