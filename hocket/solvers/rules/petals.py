"""A swarm: servers choose the blocks that are served worst, the client finds its way through their spans.

Solves    one task; each node holds as many layers as fit into its memory
Answer    the client's way of least delay, or a random one by length of spans; it knows round trips and block times, but
          not how large what travels is
Time      O(r D L log L + D^2 L); r = rounds until no server moves, L = layers, D = nodes
Source    Petals, server/block_selection.py, server/throughput.py, client/routing/sequence_manager.py (MIT)
Departs   block times are the profile's; the nodes join in the cluster's order; a server's rate is that of its fastest
          way; no server is banned, and caches hold every request
Cards     -
"""

import heapq
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.layout import Floats
from hocket.solvers.rules.layers import Layers, refuses_layers, ruled
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_HOP_S = 0.018
_ROUNDS = 20
_Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Petals:
    """See the module."""

    name: ClassVar[str] = "petals"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    mode: Literal["min_latency", "max_throughput"] = "min_latency"
    """The shortest way, or at each step a random server by the length of its span."""
    balance_quality: float = 0.75
    """A server moves if the worst block was served less than this part of what it would be."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or no host."""
        return refuses_layers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The client's way."""
        require(self, problem)
        swarm = Swarm(Layers(problem), seed)
        swarm.join()
        swarm.rebalance(self.balance_quality)
        hosts = swarm.shortest() if self.mode == "min_latency" else swarm.random()
        spans = "; ".join(f"{swarm.layers.names[host]} {start}:{end}" for host, (start, end) in swarm.spans.items())
        return ruled(problem, self.name, swarm.layers.plan(hosts), {"spans": spans})


class Swarm:
    """Servers and the spans of layers that they hold."""

    def __init__(self, layers: Layers, seed: int) -> None:
        self.layers, self.random_order = layers, np.random.default_rng(seed)
        self.sizes = [self._size(node.memory_bytes) for node in layers.nodes]
        self.rates = [self._throughput(host) for host in range(len(layers.names))]
        self.spans: dict[int, _Span] = {}

    def _size(self, room: int | None) -> int:
        """How many layers of mean size fit."""
        mean = float(self.layers.nbytes.mean())
        return len(self.layers) if room is None or mean == 0 else min(int(room // mean), len(self.layers))

    def _throughput(self, host: int) -> float:
        """Requests per second that it reports: of half its layers on average, or of its network."""
        mean = float(self.layers.seconds[:, host].mean())
        rate = max((self.layers.rate(host, b) for b in range(len(self.layers.names)) if b != host), default=np.inf)
        sent = float(self.layers.leaving[:-1].mean()) if len(self.layers) > 1 else 0.0
        computing = 1 / mean / ((self.sizes[host] + 1) / 2) if mean else np.inf
        return float(min(computing, rate / sent if sent else np.inf, 1e30))

    def served(self, without: int | None = None) -> Floats:
        """(L,) throughput of each layer over all servers but one."""
        total = np.zeros(len(self.layers))
        for host, (start, end) in self.spans.items():
            if host != without:
                total[start:end] += self.rates[host]
        return total

    def best_start(self, served: Floats, size: int) -> int:
        """The window whose layers, sorted, are served worst."""
        starts = range(len(served) - size + 1)
        return min(starts, key=lambda start: (sorted(served[start : start + size].tolist()), start))

    def join(self) -> None:
        """Each server chooses in turn."""
        for host, size in enumerate(self.sizes):
            if size:
                start = self.best_start(self.served(), size)
                self.spans[host] = (start, start + size)

    def rebalance(self, quality: float) -> None:
        """Servers move, one at a time, as long as that helps the worst block enough."""
        for _ in range(_ROUNDS):
            moved = False
            for host in list(self.spans):
                moved |= self._moves(host, quality)
            if not moved:
                return

    def _moves(self, host: int, quality: float) -> bool:
        before = dict(self.spans)
        worst = float(self.served().min())
        without = self.served(without=host)
        if without.min() <= 0:
            # It would leave a hole if it went.
            return False
        start = self.best_start(without * (1 + 1e-3), self.sizes[host])
        if start == self.spans[host][0]:
            return False
        self.spans[host] = (start, start + self.sizes[host])
        self._settle(host)
        after = float(self.served().min())
        if after > 0 and worst / after < quality:
            self.spans = {**before, host: self.spans[host]}
            return True
        self.spans = before
        return False

    def _settle(self, mover: int) -> None:
        """All servers choose again in a random order until nobody moves: what the mover expects."""
        for _ in range(_ROUNDS):
            moved = False
            for host in self.random_order.permutation(list(self.spans)).tolist():
                if host == mover:
                    continue
                start = self.best_start(self.served(without=host), self.sizes[host])
                moved |= start != self.spans[host][0]
                self.spans[host] = (start, start + self.sizes[host])
            if not moved:
                return

    def delay_s(self, a: str, b: int) -> float:
        """Half a round trip and the cost of a hop; inf = there is no way."""
        cluster, name = self.layers.problem.cluster, self.layers.names[b]
        if a == name:
            return _HOP_S
        return _HOP_S + cluster.transfer_s(a, name, 0) if cluster.reachable(a, name) else np.inf

    def shortest(self) -> list[int]:
        """The server of each layer on the way of least delay; a span is left only at its end."""
        size, names = len(self.layers), self.layers.names
        source = self.layers.layout.task.source
        heap: list[tuple[float, int, int, tuple[int, ...]]] = []
        for host, (start, _) in self.spans.items():
            if start == 0 and np.isfinite(delay := self.delay_s(source, host)):
                heapq.heappush(heap, (delay, 0, host, ()))
        done: set[tuple[int, int]] = set()
        while heap:
            seconds, layer, host, way = heapq.heappop(heap)
            if layer == size:
                return list(way)
            if (layer, host) in done:
                continue
            done.add((layer, host))
            end = self.spans[host][1]
            if layer < end:
                after = seconds + float(self.layers.seconds[layer, host])
                heapq.heappush(heap, (after, layer + 1, host, (*way, host)))
                continue
            for other, (start, stop) in self.spans.items():
                if start <= layer < stop and np.isfinite(delay := self.delay_s(names[host], other)):
                    heapq.heappush(heap, (seconds + delay, layer, other, way))
        raise self._hole()

    def random(self) -> list[int]:
        """At each step a server by the number of layers that it can go on for."""
        hosts: list[int] = []
        while len(hosts) < len(self.layers):
            layer = len(hosts)
            there = [host for host, (start, end) in self.spans.items() if start <= layer < end]
            if not there:
                raise self._hole()
            left = np.array([self.spans[host][1] - layer for host in there], dtype=np.float64)
            host = int(self.random_order.choice(there, p=left / left.sum()))
            hosts += [host] * (self.spans[host][1] - layer)
        return hosts

    def _hole(self) -> InfeasibleError:
        return InfeasibleError("the servers of the rule petals do not hold every layer on one way; add memory or links")
