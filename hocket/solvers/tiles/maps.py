"""The feature maps at the beginning of a task: what strips and tiles of them need and cost, and the plans made of them.

A *layer* here is a cell of the chain view: a convolution or pooling with what is folded into it, or a block of
branches. The layers whose results are maps of rank 4 are divided; what is left of the chain runs on one node, the
*owner*.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.cost.trust import confined
from hocket.cost.work import share_of_time
from hocket.graph import Graph
from hocket.graph.regions import Box, Interval, whole
from hocket.graph.regions.box import with_axis
from hocket.graph.topology import blocks
from hocket.plan import Entry, Plan, Run, Split
from hocket.solvers.checks import infeasible, refuses_tasks, require
from hocket.solvers.fixed import judged
from hocket.solvers.joint.cells import Cells
from hocket.solvers.joint.moving import Held, Moving
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.tiles.windows import windows_of

ROWS, COLUMNS = 2, 3
"""Axes of a map: batch, channels, rows, columns."""
Tile = tuple[Interval, Interval]
"""Rows and columns."""


class Need(NamedTuple):
    """What a tile of a layer's result needs, and what it costs."""

    tile: Tile | None
    """Of the map that enters; None = nothing of it."""
    seconds: Floats
    """(D,) on each host, without calls."""


def refuses_maps(problem: Problem) -> str | None:
    """Why nothing can be divided by rows and columns: several tasks, no ONNX, no maps, or a single node."""
    reason = refuses_tasks(problem)
    if reason:
        return reason
    graph = problem.task.graph
    if not graph.body:
        return f"the operators of {graph.name!r} are not known as ONNX, so they cannot be divided"
    able = confined(problem, problem.task).profile.nodes
    hosts = [node.name for node in problem.cluster.nodes if node.name in able]
    if len(hosts) < 2:
        trusted = " and may see private inputs" if problem.task.private else ""
        return f"it divides maps over several nodes that can compute{trusted}, and here is {len(hosts)}"
    if not layers_of(graph):
        return f"{graph.name!r} does not begin with layers that make one feature map of rank 4 each"
    return None


def layers_of(graph: Graph) -> int:
    """How many cells at the beginning make one map each, with a convolution among them."""
    count: int = graph.kept(_leading)
    return count


def _leading(graph: Graph) -> int:
    found = blocks(graph) if graph.operators else ()
    if not found or len(graph.inputs) != 1 or len(found[-1].outputs) != 1:
        return 0
    count, convolves = 0, False
    for block in found:
        shape = graph.tensor[block.outputs[0]].shape
        if len(block.outputs) != 1 or len(shape) != 4 or max(shape[ROWS:]) < 2 or block.side_inputs:
            break
        count += 1
        convolves = convolves or any(graph.operators[position].kind == "Conv" for position in block.operators)
    return count if convolves and len(graph.inputs[0].shape) == 4 else 0


