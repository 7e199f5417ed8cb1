"""A layered layout of a directed acyclic graph: columns by longest path, few crossings, short straight edges."""

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

_ORDER_SWEEPS, _STRAIGHTEN_SWEEPS = 24, 40


class Layout(NamedTuple):
    """Where everything is: columns count from 0, y grows upwards without unit."""

    column: list[int]
    """Of each node."""
    y: list[float]
    """Centre of each node."""
    ways: list[list[tuple[int, float]]]
    """For each edge the (column, y) that it passes, both ends included."""


def layered(heights: Sequence[float], edges: Sequence[tuple[int, int]], gap: float) -> Layout:
    """Place the nodes of an acyclic graph whose nodes stand in topological order.

    Args:
        heights: of each node.
        edges: (from, to) with from < to.
        gap: least room between two nodes of a column.
    """
    column = _columns(len(heights), edges)
    sheet = _Sheet(list(heights), column, edges, gap)
    sheet.reorder()
    y = sheet.straighten()
    ways = [[(sheet.column[node], y[node]) for node in way] for way in sheet.ways]
    return Layout(column, y[: len(heights)], ways)


def _columns(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Longest path from the left; then what has no predecessor moves right, next to its first reader."""
    column = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        column[target] = max(column[target], column[source] + 1)
    fed = {target for _, target in edges}
    for node in range(count):
        readers = [column[target] for source, target in edges if source == node]
        if node not in fed and readers:
            column[node] = min(readers) - 1
    return column


class _Sheet:
    """Nodes, and the bends of edges that pass columns, which take part in everything but have no height."""

    def __init__(self, heights: list[float], column: list[int], edges: Sequence[tuple[int, int]], gap: float) -> None:
        self.heights, self.column, self.gap = list(heights), list(column), gap
        self.ways: list[list[int]] = []
        self.bends: dict[tuple[int, int], int] = {}
        self.before: dict[int, list[int]] = {}
        self.after: dict[int, list[int]] = {}
        for source, target in edges:
            self.ways.append(self._way(source, target))
        self.columns: list[list[int]] = [[] for _ in range(max(self.column, default=0) + 1)]
        for node, at in enumerate(self.column):
            self.columns[at].append(node)

    def _way(self, source: int, target: int) -> list[int]:
        """Edges from one node share their bends, as the readers of one tensor share its line."""
        way = [source]
        for at in range(self.column[source] + 1, self.column[target]):
            if (source, at) not in self.bends:
                self.bends[source, at] = len(self.heights)
                self.heights.append(0.0)
                self.column.append(at)
            way.append(self.bends[source, at])
        way.append(target)
        for one, other in pairwise(way):
            if other not in self.after.setdefault(one, []):
                self.after[one].append(other)
                self.before.setdefault(other, []).append(one)
        return way

    def reorder(self) -> None:
        """Barycentre sweeps, forth and back; the order with the fewest crossings stays."""
        best, fewest = [list(nodes) for nodes in self.columns], self._crossings()
        for sweep in range(_ORDER_SWEEPS):
            if fewest == 0:
                break
            forth = sweep % 2 == 0
            self._sweep(self.columns if forth else self.columns[::-1], self.before if forth else self.after)
            found = self._crossings()
            if found < fewest:
                best, fewest = [list(nodes) for nodes in self.columns], found
        self.columns = best

    def _sweep(self, columns: Sequence[list[int]], beside: dict[int, list[int]]) -> None:
        rank: dict[int, float] = {}
        for nodes in columns:
            nodes.sort(key=_mean_of(beside, rank))
            rank |= {node: position / max(len(nodes) - 1, 1) for position, node in enumerate(nodes)}

    def _crossings(self) -> int:
        place = {node: position for nodes in self.columns for position, node in enumerate(nodes)}
        total = 0
        for nodes in self.columns:
            passed: list[int] = []
            for node in nodes:
                ends = sorted(place[other] for other in self.after.get(node, ()))
                total += sum(len(passed) - bisect_right(passed, end) for end in ends)
                for end in ends:
                    insort(passed, end)
        return total

    def straighten(self) -> list[float]:
        """Move every node towards its neighbours as far as order and room allow."""
        y = [0.0] * len(self.heights)
        for nodes in self.columns:
            self._place(nodes, dict.fromkeys(nodes, 0.0), y)
        for sweep in range(_STRAIGHTEN_SWEEPS):
            forth = sweep % 2 == 0
            last = sweep >= _STRAIGHTEN_SWEEPS - 6
            for nodes in self.columns if forth else self.columns[::-1]:
                wanted = {node: self._wanted(node, y, forth, last) for node in nodes}
                self._place(nodes, wanted, y)
        return y

    def _wanted(self, node: int, y: Sequence[float], forth: bool, both: bool) -> float:
        beside = self.before.get(node, []) if forth else self.after.get(node, [])
        if both or not beside:
            beside = [*self.before.get(node, []), *self.after.get(node, [])]
        return sum(y[other] for other in beside) / len(beside) if beside else y[node]

    def _place(self, nodes: Sequence[int], wanted: dict[int, float], y: list[float]) -> None:
        """Least squares under order and room: with the room subtracted it is a rising fit."""
        offset, offsets = 0.0, []
        for one, other in zip([None, *nodes], nodes, strict=False):
            if one is not None:
                offset += (self.heights[one] + self.heights[other]) / 2 + self._room(one, other)
            offsets.append(offset)
        fitted = _rising([wanted[node] - room for node, room in zip(nodes, offsets, strict=True)])
        for node, value, room in zip(nodes, fitted, offsets, strict=True):
            y[node] = value + room

    def _room(self, one: int, other: int) -> float:
        bends = (self.heights[one] == 0) + (self.heights[other] == 0)
        return self.gap * (1.0, 0.8, 0.55)[bends]


def _mean_of(beside: dict[int, list[int]], rank: dict[int, float]) -> Callable[[int], float]:
    def mean(node: int) -> float:
        known = [rank[other] for other in beside.get(node, []) if other in rank]
        return sum(known) / len(known) if known else 0.5

    return mean


def _rising(values: Sequence[float]) -> list[float]:
    """The rising sequence nearest to some values, by pooling neighbours that are out of order.

    >>> _rising([1.0, 3.0, 2.0])
    [1.0, 2.5, 2.5]
    """
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while pools and pools[-1][0] > mean:
            other, number = pools.pop()
            mean, count = (mean * count + other * number) / (count + number), count + number
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]
