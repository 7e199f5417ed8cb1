"""Each layer in rectangles, made by cutting the largest one in two along its least border (MeDNN: GTDP).

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    greedy: rectangles as large as their nodes are fast, cut where the least border arises; no layer knows how the
          one before it is divided
Time      O(L D^2)
Source    Mao, Yang, Wen, Wu, Song, Nixon, Chen, Li, Chen: MeDNN: a distributed mobile system with enhanced partition
          and deployment for large-scale DNNs, ICCAD 2017
Departs   [standard] a rectangle is cut in the ratio of the speeds of two groups of nodes that are as equal as the
          longest-first rule makes them, for the 1, 2, ... fastest nodes, of which those are taken that end soonest,
          their borders counted; pruning (SMCD) changes the answers and is left out
Cards     mednn
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.plan import Run, Split
from hocket.plan.cuts import shared
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.maps import COLUMNS, ROWS, Maps, Tile, refuses_maps, require_maps


@dataclass(frozen=True, slots=True, kw_only=True)
class Mednn:
    """See the module."""

    name: ClassVar[str] = "mednn"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Nothing to divide, or nobody to divide it among."""
        return refuses_maps(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Rectangles, layer by layer."""
        maps = require_maps(self, problem)
        hosts = range(len(maps.hosts))
        slowest = np.array([max(maps.seconds_per_byte(a, b) for a in hosts if a != b) for b in hosts])
        runs = [_layer(maps, layer, slowest) for layer in range(maps.count)]
        return maps.propose(self, runs, after=maps.count, notes={})


@dataclass(slots=True)
class Rectangle:
    """A tile and the hosts that may share it; the first of them, the fastest, computes it unless it is cut."""

    tile: Tile
    team: tuple[int, ...]
    halo_bytes: float = 0.0
    axis: int = 0
    point: int = 0
    parts: tuple["Rectangle", ...] = field(default=())

    @property
    def area(self) -> int:
        """Elements of one channel."""
        (top, bottom), (left, right) = self.tile
        return (bottom - top) * (right - left)


@dataclass(frozen=True, slots=True)
class Rates:
    """What rectangles of one layer take."""

    seconds: Floats
    """(D,) of an element of the map on each host."""
    speeds: Floats
    """(D,) relative."""
    slowest: Floats
    """(D,) seconds per byte of the slowest way to a host."""
    halo: tuple[float, float]
    """Bytes of the border along a cut between rows, per column; and between columns, per row."""

    def end_s(self, rectangle: Rectangle) -> float:
        """When the first host of a rectangle has computed it."""
        host = rectangle.team[0]
        moving = rectangle.halo_bytes * self.slowest[host] if rectangle.halo_bytes else 0.0
        return float(rectangle.area * self.seconds[host] + moving)


def gtdp(whole: Tile, team: Sequence[int], rates: Rates) -> Rectangle:
    """The tree of cuts for as many of the fastest hosts as end soonest.

    Args:
        whole: all of a map.
        team: hosts, the fastest first.
        rates: what they take.
    """
    trees = [_tree(Rectangle(whole, tuple(team[:count])), rates) for count in range(1, len(team) + 1)]
    return min(trees, key=lambda tree: max(rates.end_s(leaf) for leaf in leaves_of(tree)))


def leaves_of(tree: Rectangle) -> list[Rectangle]:
    """The rectangles that are computed."""
    return [leaf for part in tree.parts for leaf in leaves_of(part)] if tree.parts else [tree]


def _tree(root: Rectangle, rates: Rates) -> Rectangle:
    """The largest rectangle that several hosts share is cut, until none is left that can be."""
    shared_ones = [root]
    while shared_ones:
        largest = max(shared_ones, key=lambda leaf: leaf.area)
        shared_ones.remove(largest)
        cut = _cut(largest, rates)
        if cut is not None:
            largest.axis, largest.point, largest.parts = cut.axis, cut.point, cut.parts
            shared_ones += cut.parts
    return root


def _cut(rectangle: Rectangle, rates: Rates) -> Rectangle | None:
    """A rectangle in two, along the axis with the least border; None if it has one host or nothing to cut."""
    if len(rectangle.team) < 2:
        return None
    (top, bottom), (left, right) = rectangle.tile
    borders = ((right - left) * rates.halo[0], (bottom - top) * rates.halo[1])
    sides = sorted(
        (place for place in (0, 1) if rectangle.tile[place][1] - rectangle.tile[place][0] > 1),
        key=lambda place: (borders[place], rectangle.tile[place][0] - rectangle.tile[place][1]),
    )
    teams = _halves(rectangle.team, rates.speeds)
    for place in sides:
        lo, hi = rectangle.tile[place]
        first = shared([float(rates.speeds[list(team)].sum()) for team in teams], hi - lo)[0]
        if 0 < first < hi - lo:
            cuts = ((lo, lo + first), (lo + first, hi))
            tiles = [(each, rectangle.tile[1]) if place == 0 else (rectangle.tile[0], each) for each in cuts]
            parts = tuple(
                Rectangle(tile, team, rectangle.halo_bytes + borders[place])
                for tile, team in zip(tiles, teams, strict=True)
            )
            return Rectangle(rectangle.tile, rectangle.team, axis=(ROWS, COLUMNS)[place], point=lo + first, parts=parts)
    return None


def _halves(team: Sequence[int], speeds: Floats) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two groups of about equal speed, each the fastest first: host after host to the slower group."""
    groups: tuple[list[int], list[int]] = ([], [])
    totals = [0.0, 0.0]
    for host in team:
        slower = 0 if not groups[0] or (groups[1] and totals[0] <= totals[1]) else 1
        groups[slower].append(host)
        totals[slower] += float(speeds[host])
    return tuple(groups[0]), tuple(groups[1])


def _layer(maps: Maps, layer: int, slowest: Floats) -> Run:
    (_, rows), (_, columns) = maps.full(layer)
    seconds = (maps.cells.seconds[layer + 1] - maps.cells.seconds[layer]) / (rows * columns)
    rates = Rates(seconds, maps.speeds, slowest, _halo(maps, layer))
    return maps.run(layer, layer, _place(maps, gtdp(maps.full(layer), maps.order, rates)))


def _halo(maps: Maps, layer: int) -> tuple[float, float]:
    """Bytes that a cut of a layer's result moves of the map before it, per column and per row of the result."""
    shape = maps.cells.shape(layer)
    pixel = shape[1] * maps.itemsize(layer - 1)
    full = maps.full(layer)
    found = []
    for place in (0, 1):
        length = full[place][1]
        middle = ((0, max(length // 2, 1)), full[1]) if place == 0 else (full[0], (0, max(length // 2, 1)))
        need = maps.need(layer, middle).tile
        before = shape[ROWS + place]
        reach = (need[place][1] if need else 0) - before * middle[place][1] / length
        across = shape[COLUMNS - place] / full[1 - place][1]
        found.append(max(reach, 0.0) * across * pixel)
    return found[0], found[1]


def _place(maps: Maps, rectangle: Rectangle) -> str | Split:
    if not rectangle.parts:
        return maps.hosts[rectangle.team[0]]
    parts = tuple(_place(maps, part) for part in rectangle.parts)
    return Split(axis=rectangle.axis, parts=parts, cuts=(rectangle.point,), border="exchange")
