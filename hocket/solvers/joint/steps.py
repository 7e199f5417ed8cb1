"""Ways to compute a run of cells: whole on some nodes, divided on an axis of its result, or on a contracted one."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hocket.graph.regions import Box, whole
from hocket.graph.regions.box import hull, with_axis
from hocket.graph.regions.cuts import granule
from hocket.plan import Copies, Run, Split
from hocket.plan.cuts import shared
from hocket.program import Contract
from hocket.solvers.joint.cells import Cells, Part
from hocket.solvers.joint.moving import Held, Moving

_LONGEST = 12  # cells that are fused
_MOST_REPEATED = 2.0  # a fused run may do so many times its work in all


class Step(NamedTuple):
    """One way to compute some cells."""

    last: int
    """The boundary behind them."""
    needs: Held
    """Of the tensor before them."""
    seconds: float
    """Until the slowest node has its part."""
    holds: Held
    """Of their result."""
    weight_bytes: tuple[int, ...]
    """Of each node."""
    runs: tuple[Run, ...]


class Steps:
    """All steps that are considered.

    Args:
        cells: the chain.
        moving: what exchanges within a step cost.
    """

    def __init__(self, cells: Cells, moving: Moving) -> None:
        self.cells, self.moving = cells, moving
        index = cells.problem.cluster.index
        self._nodes = [index[host] for host in cells.hosts]
        """Position in the cluster of each host."""
        self._calls = cells.table.call_s
        self._granules: dict[object, int] = {}

    @cached_property
    def teams(self) -> tuple[tuple[int, ...], ...]:
        """Sets of hosts that may work together: the fastest ones, with the source or without."""
        total = self.cells.seconds[-1]
        order = sorted(range(len(total)), key=lambda host: (total[host], host))
        source = [host for host in order if self.cells.hosts[host] == self.cells.task.source]
        found: dict[tuple[int, ...], None] = {}
        for size in range(2, len(order) + 1):
            found[tuple(sorted(order[:size]))] = None
            if source:
                others = [host for host in order if host != source[0]]
                found[tuple(sorted([*source, *others[: size - 1]]))] = None
        return tuple(found)

    def of(self, first: int) -> Iterator[Step]:
        """Every step that begins with a cell."""
        for host in range(len(self.cells.hosts)):
            yield self.whole(first, first, (host,))
        for team in self.teams:
            yield self.whole(first, first, team)
            for axis in self._axes(first):
                yield from self._fused(first, axis, team)
            yield from self._contracted(first, team)

    # ------------------------------------------------------------ whole

    def whole(self, first: int, last: int, team: Sequence[int]) -> Step:
        """Every host of a team computes all of it."""
        box = whole(self.cells.shape(last + 1))
        part = self.cells.part(first, last, box)
        return self._step(first, last, dict.fromkeys(team, (part, box)), self._place(team))

    def _place(self, team: Sequence[int]) -> str | Copies:
        names = tuple(self.cells.hosts[host] for host in team)
        return names[0] if len(names) == 1 else Copies(nodes=names, mode="mirror")

    # ------------------------------------------------------------ an axis of the result

    def _axes(self, cell: int) -> tuple[int, ...]:
        """Axes of a cell's result that are worth dividing: not the batch, and longer than 1."""
        shape = self.cells.shape(cell + 1)
        return tuple(axis for axis in range(1, len(shape)) if shape[axis] > 1)

    def _fused(self, first: int, axis: int, team: tuple[int, ...]) -> Iterator[Step]:
        """Runs of growing length, until they repeat too much."""
        most = min(first + _LONGEST, len(self.cells.cells))
        for last in range(first, most):
            if axis not in self._axes(last):
                return
            work = self.cells.seconds[last + 1] - self.cells.seconds[first]
            if not work[list(team)].all():
                continue
            step = self.divided(first, last, axis, team, tuple(1 / work[host] for host in team))
            yield step
            if step.seconds * sum(1 / work[host] for host in team) > _MOST_REPEATED:
                return

    def divided(self, first: int, last: int, axis: int, team: Sequence[int], weights: Sequence[float]) -> Step:
        """Each host computes an interval of an axis of the result."""
        shape = self.cells.shape(last + 1)
        parts, points = {}, [0]
        for host, size in zip(team, shared(weights, shape[axis]), strict=True):
            box = with_axis(whole(shape), axis, (points[-1], points[-1] + size))
            points.append(points[-1] + size)
            if size:
                parts[host] = (self.cells.part(first, last, box), box)
        names = tuple(self.cells.hosts[host] for host in team)
        return self._step(first, last, parts, Split(axis=axis, parts=names, cuts=tuple(points[1:-1])))

    def _step(self, first: int, last: int, parts: dict[int, tuple[Part, Box]], on: str | Split | Copies) -> Step:
        needs, holds = self._empty(), self._empty()
        weights, seconds = [0] * len(needs), 0.0
        for host, (part, box) in parts.items():
            node = self._nodes[host]
            needs[node], holds[node], weights[node] = part.need, box, part.weight_bytes
            seconds = max(seconds, float(part.seconds[host] + self._calls[host]))
        cells = self.cells.cells
        run = _run((cells[first].operators[0], cells[last].operators[-1]), on)
        return Step(last + 1, tuple(needs), seconds, tuple(holds), tuple(weights), (run,))

    def _empty(self) -> list[Box | None]:
        return [None] * len(self.cells.problem.cluster.nodes)

    # ------------------------------------------------------------ a contracted axis

    def _contracted(self, number: int, team: tuple[int, ...]) -> Iterator[Step]:
        """A cell whose first operators end in a contraction that is divided, and what follows it."""
        cell = self.cells.cells[number]
        for place in self._contractions(number):
            head, tail = cell.operators[: place + 1], cell.operators[place + 1 :]
            work = sum(self.cells.table.seconds[self.cells.graph.index[name]] for name in head)
            if not np.asarray(work)[list(team)].all():
                continue
            weights = tuple(1 / np.asarray(work)[host] for host in team)
            for follow in self._follows(number, tail, team, weights):
                yield self._summed(number, head, tail, team, weights, follow)

    def _contractions(self, number: int) -> tuple[int, ...]:
        """Places in a cell of heavy contractions whose operators before them have no other result."""
        cell, graph = self.cells.cells[number], self.cells.graph
        found = []
        for place, name in enumerate(cell.operators):
            if not graph.operator[name].macs or len(self.cells.slicer.contraction(name)) != 1:
                continue
            inside = {graph.index[each] for each in cell.operators[: place + 1]}
            made = (each for operator in cell.operators[:place] for each in graph.operator[operator].outputs)
            if all(reader in inside for each in made for reader in graph.readers[each]) and place:
                found.append(place)
        return tuple(found)

    def _follows(
        self, number: int, tail: tuple[str, ...], team: tuple[int, ...], weights: tuple[float, ...]
    ) -> Iterator[tuple[str | Split | Copies, dict[int, Box]]]:
        """Where the operators behind a contraction run: on all hosts, on one, or divided by rows."""
        shape = self.cells.shape(number + 1)
        yield self._place(team), dict.fromkeys(team, whole(shape))
        if not tail:
            return
        for host in team:
            yield self.cells.hosts[host], {host: whole(shape)}
        if len(shape) > 2:
            points, boxes = [0], {}
            for host, size in zip(team, shared(weights, shape[1]), strict=True):
                points.append(points[-1] + size)
                if size:
                    boxes[host] = with_axis(whole(shape), 1, (points[-2], points[-1]))
            names = tuple(self.cells.hosts[host] for host in team)
            yield Split(axis=1, parts=names, cuts=tuple(points[1:-1])), boxes

    def _summed(
        self,
        number: int,
        head: tuple[str, ...],
        tail: tuple[str, ...],
        team: tuple[int, ...],
        weights: tuple[float, ...],
        follow: tuple[str | Split | Copies, dict[int, Box]],
    ) -> Step:
        cells, cell = self.cells, self.cells.cells[number]
        contraction = cells.slicer.contraction(head[-1])[0]
        step = self._granule(head, contraction.axis)
        sizes = shared(weights, contraction.size, step)
        needs, holds = self._empty(), self._empty()
        nbytes = [0] * len(needs)
        slowest, start, owners = 0.0, 0, []
        for host, size in zip(team, sizes, strict=True):
            if not size:
                continue
            contract = Contract(tensor=head[-1], axis=contraction.axis, interval=(start, start + size), owner=not start)
            part, node = cells.contracted(head, cell.entry, contract), self._nodes[host]
            needs[node], nbytes[node] = part.need, part.weight_bytes
            slowest = max(slowest, float(part.seconds[host] + self._calls[host]))
            owners.append(node)
            start += size
        on, boxes = follow
        wanted, after = self._empty(), 0.0
        for host, box in boxes.items():
            node = self._nodes[host]
            holds[node], wanted[node] = box, box
            if tail:
                demand = cells.slicer.demand(tail, {cell.result: box})
                part = cells.of_demand(demand, cell.entry)
                after = max(after, float(part.seconds[host]))
                nbytes[node] += part.weight_bytes
                if part.need is not None:
                    needs[node] = part.need if needs[node] is None else hull(needs[node], part.need)  # type: ignore[arg-type]
                wanted[node] = demand.inputs[head[-1]][0] if head[-1] in demand.inputs else None
        tensor = cells.graph.tensor[head[-1]]
        itemsize = tensor.nbytes // max(tensor.size, 1)
        between = self.moving.sums(owners, tuple(wanted), tensor.nbytes, whole(tensor.shape), itemsize)
        names = tuple(cells.hosts[host] for host in team)
        cuts = tuple(int(point) for point in np.cumsum(sizes)[:-1])
        runs = [_run((head[0], head[-1]), Split(axis="contract", parts=names, cuts=cuts, granularity=step))]
        if tail:
            runs.append(_run((tail[0], tail[-1]), on))
        return Step(number + 1, tuple(needs), slowest + between + after, tuple(holds), tuple(nbytes), tuple(runs))

    def _granule(self, head: tuple[str, ...], axis: str) -> int:
        """The step of cut points that repeats no work; equal cells have equal ones."""
        graph = self.cells.graph
        key = tuple((graph.operator[name].kind, graph.tensor[name].shape) for name in head)
        if key not in self._granules:
            self._granules[key] = granule(self.cells.slicer.part(head), head[-1], axis)
        return self._granules[key]


def _run(ends: tuple[str, str], on: str | Split | Copies) -> Run:
    first, last = ends
    return Run(operators=first if first == last else f"{first}..{last}", on=on)