class Maps:
    """The maps of a problem's only task.

    Args:
        problem: one that `refuses_maps` does not refuse.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.task, self.graph = problem, problem.task, problem.task.graph
        self.cells = Cells(problem, problem.task)
        self.moving = Moving(problem)
        self.hosts = self.cells.hosts
        """Nodes that can compute, in the cluster's order."""
        self.calls: Floats = self.cells.table.call_s
        """(D,) seconds of a call."""
        self.count = layers_of(self.graph)
        """Layers that make maps; the rest of the chain is the tail."""
        self._nodes = [problem.cluster.index[host] for host in self.hosts]
        self._windows = windows_of(self.graph)
        self._curves = [problem.task.profile.nodes[host].curve for host in self.hosts]
        self._linear = all(curve == ((0.0, 0.0), (1.0, 1.0)) for curve in self._curves)
        self._rows = {operator.name: row for row, operator in enumerate(self.graph.operators)}
        self._needs: dict[tuple[int, Tile], Need] = {}

    # ------------------------------------------------------------ who is there

    @cached_property
    def speeds(self) -> Floats:
        """(D,) maps per second, if a host makes all of them alone; relative where a profile says 0 s."""
        return speeds_of(self.cells.seconds[self.count])

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Hosts, the fastest first."""
        return tuple(sorted(range(len(self.hosts)), key=lambda host: (-self.speeds[host], host)))

    @cached_property
    def owner(self) -> int:
        """The host that has the inputs and keeps the tail; the fastest one if the source cannot compute."""
        names = list(self.hosts)
        return names.index(self.task.source) if self.task.source in names else self.order[0]

    # ------------------------------------------------------------ what is divided

    def size(self, layer: int) -> tuple[int, int]:
        """Rows and columns of a layer's result; of the input for -1."""
        shape = self.cells.shape(layer + 1)
        return shape[ROWS], shape[COLUMNS]

    def full(self, layer: int) -> Tile:
        """The tile that is a layer's whole result."""
        rows, columns = self.size(layer)
        return (0, rows), (0, columns)

    def longer(self, layer: int) -> int:
        """The longer side of a layer's result, rows if both are equal."""
        rows, columns = self.size(layer)
        return ROWS if rows >= columns else COLUMNS

    def strip(self, layer: int, axis: int, interval: Interval) -> Tile:
        """The tile that is an interval of one side."""
        rows, columns = self.full(layer)
        return (interval, columns) if axis == ROWS else (rows, interval)

    def need(self, layer: int, tile: Tile) -> Need:
        """What a tile of a layer's result, which is not empty, needs of the map before it."""
        key = (layer, tile)
        if key not in self._needs:
            self._needs[key] = self._need(layer, tile)
        return self._needs[key]

    def fused(self, first: int, last: int, tile: Tile) -> Need:
        """The same through layers first..last (both included), everything between recomputed."""
        wanted: Tile | None = tile
        seconds = np.zeros(len(self.hosts))
        for layer in range(last, first - 1, -1):
            if wanted is None:
                break
            found = self.need(layer, wanted)
            wanted, seconds = found.tile, seconds + found.seconds
        return Need(wanted, seconds)

    def _need(self, layer: int, tile: Tile) -> Need:
        cell = self.cells.cells[layer]
        window = self._windows.of(cell.operators, (ROWS, COLUMNS))
        if window is None or window.entries != (cell.entry,):
            part = self.cells.part(layer, layer, self.box(layer, tile))
            return Need((part.need[ROWS], part.need[COLUMNS]) if part.need else None, part.seconds)
        rows, columns = window.needs(tile)[0]
        return Need((rows, columns), self.price(window.operators, window.shares(tile)))

    def price_each(self, operators: Sequence[str]) -> Floats:
        """(V, D) seconds of some operators on each host."""
        return np.asarray(self.cells.table.seconds[[self._rows[name] for name in operators]])

    def price(self, operators: Sequence[str], shares: Floats) -> Floats:
        """(D,) seconds of shares of some operators on each host."""
        seconds = self.price_each(operators)
        if self._linear:
            return np.asarray(shares @ seconds)
        times = np.array([[share_of_time(curve, float(share)) for curve in self._curves] for share in shares])
        return np.asarray((times * seconds).sum(axis=0))

    # ------------------------------------------------------------ what moves

    def box(self, layer: int, tile: Tile) -> Box:
        """A tile of a layer's result with all its channels."""
        full = whole(self.cells.shape(layer + 1))
        return with_axis(with_axis(full, ROWS, tile[0]), COLUMNS, tile[1])

    def held(self, layer: int, tiles: Mapping[int, Tile | None]) -> Held:
        """Which node has, or needs, which box of a layer's result.

        Args:
            layer: -1 = of the input.
            tiles: host -> tile; at most one each.
        """
        found: list[Box | None] = [None] * len(self.problem.cluster.nodes)
        for host, tile in tiles.items():
            found[self._nodes[host]] = self.box(layer, tile) if tile is not None else None
        return tuple(found)

    @cached_property
    def source(self) -> Held:
        """Who has the input."""
        found: list[Box | None] = [None] * len(self.problem.cluster.nodes)
        found[self.problem.cluster.index[self.task.source]] = whole(self.cells.shape(0))
        return tuple(found)

    def itemsize(self, layer: int) -> int:
        """Bytes of an element of a layer's result."""
        tensor = self.graph.tensor[self.cells.tensor(layer + 1)]
        return tensor.nbytes // max(tensor.size, 1)

    def moved_s(self, layer: int, held: Held, needed: Held) -> float:
        """Seconds until everybody has what it needs of a layer's result."""
        return self.moving.seconds(held, needed, self.itemsize(layer))

    def seconds_per_byte(self, source: int, target: int) -> float:
        """Of a host's way to another, for messages of the size of an average map; 0 to itself."""
        if source == target:
            return 0.0
        sizes = [self.graph.tensor[cell.result].nbytes for cell in self.cells.cells[: self.count]]
        nbytes = max(sum(sizes) / len(sizes), 1.0)
        return self.way_s(self.hosts[source], self.hosts[target], nbytes) / nbytes

    def way_s(self, source: str, target: str, nbytes: float) -> float:
        """Seconds of a message between two nodes, alone; infinite where no way leads."""
        cluster = self.problem.cluster
        return cluster.transfer_s(source, target, nbytes) if cluster.reachable(source, target) else float("inf")

    # ------------------------------------------------------------ plans

    def run(self, first: int, last: int, on: str | Split) -> Run:
        """Layers first..last (both included) somewhere."""
        cells = self.cells.cells
        start, stop = cells[first].operators[0], cells[last].operators[-1]
        return Run(operators=start if start == stop else f"{start}..{stop}", on=on)

    def propose(self, solver: Solver, runs: Sequence[Run], *, after: int, notes: Mapping[str, str]) -> Proposal:
        """The plan of some runs, and of what is left on the owner, or on the fastest other host if it has no room.

        Args:
            solver: for the message.
            runs: of the layers before `after`.
            after: the first cell that is left.
            notes: of the proposal.

        Raises:
            InfeasibleError: no host can take what is left.
        """
        left = after < len(self.cells.cells)
        others = [self.owner, *(host for host in self.order if host != self.owner)] if left else [self.owner]
        sentence = "no way leads between its nodes"
        for host in others:
            tail = [self.run(after, len(self.cells.cells) - 1, self.hosts[host])] if left else []
            plan = plan_of(self.problem, [*runs, *tail])
            cost = judged(self.problem, plan)
            if cost is not None and cost.feasible:
                return Proposal(plan=plan, notes=notes)
            if cost is not None and host == self.owner:
                sentence = cost.violations[0].sentence
        raise infeasible(self.problem, f"the division of maps that {solver.name} chooses", sentence)


