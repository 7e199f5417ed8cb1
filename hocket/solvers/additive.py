"""Costs that add up: a price for each unit on each node, and one for each tensor on each way that it takes.

The survey's sequential latency is such a cost. Energy and price are, where no node takes power while it idles, no
power or rent is due for the fixed time of a call, and no rate changes over time; else the sum is a lower bound.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.profile import CodecCost, NodeProfile
from hocket.solvers.layout import Floats, Layout, Net, Places, targets
from hocket.solvers.ways import Way, Ways

SUMS = ("sequential", "energy", "price")
_RAW = CodecCost(ratio=1.0)


class Costs(NamedTuple):
    """What units and nets cost: all that a search needs to know."""

    of_units: Floats
    """(U, N) cost of each unit on each node; inf = the node cannot compute."""
    of_nets: Floats
    """(M, N, N) cost of each tensor from one node to another; inf = there is no way, or none that it may take."""
    nets: tuple[Net, ...]

    def value(self, places: Places) -> float:
        """Cost of a placement; inf = it needs a way or a host that is not there."""
        total = sum(float(self.of_units[unit, node]) for unit, node in enumerate(places))
        for number, net in enumerate(self.nets):
            origin = net.home if net.maker < 0 else places[net.maker]
            total += sum(float(self.of_nets[number, origin, target]) for target in targets(net, places))
        return total


class Additive:
    """The additive cost of one task.

    Args:
        layout: units and nets.
        weights: metric of `SUMS` -> what a unit of it counts.
    """

    def __init__(self, layout: Layout, weights: Mapping[str, float]) -> None:
        self.layout, self.problem = layout, layout.problem
        self._s, self._j, self._usd = (weights.get(metric, 0.0) for metric in SUMS)
        self.ways = Ways(layout.problem.cluster)

    @cached_property
    def rates(self) -> Floats:
        """(N,) cost of a second of computing."""
        nodes = self.problem.cluster.nodes
        watts = np.array([node.active_w() for node in nodes])
        rent = np.array([node.compute_price_per_s + node.energy_price_per_j * node.active_w() for node in nodes])
        return np.asarray(self._s + self._j * watts + self._usd * rent, dtype=np.float64)

    @cached_property
    def of_units(self) -> Floats:
        """(U, N) cost of each unit on each node; inf = the node cannot compute."""
        seconds = self.layout.seconds
        return np.where(np.isinf(seconds), np.inf, np.where(np.isinf(seconds), 0.0, seconds) * self.rates)

    @cached_property
    def costs(self) -> Costs:
        """The cost of each unit and net."""
        return Costs(self.of_units, self._crossings[0], self.layout.nets)

    @cached_property
    def codecs(self) -> dict[tuple[str, int], str]:
        """(input, node) -> the codec with which it gets there most cheaply, if that is not raw."""
        # Without packed inputs nothing has to be known of what crossings cost.
        return self._crossings[1] if self.layout.task.input_codecs else {}

    @cached_property
    def _crossings(self) -> tuple[Floats, dict[tuple[str, int], str]]:
        layout, size = self.layout, len(self.layout.nodes)
        sizes = np.array([net.nbytes for net in layout.nets], dtype=np.float64)
        order = np.argsort(sizes, kind="stable")
        costs = np.zeros((len(sizes), size, size))
        codecs: dict[tuple[str, int], str] = {}
        for source, target in self._pairs() if len(sizes) else ():
            costs[:, source, target] = np.inf
            if not self.problem.cluster.reachable(layout.nodes[source], layout.nodes[target]):
                continue
            raw = self._codec(source, target, "raw")
            for piece, way in self.ways.pieces(layout.nodes[source], layout.nodes[target], sizes[order]):
                chosen = order[piece]
                costs[chosen, source, target] = self._line(way, source, target, raw, sizes[chosen])
                for number in chosen:
                    net = layout.nets[number]
                    if net.home == source and layout.task.input_codecs:
                        costs[number, source, target] = self._pressed(way, net, target, codecs)
        costs[layout.barred] = np.inf
        return costs, codecs

    def _pairs(self) -> list[tuple[int, int]]:
        layout = self.layout
        sources = {*layout.hosts, *(net.home for net in layout.nets if net.home >= 0)}
        ends = {*layout.hosts, *(sink for net in layout.nets for sink in net.sinks)}
        return [(source, target) for source in sorted(sources) for target in sorted(ends) if source != target]

    def _codec(self, source: int, target: int, codec: str) -> CodecCost:
        """What a codec does on the way from one node to another, as the judge counts it."""
        first, last = (self._profile(node) for node in (source, target))
        sender = first.codecs.get(codec, _RAW) if first else _RAW
        receiver = last.codecs.get(codec, _RAW) if last else _RAW
        ratio = self.layout.task.input_codecs[codec] if codec != "raw" else sender.ratio
        return CodecCost(
            ratio=ratio, encode_s_per_byte=sender.encode_s_per_byte, decode_s_per_byte=receiver.decode_s_per_byte
        )

    def _profile(self, node: int) -> NodeProfile | None:
        return self.layout.task.profile.nodes.get(self.layout.nodes[node])

    def _line(
        self, way: Way, source: int, target: int, codec: CodecCost, sizes: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        slower = 1 + self.problem.margin
        coding = self.rates[source] * codec.encode_s_per_byte + self.rates[target] * codec.decode_s_per_byte
        sending = self._s * way.seconds_per_byte + self._j * way.joules_per_byte + self._usd * way.usd_per_byte
        return np.asarray(self._s * way.latency_s + sizes * (codec.ratio * sending + slower * coding))

    def _pressed(self, way: Way, net: Net, target: int, codecs: dict[tuple[str, int], str]) -> float:
        """Cost of an input on a way with the best of its codecs, which is noted."""
        options = {"raw": 1.0, **self.layout.task.input_codecs}
        size = np.array([float(net.nbytes)])
        costs = {
            codec: float(self._line(way, net.home, target, self._codec(net.home, target, codec), size)[0])
            for codec in options
        }
        best = min(options, key=lambda codec: costs[codec])
        if best != "raw":
            codecs[net.tensor, target] = best
        return costs[best]

    @cached_property
    def departs(self) -> str | None:
        """Why the sum is not exactly the judge's figure but a lower bound of it; None if it is."""
        if self.ways.changing is not None:
            return f"the rate of {self.ways.changing!r} changes over time"
        if not (self._j or self._usd):
            return None
        for host in self.layout.hosts:
            node = self.problem.cluster.node[self.layout.nodes[host]]
            idle = node.idle_w * (self._j + self._usd * node.energy_price_per_j)
            if idle > 0:
                return f"{node.name!r} takes power while it idles, so the objective depends on the whole timeline"
            if (self.rates[host] - self._s) * self.layout.call_s[host] > 0:
                return f"calls on {node.name!r} cost more than time, so the objective depends on the number of segments"
        return None

    def plan(self, places: Places) -> Plan:
        """The plan of a placement, inputs sent in the best way."""
        return self.layout.plan(places, self.codecs)


def weights_of(problem: Problem) -> dict[str, float] | None:
    """The objective as weights of `SUMS`; None if it has a part that does not add up."""
    objective = problem.objective
    if objective.metric in SUMS:
        return {objective.metric: 1.0}
    if objective.metric != "weighted":
        return None
    used = {metric: weight for metric, weight in objective.weights.items() if weight}
    if not used.keys() <= set(SUMS):
        return None
    return {metric: weight / (problem.references[metric] or 1.0) for metric, weight in used.items()}


def additive_of(problem: Problem) -> Additive:
    """The additive cost of a problem with one task: of its objective, or where that does not add up, sequential."""
    weights = weights_of(problem)
    return Additive(Layout(problem, problem.task), {"sequential": 1.0} if weights is None else weights)
