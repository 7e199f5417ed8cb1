"""Channels and neurons of each layer assigned to workers so that little of what they read is elsewhere (RePurpose).

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    for each layer, the layers before it fixed, the assignment of least traffic (Munkres); greedy from layer to
          layer, and workers get as many channels as they are fast
Time      O(V (B D + B^3)) for V layers in B groups of channels each
Source    Abdi, Rashidi, Fekri, Krishna: Efficient distributed inference of deep neural networks via restructuring and
          pruning, AAAI 2023
Departs   only the exact part: the published method also changes weights, for which it needs them and data to calibrate
          with, and so changes the answers; here every weight stays, so a dense layer costs the same whoever computes
          which neuron, and the assignment matters where layers read few channels; channels in up to 16 groups
Cards     repurpose
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from hocket.cost import Problem
from hocket.graph.regions import Interval, whole
from hocket.graph.regions.box import with_axis
from hocket.plan import Split
from hocket.plan.cuts import shared
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.layers import Layer, layer_runs, layers
from hocket.solvers.tiles.maps import Maps, refuses_maps, require_maps

_GROUPS = 16
_TIE = 1e-6
CHANNELS = 1
"""Axis of channels, and of neurons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repurpose:
    """See the module."""

    name: ClassVar[str] = "repurpose"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Nothing to divide, or nobody to divide it among."""
        return refuses_maps(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Layer by layer."""
        maps = require_maps(self, problem)
        workers = Workers(maps)
        found = [(layer, workers.place(layer)) for layer in layers(maps.graph, channels=True)]
        runs = list(layer_runs(maps, found))
        notes = {"moved_bytes": f"{workers.moved_bytes:.0f}"}
        return maps.propose(self, runs, after=len(maps.cells.cells), notes=notes)


class Workers:
    """Which worker has which channels of the tensors that were made."""

    def __init__(self, maps: Maps) -> None:
        self.maps = maps
        self.moved_bytes = 0.0
        """What workers read of each other, each group of channels counted by itself."""
        names = list(maps.hosts)
        entry = maps.graph.inputs[0]
        home = {names.index(maps.task.source): [(0, entry.shape[CHANNELS])]} if maps.task.source in names else {}
        self._held: dict[str, Mapping[int, Sequence[Interval]]] = {entry.name: home}

    def place(self, layer: Layer) -> str | Split:
        """Where a layer runs; who has which of its channels is remembered."""
        shape = self.maps.graph.tensor[layer.result].shape
        if len(shape) < 2 or len(self.maps.graph.operator[layer.operators[-1]].outputs) > 1:
            self._held[layer.result] = {}
            return self.maps.hosts[self.maps.owner]
        length = shape[CHANNELS]
        points = groups_of(length)
        prices = self.prices(layer, points)
        hosts = assigned(prices, slots_of(self.maps.speeds, len(points) - 1))
        self.moved_bytes += float(sum(prices[group, host] for group, host in enumerate(hosts)))
        names: list[str] = []
        stops: list[int] = []
        held: dict[int, list[Interval]] = {}
        for (lo, hi), host in zip(pairwise(points), hosts, strict=True):
            held.setdefault(host, []).append((lo, hi))
            if names and names[-1] == self.maps.hosts[host]:
                stops[-1] = hi
            else:
                names.append(self.maps.hosts[host])
                stops.append(hi)
        self._held[layer.result] = held
        if len(names) == 1:
            return names[0]
        return Split(axis=CHANNELS, parts=tuple(names), cuts=tuple(stops[:-1]))

    def prices(self, layer: Layer, points: Sequence[int]) -> Floats:
        """(G, D) bytes that a group of channels reads and a worker has not."""
        count = len(self.maps.hosts)
        prices = np.zeros((len(points) - 1, count))
        for group, interval in enumerate(pairwise(points)):
            for entry, (lo, hi), nbytes in self._reads(layer, interval):
                for host in range(count):
                    own = sum(max(min(hi, stop) - max(lo, start), 0) for start, stop in self._held[entry].get(host, ()))
                    prices[group, host] += nbytes * (1.0 - own / (hi - lo))
        return prices

    def _reads(self, layer: Layer, interval: Interval) -> list[tuple[str, Interval, float]]:
        """What an interval of channels reads: the tensor, its channels, and bytes of them."""
        tensor, found = self.maps.graph.tensor, []
        if layer.window is not None:
            for entry, ((lo, hi),) in zip(layer.window.entries, layer.window.needs([interval]), strict=True):
                if lo < hi:
                    found.append((entry, (lo, hi), tensor[entry].nbytes * (hi - lo) / tensor[entry].shape[CHANNELS]))
            return found
        box = with_axis(whole(tensor[layer.result].shape), CHANNELS, interval)
        demand = self.maps.cells.slicer.demand(layer.operators, {layer.result: box})
        for entry, boxes in demand.inputs.items():
            if len(tensor[entry].shape) > CHANNELS:
                for lo, hi in dict.fromkeys(each[CHANNELS] for each in boxes):
                    found.append((entry, (lo, hi), tensor[entry].nbytes * (hi - lo) / tensor[entry].shape[CHANNELS]))
        return found


def groups_of(length: int) -> tuple[int, ...]:
    """The points between groups of channels, about equally many in each.

    >>> groups_of(3), len(groups_of(40))
    ((0, 1, 2, 3), 17)
    """
    count = min(length, _GROUPS)
    return tuple(length * number // count for number in range(count + 1))


def slots_of(speeds: Floats, groups: int) -> list[int]:
    """The worker of each slot: as many slots as groups, in proportion to speed.

    >>> slots_of(np.array([1.0, 3.0]), 4)
    [0, 1, 1, 1]
    """
    return [host for host, count in enumerate(shared(speeds.tolist(), groups)) for _ in range(count)]


def assigned(prices: Floats, slots: Sequence[int]) -> list[int]:
    """The worker of each group of channels: one slot each, the sum of prices the least, neighbours together if equal.

    Args:
        prices: (G, D) of a group with a worker.
        slots: the worker of each of G slots.

    >>> assigned(np.array([[5.0, 0.0], [0.0, 5.0], [1.0, 1.0]]), [0, 1, 1])
    [1, 0, 1]
    """
    table = prices[:, list(slots)]
    numbers = np.arange(len(slots))
    # Equal sums are told apart by how far groups are from slots of their own number.
    least = float(table[table > 0].min()) if (table > 0).any() else 1.0
    apart = (numbers[:, None] - numbers[None, :]) ** 2 * (_TIE * least / len(slots) ** 2)
    rows, columns = linear_sum_assignment(table + apart)
    chosen = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [slots[chosen[group]] for group in range(len(slots))]
