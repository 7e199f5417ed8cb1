"""A long layout broken into rows, like the lines of a page."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from hocket.view.layers import Layout

_ASPECT = 1.7  # width / height that a page should have
_MOST_ROWS = 40


class Row(NamedTuple):
    """Columns start:stop; `low` and `high` bound the y of what lies in them."""

    start: int
    stop: int
    low: float
    high: float


def broken(layout: Layout, heights: Sequence[float], widths: Sequence[float], between: float) -> list[Row]:
    """Rows that make the page most nearly as wide as it should be.

    Args:
        layout: of the graph.
        heights: of each node.
        widths: of each column with the gap after it.
        between: room between two rows.
    """
    passing = _passing(layout, len(widths))
    bounds = _bounds(layout, heights, len(widths))

    def miss(rows: Sequence[Row]) -> float:
        width = max(sum(widths[row.start : row.stop]) for row in rows)
        height = sum(row.high - row.low + between for row in rows)
        return abs(math.log(width / max(height, 0.1) / _ASPECT))

    pages = (
        [_row(bounds, start, stop) for start, stop in _breaks(widths, passing, count)]
        for count in range(1, min(_MOST_ROWS, len(widths)) + 1)
    )
    return min(pages, key=miss)


def _breaks(widths: Sequence[float], passing: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Ends of `count` rows of about one width, broken where few edges pass."""
    total, edges = sum(widths), [0]
    sums = [sum(widths[:column]) for column in range(len(widths) + 1)]
    for number in range(1, count):
        aim = total * number / count
        near = [c for c in range(edges[-1] + 1, len(widths)) if abs(sums[c] - aim) <= 0.3 * total / count]
        if near:
            edges.append(min(near, key=lambda c: 3 * (passing[c] - 1) + 8 * abs(sums[c] - aim) / (total / count)))
    edges.append(len(widths))
    return list(pairwise(edges))


def _passing(layout: Layout, columns: int) -> list[int]:
    """How many lines pass from column to column; those that leave one box count as one."""
    lines: list[set[float]] = [set() for _ in range(columns + 1)]
    for way in layout.ways:
        for column, y in way[:-1]:
            lines[column + 1].add(y)
    return [len(found) for found in lines]


def _bounds(layout: Layout, heights: Sequence[float], columns: int) -> list[tuple[float, float]]:
    low, high = [math.inf] * columns, [-math.inf] * columns
    spots = [(column, y, height) for column, y, height in zip(layout.column, layout.y, heights, strict=True)]
    spots += [(column, y, 0.0) for way in layout.ways for column, y in way]
    for column, y, height in spots:
        low[column] = min(low[column], y - height / 2)
        high[column] = max(high[column], y + height / 2)
    return list(zip(low, high, strict=True))


def _row(bounds: Sequence[tuple[float, float]], start: int, stop: int) -> Row:
    part = bounds[start:stop]
    return Row(start, stop, min(low for low, _ in part), max(high for _, high in part))
