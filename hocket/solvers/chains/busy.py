"""How long nodes and links are busy with each request, for many placements at once."""

import numpy as np
from numpy.typing import NDArray

from hocket.solvers.batch import Placements
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.ways import Ways

_MOST_NUMBERS = 2_000_000  # in one array


class Busy:
    """Busy seconds of a task's nodes and of what its tensors hold on their ways, a call per node counted.

    Args:
        layout: units and nets.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._names: dict[str, int] = {}
        self._held = self._holds()
        nets = layout.nets
        self._makers = np.array([net.maker for net in nets], dtype=np.int64)
        self._homes = np.array([net.home for net in nets], dtype=np.int64)
        self._at = np.repeat(np.arange(len(nets)), [len(net.readers) for net in nets])
        self._readers = np.array([reader for net in nets for reader in net.readers], dtype=np.int64)
        self._sinks = [(number, sink) for number, net in enumerate(nets) for sink in net.sinks]
        graph = layout.graph
        self._weights = np.array([
            sum(graph.weights[name] for name in dict.fromkeys(
                name for position in unit.operators for name in graph.operators[position].weights))
            for unit in layout.units
        ], dtype=np.float64)  # fmt: skip
        rooms = [node.memory_bytes for node in layout.problem.cluster.nodes]
        self._rooms = np.array([np.inf if room is None else float(room) for room in rooms])

    def _holds(self) -> Floats:
        """(M, N, N, R) seconds for which each tensor holds each resource between two nodes; inf = there is no way."""
        layout, ways = self.layout, Ways(self.layout.problem.cluster)
        nets, size = layout.nets, len(layout.nodes)
        order = np.argsort([net.nbytes for net in nets], kind="stable")
        sizes = np.array([nets[number].nbytes for number in order], dtype=np.float64)
        found: list[tuple[NDArray[np.int64], int, int, int, Floats]] = []
        closed = []
        ends = sorted({*layout.hosts, *(node for net in nets for node in (net.home, *net.sinks) if node >= 0)})
        for source in ends if nets else ():
            for target in ends:
                if source == target:
                    continue
                names = (layout.nodes[source], layout.nodes[target])
                if not layout.problem.cluster.reachable(*names):
                    closed.append((source, target))
                    continue
                for piece, way in ways.pieces(*names, sizes):
                    for name, per_byte in way.holds.items():
                        number = self._names.setdefault(name, len(self._names))
                        found.append((order[piece], source, target, number, sizes[piece] * per_byte))
        held = np.zeros((len(nets), size, size, max(len(self._names), 1)))
        for some, source, target, number, seconds in found:
            held[some, source, target, number] = seconds
        for source, target in closed:
            held[:, source, target] = np.inf
        held[layout.barred] = np.inf
        return held

    def seconds(self, placements: Placements) -> Floats:
        """(K, N + R) busy seconds of each node and each resource of links."""
        rows = max(_MOST_NUMBERS // max(self._held[:, 0].size, 1), 1)
        parts = [self._some(placements[start : start + rows]) for start in range(0, len(placements), rows)]
        return np.concatenate(parts)

    def _some(self, some: Placements) -> Floats:
        layout, size = self.layout, len(self.layout.nodes)
        there = some[:, :, None] == np.arange(size)
        took = np.where(np.isfinite(layout.seconds), layout.seconds, 1e12)
        nodes = (there * took).sum(axis=1) + layout.call_s * there.any(axis=1)
        if not layout.nets:
            return np.asarray(nodes)
        wanted = np.zeros((len(some), len(layout.nets), size), dtype=bool)
        wanted[np.arange(len(some))[:, None], self._at, some[:, self._readers]] = True
        for number, sink in self._sinks:
            wanted[:, number, sink] = True
        origins = np.where(self._makers >= 0, some[:, self._makers], self._homes)
        wanted[np.arange(len(some))[:, None], np.arange(len(layout.nets)), origins] = False
        run, net, target = np.nonzero(wanted)
        ways = np.zeros((len(some), self._held.shape[3]))
        np.add.at(ways, run, self._held[net, origins[run, net], target])
        return np.concatenate([nodes, ways], axis=1)

    def excess(self, placements: Placements) -> Floats:
        """(K,) by how much of its memory the weights of a placement go beyond it, over all nodes; 0 = they fit."""
        if not np.isfinite(self._rooms).any():
            return np.zeros(len(placements))
        there = placements[:, :, None] == np.arange(len(self._rooms))
        need = (there * self._weights[:, None]).sum(axis=1)
        return np.asarray(np.maximum(need / self._rooms - 1, 0.0).sum(axis=1))
