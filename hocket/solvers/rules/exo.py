"""Layers in proportion to free memory on the smallest ring that holds the model.

Solves    one task on nodes whose memory is known
Answer    exo's rule; it never spreads for speed, and knows neither speeds nor rates
Time      O(c D) for c simple cycles of the smallest size that fits; D = nodes
Source    exo, src/exo/master/placement.py and placement_utils.py (Apache-2.0)
Departs   nothing has been downloaded, and all memory is free; the ring begins at the source if that is in it; a way
          over other nodes is no edge of a ring; tensor sharding is left out
Cards     -
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.rules.layers import Layers, refuses_unknown_memory, ruled
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Exo:
    """See the module."""

    name: ClassVar[str] = "exo"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    min_nodes: int = 1
    """Fewest nodes of the ring."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no host, or a node whose memory is not limited."""
        return refuses_unknown_memory(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The ring and its layers."""
        require(self, problem)
        layers = Layers(problem)
        rooms = [float(node.memory_bytes or 0) for node in layers.nodes]
        ring = self._ring(layers, rooms)
        counts = by_largest_remainder(len(layers), [rooms[host] for host in ring])
        hosts = [host for host, count in zip(ring, counts, strict=True) for _ in range(count)]
        notes = {"ring": ", ".join(layers.names[host] for host in ring)}
        return ruled(problem, self.name, layers.plan(hosts), notes)

    def _ring(self, layers: Layers, rooms: Sequence[float]) -> list[int]:
        """Of the smallest cycles that hold the model one with a leaf if there is any, with most memory."""
        links = {
            host: [
                other
                for other in range(len(rooms))
                if (layers.names[host], layers.names[other]) in layers.problem.cluster.link
            ]
            for host in range(len(rooms))
        }
        for size in range(max(self.min_nodes, 1), len(rooms) + 1):
            fitting = [
                ring
                for ring in cycles(links, size)
                if sum(rooms[host] for host in ring) >= layers.graph.weight_bytes and size <= len(layers)
            ]
            leafy = [ring for ring in fitting if any(len(links[host]) == 1 for host in ring)]
            if fitting:
                ring = max(leafy or fitting, key=lambda ring: sum(rooms[host] for host in ring))
                start = ring.index(layers.source) if layers.source in ring else 0
                return [*ring[start:], *ring[:start]]
        raise InfeasibleError(
            f"no ring of at least {self.min_nodes} nodes holds the {layers.graph.weight_bytes} bytes of the model;"
            " add memory or links"
        )


def cycles(links: dict[int, list[int]], size: int) -> Iterator[list[int]]:
    """Simple cycles of some nodes, each from its least one; one node, and two with a link, are cycles too."""
    for first in links:
        paths = [[first]]
        for _ in range(size - 1):
            paths = [
                [*path, after] for path in paths for after in links[path[-1]] if after > first and after not in path
            ]
        yield from (path for path in paths if size == 1 or first in links[path[-1]])


def by_largest_remainder(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to shares, at least 1 each; the largest remainders are rounded up.

    >>> by_largest_remainder(10, [1.0, 2.0, 1.0])
    [3, 5, 2]
    """
    exact = [share / sum(shares) * total for share in shares]
    counts = [int(each) for each in exact]
    for number in sorted(range(len(shares)), key=lambda at: counts[at] - exact[at])[: total - sum(counts)]:
        counts[number] += 1
    for number, count in enumerate(counts):
        if count == 0:
            counts[number] = 1
            counts[counts.index(max(counts))] -= 1
    return counts
