"""PipeEdge's reverse auction: every device bids the runs of layers that it can hold.

Solves    one task
Answer    fewest devices, greedily; or the least latency or bottleneck for devices in the cluster's order, by the
          auction's own sums (stages and the tensors between them)
Time      O(L^2 D^2); L = layers, D = nodes
Source    usc-isi/PipeEdge, src/pipeedge/sched/revauct.py
Departs   the bids are the profile's times; the greedy rule takes the longest run that any device which is left can
          hold, of equal ones the fastest; the shortest path is found layer by layer
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.rules.layers import Layers, refuses_layers, ruled
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_Stage = tuple[int, int, int]
"""Host, first layer, end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeedgeRevauct:
    """See the module."""

    name: ClassVar[str] = "pipeedge_revauct"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    mode: Literal["auto", "host_count", "latency", "throughput"] = "auto"
    """What the auctioneer wants; auto = throughput where the objective is the period, else latency."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or no host."""
        return refuses_layers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The bids that win."""
        require(self, problem)
        auction = _Auction(Layers(problem))
        mode = self.mode
        if mode == "auto":
            mode = "throughput" if problem.objective.metric == "period" else "latency"
        stages = auction.fewest() if mode == "host_count" else auction.in_order(adds=mode == "latency")
        hosts = [host for host, start, stop in stages for _ in range(start, stop)]
        return ruled(problem, self.name, auction.layers.plan(hosts))


class _Auction:
    def __init__(self, layers: Layers) -> None:
        self.layers, self.width = layers, len(layers.names)
        self.before = np.vstack([np.zeros(self.width), np.cumsum(layers.seconds, axis=0)])
        self.held = np.concatenate([[0.0], np.cumsum(layers.nbytes)])
        self.leaving = [float(layers.graph.inputs[0].nbytes), *layers.leaving.tolist()]

    def bid(self, host: int, start: int, stop: int) -> float:
        """Seconds that a device asks for a run; inf = it cannot hold it."""
        room = self.layers.nodes[host].memory_bytes
        boxes = self.leaving[start] * (2 if start else 1) + 2 * self.leaving[stop]
        if room is not None and self.held[stop] - self.held[start] + boxes >= room:
            return np.inf
        return float(self.before[stop, host] - self.before[start, host])

    def fewest(self) -> list[_Stage]:
        """The longest run again and again."""
        left, start, stages = list(range(self.width)), 0, []
        while start < len(self.layers):
            bids = [
                (-stop, seconds, host)
                for host in left
                for stop in range(start + 1, len(self.layers) + 1)
                if (seconds := self.bid(host, start, stop)) < np.inf
            ]
            if not bids:
                raise self._none()
            stop, _, host = min(bids)
            stages.append((host, start, -stop))
            left.remove(host)
            start = -stop
        return stages

    def in_order(self, *, adds: bool) -> list[_Stage]:
        """The path of least sum, or least maximum, through bids of devices in their order, any of which may be left
        out."""
        size = len(self.layers)
        least: dict[tuple[int, int], float] = {}
        came: dict[tuple[int, int], tuple[int, int]] = {}
        rates = [[self.layers.rate(a, b) for b in range(self.width)] for a in range(self.width)]
        for host in range(self.width):
            for start in range(size):
                options = [(0.0, -1)] if start == 0 else []
                for other in range(host):
                    if (other, start) in least and rates[other][host]:
                        sent = self.leaving[start] / rates[other][host]
                        before = least[other, start]
                        options.append((before + sent if adds else max(before, sent), other))
                if not options:
                    continue
                value, other = min(options)
                for stop in range(start + 1, size + 1):
                    seconds = self.bid(host, start, stop)
                    total = value + seconds if adds else max(value, seconds)
                    if total < least.get((host, stop), np.inf):
                        least[host, stop] = total
                        came[host, stop] = (other, start)
        ends = [(least[host, size], host) for host in range(self.width) if (host, size) in least]
        if not ends:
            raise self._none()
        host, stop, stages = min(ends)[1], size, []
        while host >= 0:
            other, start = came[host, stop]
            stages.append((host, start, stop))
            host, stop = other, start
        return stages[::-1]

    def _none(self) -> InfeasibleError:
        return InfeasibleError("no bids of the devices make up the whole model by PipeEdge's auction; add memory")
