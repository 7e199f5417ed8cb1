"""The first layers fused and divided into a grid of tiles, the rest at the gateway (DeepThings: FTP).

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    a fixed grid and a fixed number of fused layers; each tile goes to the node that would end it first, whatever
          it takes to send it there
Time      O(N M L D); an N by M grid, L = fused layers
Source    Zhao, Barijough, Gerstlauer: DeepThings: distributed adaptive deep learning inference on resource-constrained
          IoT edge clusters, IEEE TCAD 37(11), 2018; its code, ftp.c
Departs   tiles are dealt beforehand, where idle nodes steal them while they run; fewer layers are fused where the map
          after them is smaller than the grid; with `reuse` every tile takes its borders from its neighbours, where the
          published schedule lets every second tile compute its own; any kernel, padding and stride
Cards     deepthings_ftp
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.graph.regions import Interval
from hocket.plan import Split
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.maps import COLUMNS, ROWS, Maps, Tile, refuses_maps, require_maps


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepthingsFtp:
    """See the module."""

    name: ClassVar[str] = "deepthings_ftp"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    grid: tuple[int, int] = (5, 5)
    """Tiles down and across."""
    fused: int = 16
    """Layers that are fused, at most."""
    reuse: bool = False
    """Tiles take their borders from each other in every layer, and compute nothing twice."""

    def refuses(self, problem: Problem) -> str | None:
        """A grid of nothing, nothing to divide, or nobody to divide it among."""
        if min(*self.grid, self.fused) < 1:
            return f"a grid has tiles and at least one layer is fused, got {self.grid} and {self.fused}"
        return refuses_maps(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """A grid of tiles over the first layers."""
        maps = require_maps(self, problem)
        last = depth(maps, self.fused, self.grid) - 1
        rows, columns = maps.size(last)
        downs, acrosses = tile_points(rows, self.grid[0]), tile_points(columns, self.grid[1])
        tiles = [(down, across) for down in pairwise(downs) for across in pairwise(acrosses)]
        seconds = [self._seconds(maps, last, tile) for tile in tiles]
        hosts = dealt(seconds)
        width = self.grid[1]
        parts = tuple(
            Split(
                axis=COLUMNS,
                parts=tuple(maps.hosts[host] for host in hosts[start : start + width]),
                cuts=acrosses[1:-1],
            )
            for start in range(0, len(hosts), width)
        )
        place = Split(axis=ROWS, parts=parts, cuts=downs[1:-1], border="exchange" if self.reuse else "recompute")
        counts = ", ".join(f"{name} {hosts.count(host)}" for host, name in enumerate(maps.hosts))
        notes = {"fused": str(last + 1), "tiles": counts}
        return maps.propose(self, [maps.run(0, last, place)], after=last + 1, notes=notes)

    def _seconds(self, maps: Maps, last: int, tile: Tile) -> Floats:
        """(D,) of a tile on each host; 0 for an empty one."""
        (top, bottom), (left, right) = tile
        area = (bottom - top) * (right - left)
        if not area:
            return np.zeros(len(maps.hosts))
        if not self.reuse:
            return maps.fused(0, last, tile).seconds
        rows, columns = maps.size(last)
        return np.asarray(maps.cells.seconds[last + 1] * area / (rows * columns))


def tile_points(length: int, count: int) -> tuple[int, ...]:
    """The points between tiles of ceil(length / count); the last takes what is left, and may be empty.

    >>> tile_points(10, 4), tile_points(4, 3)
    ((0, 3, 6, 9, 10), (0, 2, 4, 4))
    """
    stride = -(-length // count)
    return tuple(min(number * stride, length) for number in range(count + 1))


def tile_table(maps: Maps, last: int, tile: Tile) -> list[tuple[Interval, Interval]]:
    """What a tile of a layer's result covers: of the input, then of the result of every layer up to that one."""
    table: list[Tile] = [tile]
    for layer in range(last, -1, -1):
        found = maps.need(layer, table[0]).tile
        if found is None:
            break
        table.insert(0, found)
    return table


def depth(maps: Maps, fused: int, grid: tuple[int, int]) -> int:
    """How many layers are fused: those after which the map still has a row and a column for every tile."""
    count = 1
    for layer in range(1, min(fused, maps.count)):
        rows, columns = maps.size(layer)
        if rows < grid[0] or columns < grid[1]:
            break
        count = layer + 1
    return count


def dealt(seconds: Sequence[Floats]) -> list[int]:
    """The host of each tile: tile after tile to the one that would end it first.

    >>> dealt([np.array([1.0, 2.0])] * 3)
    [0, 0, 1]
    """
    load = np.zeros(len(seconds[0]))
    hosts = []
    for each in seconds:
        host = int(np.argmin(load + each))
        load[host] += each[host]
        hosts.append(host)
    return hosts