def plan_of(problem: Problem, runs: Sequence[Run]) -> Plan:
    """The plan of the only task."""
    task = problem.task
    sha256 = task.graph.source.sha256 if task.graph.source else ""
    return Plan(entries=(Entry(task=task.name, where=tuple(runs)),), graph={task.name: sha256})


def require_maps(solver: Solver, problem: Problem) -> Maps:
    """The maps of a problem.

    Raises:
        RefusedError: the solver refuses it.
    """
    require(solver, problem)
    return Maps(problem)


def speeds_of(seconds: Floats) -> Floats:
    """(D,) 1 / seconds; if some take no time at all, they alone have a speed.

    >>> speeds_of(np.array([0.5, 2.0])).tolist(), speeds_of(np.array([0.0, 2.0])).tolist()
    ([2.0, 0.5], [1.0, 0.0])
    """
    if (seconds == 0).any():
        return np.asarray((seconds == 0).astype(float))
    return np.asarray(1.0 / seconds)


def strips(hosts: Sequence[int], points: Sequence[int]) -> dict[int, Interval]:
    """Host -> its interval between neighbouring points; those with an empty one are left out.

    >>> strips((2, 0, 1), (0, 3, 3, 8))
    {2: (0, 3), 1: (3, 8)}
    """
    found = zip(hosts, pairwise(points), strict=True)
    return {host: (lo, hi) for host, (lo, hi) in found if lo < hi}


def strip_place(maps: Maps, axis: int, divided: Mapping[int, Interval], *, exchange: bool = False) -> str | Split:
    """Strips as a place; a single strip is a node."""
    names = tuple(maps.hosts[host] for host in divided)
    if len(names) == 1:
        return names[0]
    cuts = tuple(hi for _, hi in divided.values())[:-1]
    return Split(axis=axis, parts=names, cuts=cuts, border="exchange" if exchange else "recompute")
