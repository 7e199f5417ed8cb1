"""Where to fuse layers, and over how many nodes to divide each fused block, by a dynamic program (AOFL).

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    strips of rows in proportion to speed; the fusions and the number of nodes are the best of the method's own
          sum: the slowest strip with the rows that it computes again, the scatter of a block's input, the gather of its
          result
Time      O(L^2 D^2)
Source    Zhou, Samavatian, Bacha, Majumdar, Teodorescu: Adaptive parallel execution of deep neural networks on
          heterogeneous edge devices, SEC 2019
Departs   [standard] the dynamic program over the last fused block; the K nodes of a block are the master and the K - 1
          fastest others; strips of neighbouring blocks exchange only what the other lacks, which the sum does not know
Cards     aofl
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.graph.regions import Interval
from hocket.plan.cuts import shared
from hocket.solvers.joint.moving import Held
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.maps import ROWS, Maps, Tile, refuses_maps, require_maps, strip_place, strips


@dataclass(frozen=True, slots=True, kw_only=True)
class Aofl:
    """See the module."""

    name: ClassVar[str] = "aofl"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Nothing to divide, or nobody to divide it among."""
        return refuses_maps(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best fusions of the method's own sum."""
        maps = require_maps(self, problem)
        fused = fusions(maps)
        runs = [
            maps.run(block.first, block.last, strip_place(maps, ROWS, divided(maps, block.last, block.degree)))
            for block in fused
        ]
        words = ", ".join(f"{block.first}..{block.last} on {block.degree}" for block in fused)
        return maps.propose(self, runs, after=maps.count, notes={"fused": words})


class Block(NamedTuple):
    """Layers first..last (both included), fused, divided over some nodes."""

    first: int
    last: int
    degree: int
    """How many nodes."""
    seconds: float


def fusions(maps: Maps) -> list[Block]:
    """The blocks that take the least time one after another: T(j) = min over i, K of T(i) + cost(i + 1 .. j, K)."""
    best: list[float] = [0.0]
    chosen: list[Block] = []
    for last in range(maps.count):
        value, block = float("inf"), None
        for degree in range(1, len(maps.hosts) + 1):
            for first, computing, needs in _backwards(maps, last, degree):
                if computing >= value:
                    break  # more layers only take longer
                if best[first] + computing >= value:
                    continue
                seconds = computing + _moving(maps, first, last, degree, needs)
                if best[first] + seconds < value:
                    value, block = best[first] + seconds, Block(first, last, degree, seconds)
        best.append(value)
        chosen.append(block or Block(last, last, 1, value))
    found, stop = [], maps.count
    while stop:
        found.append(chosen[stop - 1])
        stop = found[-1].first
    return found[::-1]


def divided(maps: Maps, last: int, degree: int) -> dict[int, Interval]:
    """The rows of a layer's result for the master and the fastest others, in proportion to speed."""
    others = [host for host in maps.order if host != maps.owner]
    team = sorted([maps.owner, *others[: degree - 1]])
    rows = maps.size(last)[0]
    return strips(team, (0, *accumulate(shared(maps.speeds[team].tolist(), rows))))


def _backwards(maps: Maps, last: int, degree: int) -> Iterator[tuple[int, float, dict[int, Tile | None]]]:
    """(first layer, seconds of the slowest strip, tiles of the input) of ever longer blocks that end in a layer."""
    needs: dict[int, Tile | None] = {
        host: maps.strip(last, ROWS, rows) for host, rows in divided(maps, last, degree).items()
    }
    seconds: dict[int, Floats] = {host: np.zeros(len(maps.hosts)) for host in needs}
    for first in range(last, -1, -1):
        for host, tile in needs.items():
            if tile is not None:
                found = maps.need(first, tile)
                needs[host], seconds[host] = found.tile, seconds[host] + found.seconds
        yield first, max(float(seconds[host][host] + maps.calls[host]) for host in needs), dict(needs)


def _moving(maps: Maps, first: int, last: int, degree: int, needs: dict[int, Tile | None]) -> float:
    """Seconds to scatter a block's input, and to gather its result at the master."""
    begin: Held = maps.held(first - 1, {maps.owner: maps.full(first - 1)}) if first else maps.source
    made = {host: maps.strip(last, ROWS, rows) for host, rows in divided(maps, last, degree).items()}
    end = maps.held(last, {maps.owner: maps.full(last)})
    return maps.moved_s(first - 1, begin, maps.held(first - 1, needs)) + maps.moved_s(last, maps.held(last, made), end)
