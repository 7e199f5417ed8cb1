"""What it takes to bring bytes from one node to another, as straight lines: so much per message, so much per byte."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hocket.cluster import Cluster
from hocket.program import Resource, Wire

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Way:
    """A route of one or more hops, store and forward."""

    latency_s: float
    seconds_per_byte: float
    """Summed over the hops."""
    joules_per_byte: float
    """Of all radios on the way."""
    usd_per_byte: float
    """Price of sending, and of those joules."""
    holds: Mapping[str, float] = field(default_factory=dict)
    """Resource -> seconds per byte that a message holds it."""


class Ways:
    """The ways of a cluster; each is found once. Rates that change over time count as no limit at all."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        _, wires, resources = cluster.to_program()
        self._wires: dict[tuple[str, str], Wire] = {(wire.source, wire.target): wire for wire in wires}
        self._resources: dict[str, Resource] = {resource.name: resource for resource in resources}
        self._found: dict[tuple[str, ...], Way] = {}

    @cached_property
    def changing(self) -> str | None:
        """A resource whose rate changes over time; None if there is none."""
        return next((name for name, resource in self._resources.items() if resource.trace), None)

    def pieces(self, source: str, target: str, sizes: Floats) -> Iterator[tuple[slice, Way]]:
        """The way of each size of a rising sequence, as runs of sizes that take the same way."""
        # The cheapest of several straight lines is concave, so a way that is the cheapest at both ends is so between.
        paths = {}
        open_runs = [(0, len(sizes))]
        while open_runs:
            start, stop = open_runs.pop()
            for position in (start, stop - 1):
                if position not in paths:
                    paths[position] = self._cluster.path(source, target, float(sizes[position]))
            if paths[start] == paths[stop - 1] and (self.changing is None or stop - start == 1):
                yield slice(start, stop), self._way(paths[start])
            else:
                middle = (start + stop) // 2
                open_runs += [(start, middle), (middle, stop)]

    def _way(self, path: tuple[str, ...]) -> Way:
        if path not in self._found:
            self._found[path] = self._measured(path)
        return self._found[path]

    def _measured(self, path: tuple[str, ...]) -> Way:
        latency = seconds = joules = usd = 0.0
        holds: dict[str, float] = {}
        for source, target in pairwise(path):
            wire, sender, receiver = self._wires[source, target], *map(self._cluster.require, (source, target))
            rates = [self._resources[name].bytes_per_s for name in wire.resources]
            least = min((rate for rate in rates if rate), default=None)
            hop = 1 / least if least else 0.0
            sent, received = sender.transmit_w * hop, receiver.receive_w * hop
            latency += wire.latency_s
            seconds += hop
            joules += sent + received
            usd += sender.transmit_price_per_s * hop
            usd += sender.energy_price_per_j * sent + receiver.energy_price_per_j * received
            for name in wire.resources:
                holds[name] = holds.get(name, 0.0) + hop
        return Way(latency, seconds, joules, usd, holds)
