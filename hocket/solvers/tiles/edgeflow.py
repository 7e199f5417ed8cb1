"""Each layer divided so that its last part ends soonest, given where the parts of the layers before it are (EdgeFlow).

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    the cut points of each layer end its slowest part as soon as possible, the layers before it fixed; greedy from
          layer to layer
Time      O(V D P^2 + V D log P log(D P)); V = layers, P = places of a cut
Source    Hu, Li: Distributed inference with deep learning models across heterogeneous edge devices, INFOCOM 2022
Departs   [standard] the boundaries of a layer by bisection on its end, not by a linear program; cut points are
          multiples of 1 / 32 of long axes; a node begins a layer when it has ended the one before; layers that cannot
          be divided, and the last one, go to the node with which their result is there first
Cards     edgeflow
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.graph.regions import Interval
from hocket.plan import Split
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.layers import Layer, layer_runs, layers
from hocket.solvers.tiles.maps import Maps, refuses_maps, require_maps, strip_place, strips
from hocket.solvers.tiles.windows import Window

_PLACES = 32
_WHOLE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Edgeflow:
    """See the module."""

    name: ClassVar[str] = "edgeflow"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Nothing to divide, or nobody to divide it among."""
        return refuses_maps(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Layer by layer."""
        maps = require_maps(self, problem)
        flow = Flow(maps)
        found = [(layer, flow.place(layer)) for layer in layers(maps.graph)]
        runs = list(layer_runs(maps, found))
        return maps.propose(self, runs, after=len(maps.cells.cells), notes={"end_s": f"{flow.end_s:.6g}"})


class _Held:
    """Who has which interval of a tensor, and since when."""

    def __init__(self, axis: int, length: int, nbytes: int, parts: Mapping[int, tuple[Interval, float]]) -> None:
        self.axis, self.length, self.nbytes, self.parts = axis, length, nbytes, parts


class Flow:
    """The state of the greedy walk: where the tensors that were made are."""

    def __init__(self, maps: Maps) -> None:
        self.maps = maps
        self.hosts = range(len(maps.hosts))
        self._spb = np.array([[maps.seconds_per_byte(a, b) for b in self.hosts] for a in self.hosts])
        source = maps.graph.inputs[0]
        home = list(maps.hosts).index(maps.task.source) if maps.task.source in maps.hosts else _WHOLE
        self._held = {source.name: _Held(_WHOLE, 1, source.nbytes, {home: ((0, 1), 0.0)})}
        ways = [maps.way_s(maps.task.source, host, source.nbytes) / max(source.nbytes, 1) for host in maps.hosts]
        self._from_source = np.array(ways)
        self._free = [0.0] * len(maps.hosts)
        self.end_s = 0.0

    def place(self, layer: Layer) -> str | Split:
        """Where a layer runs; its parts are remembered."""
        tensor = self.maps.graph.tensor[layer.result]
        graph = self.maps.graph
        last = layer.result in graph.outputs
        if layer.window is None or last:
            ends = [self.whole_s(layer, host) for host in self.hosts]
            if last and self.maps.task.outputs.get(layer.result) in self.maps.hosts:
                home = list(self.maps.hosts).index(self.maps.task.outputs[layer.result])
                ends = [end + tensor.nbytes * self._spb[host, home] for host, end in enumerate(ends)]
            host = int(np.argmin(ends))
            self.end_s = self._free[host] = ends[host]
            self._held[layer.result] = _Held(_WHOLE, 1, tensor.nbytes, {host: ((0, 1), ends[host])})
            return self.maps.hosts[host]
        points = points_of(layer.length(graph))
        tables = [self.ends(layer.window, host, points) for host in self.hosts]
        chosen = bisected(tables)
        parts = {
            host: ((int(points[a]), int(points[b])), float(tables[host][a, b]))
            for host, (a, b) in strips(self.hosts, chosen).items()
        }
        self._free = [parts[host][1] if host in parts else free for host, free in enumerate(self._free)]
        self.end_s = max(end for _, end in parts.values())
        self._held[layer.result] = _Held(layer.axis, layer.length(graph), tensor.nbytes, parts)
        return strip_place(self.maps, layer.axis, {host: interval for host, (interval, _) in parts.items()})

    def ends(self, window: Window, host: int, points: np.ndarray) -> Floats:
        """(P, P) when a host has computed the interval from point a to point b of a layer; 0 for an empty one."""
        lines, count = window.lines[0], len(window.operators)
        # Arrays over (point a, point b, tensor) would be slow; a tensor's interval depends on a and b one by one.
        starts = np.clip(points[:, None] * lines.stride - lines.before, 0, lines.length)
        stops = np.clip(points[:, None] * lines.stride + lines.after, 0, lines.length)
        begin = np.full((len(points), len(points)), self._free[host])
        moving = np.zeros_like(begin)
        for place, entry in enumerate(window.entries, count):
            ready, moved = self._arrivals(entry, host, starts[:, place], stops[:, place], int(lines.length[place]))
            begin, moving = np.maximum(begin, ready), moving + moved
        seconds = self.maps.price_each(window.operators)[:, host] / lines.length[:count]
        work = (np.maximum(stops[None, :, :count] - starts[:, None, :count], 0) * seconds).sum(axis=2)
        ends = begin + moving + work + self.maps.calls[host]
        return np.where(points[None, :] > points[:, None], ends, 0.0)

    def whole_s(self, layer: Layer, host: int) -> float:
        """When a host has computed all of a layer."""
        begin, moving = self._free[host], 0.0
        for entry in layer.reads:
            held = self._held[entry]
            for other, ((lo, hi), ready) in held.parts.items():
                begin = max(begin, ready)
                moving += held.nbytes * (hi - lo) / held.length * self._rate(other, host)
        return begin + moving + float(self.maps.price_each(layer.operators)[:, host].sum() + self.maps.calls[host])

    def _arrivals(
        self, entry: str, host: int, starts: np.ndarray, stops: np.ndarray, length: int
    ) -> tuple[Floats, Floats]:
        """(P, P) when what an interval reads of a tensor is ready, and the seconds that it is under way."""
        held = self._held[entry]
        ready = np.zeros((len(starts), len(starts)))
        moved = np.zeros_like(ready)
        for other, ((lo, hi), since) in held.parts.items():
            if held.axis == _WHOLE:
                overlap = (stops[None, :] - starts[:, None]).clip(0) / length
            elif held.length == length:
                overlap = (np.minimum(stops[None, :], hi) - np.maximum(starts[:, None], lo)).clip(0) / length
            else:  # held on another axis than it is read on
                overlap = (stops[None, :] - starts[:, None]).clip(0) / length * (hi - lo) / held.length
            ready = np.maximum(ready, np.where(overlap > 0, since, 0.0))
            if other != host:
                moved = moved + overlap * held.nbytes * self._rate(other, host)
        return ready, moved

    def _rate(self, source: int, target: int) -> float:
        return float(self._from_source[target] if source == _WHOLE else self._spb[source, target])


def points_of(length: int) -> np.ndarray:
    """The places of cut points on an axis: all, or 1 / 32 of it apart.

    >>> points_of(3).tolist(), len(points_of(100))
    ([0, 1, 2, 3], 33)
    """
    count = min(length, _PLACES)
    return np.round(np.linspace(0, length, count + 1)).astype(np.int64)


def bisected(tables: list[Floats]) -> tuple[int, ...]:
    """The points between hosts, in their order, that end the slowest of them soonest.

    A host that begins at a point takes the longest interval that ends by T; the least T with which the axis is covered
    is found by bisection over all ends.

    Args:
        tables: of each host (P, P), when it has computed from point a to point b; not falling in b.

    >>> slow, fast = np.array([[0, 2, 4], [0, 0, 2], [0, 0, 0.0]]), np.array([[0, 1, 2], [0, 0, 1], [0, 0, 0.0]])
    >>> bisected([slow, fast])
    (0, 1, 2)
    """
    values = np.unique(np.concatenate([table.ravel() for table in tables]))
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        if _walk(tables, float(values[middle]))[-1] == len(tables[0]) - 1:
            high = middle
        else:
            low = middle + 1
    return _walk(tables, float(values[low]))


def _walk(tables: list[Floats], most_s: float) -> tuple[int, ...]:
    points = [0]
    for table in tables:
        begin = points[-1]
        points.append(begin + int(np.searchsorted(table[begin, begin:], most_s, side="right")) - 1)
    return tuple(points)
