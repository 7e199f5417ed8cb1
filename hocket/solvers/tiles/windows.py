"""How far operators reach on the axes of their result: intervals, backwards, as straight lines that end at the borders.

A result's interval [lo, hi) needs [lo * stride - before, hi * stride + after) of every tensor behind it, cut off at the
tensor's borders: convolutions and poolings do, and what is made of them. The four numbers are read off two boxes in the
middle and checked on two at the borders, so that planners can price thousands of strips without slicing each of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.graph import Graph
from hocket.graph.regions import Box, Demand, Interval, Slicer, UnsupportedError, slicer_of, whole
from hocket.graph.regions.box import with_axis

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Lines(NamedTuple):
    """One axis: for each tensor its stride, and how far it is reached before and after."""

    stride: Numbers
    before: Numbers
    after: Numbers
    length: Numbers

    def at(self, lo: int, hi: int) -> tuple[Numbers, Numbers]:
        """Start and stop on every tensor for an interval of the result that is not empty."""
        start = np.clip(lo * self.stride - self.before, 0, self.length)
        return start, np.clip(hi * self.stride + self.after, start, self.length)


class Window(NamedTuple):
    """What boxes of the result of some operators need, on the axes that are divided."""

    operators: tuple[str, ...]
    """Those that do something; the first rows of every `Lines`."""
    entries: tuple[str, ...]
    """Tensors from outside; the last rows."""
    lines: tuple[Lines, ...]
    """One for each axis."""

    def shares(self, intervals: Sequence[Interval]) -> Floats:
        """(V,) of the whole work of each operator, for an interval of each axis."""
        count = len(self.operators)
        shares = np.ones(count)
        for lines, (lo, hi) in zip(self.lines, intervals, strict=True):
            start, stop = lines.at(lo, hi)
            shares *= (stop - start)[:count] / lines.length[:count]
        return shares

    def needs(self, intervals: Sequence[Interval]) -> tuple[tuple[Interval, ...], ...]:
        """For each entry its interval on each axis."""
        found = []
        for lines, (lo, hi) in zip(self.lines, intervals, strict=True):
            start, stop = lines.at(lo, hi)
            count = len(self.operators)
            found.append(list(zip(start[count:].tolist(), stop[count:].tolist(), strict=True)))
        return tuple(zip(*found, strict=True))


class Windows:
    """The windows of a graph's operators, each found once."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.slicer = graph, slicer_of(graph)
        self._found: dict[tuple[tuple[str, ...], tuple[int, ...]], Window | None] = {}

    def of(self, operators: tuple[str, ...], axes: tuple[int, ...]) -> Window | None:
        """Of operators that end in one result, which is divided on some axes; None if they do not reach in lines."""
        key = (operators, axes)
        if key not in self._found:
            self._found[key] = _window(self.graph, self.slicer, operators, axes)
        return self._found[key]


def windows_of(graph: Graph) -> Windows:
    """The windows of a graph, kept with it.

    Raises:
        GraphError: the graph was made by hand.
    """
    return graph.kept(Windows)


def _window(graph: Graph, slicer: Slicer, operators: tuple[str, ...], axes: tuple[int, ...]) -> Window | None:
    result = operators[-1]
    shape = graph.tensor[result].shape
    if max(axes) >= len(shape) or any(shape[axis] < 3 for axis in axes):
        return None
    low = [int(0.4 * shape[axis]) for axis in axes]
    high = [lo + max(1, shape[axis] // 8) for lo, axis in zip(low, axes, strict=True)]
    first = list(zip(low, high, strict=True))
    second = [(lo + 1, hi + 1) for lo, hi in first]
    try:
        here, there = (slicer.demand(operators, {result: _box(shape, axes, probe)}) for probe in (first, second))
        window = _read(graph, operators, axes, first, here, there)
        if window is None:
            return None
        ends = [shape[axis] for axis in axes]
        for number in range(2):
            probe = [
                (0, hi) if (number + place) % 2 == 0 else (lo, end)
                for place, ((lo, hi), end) in enumerate(zip(first, ends, strict=True))
            ]
            found = slicer.demand(operators, {result: _box(shape, axes, probe)})
            if not _same(slicer, window, axes, probe, found):
                return None
    except UnsupportedError:
        return None
    return window


def _box(shape: Sequence[int], axes: Sequence[int], intervals: Sequence[Interval]) -> Box:
    box = whole(shape)
    for axis, interval in zip(axes, intervals, strict=True):
        box = with_axis(box, axis, interval)
    return box


def _tensors(found: Demand, operators: Sequence[str]) -> Mapping[str, Box] | None:
    """The one box of every tensor that is made, and that is read; None if there are several of one."""
    boxes = {**{name: found.inside[name] for name in operators if name in found.inside}, **found.inputs}
    if any(len(each) != 1 for each in boxes.values()) or found.inside.keys() - set(operators):
        return None
    return {name: each[0] for name, each in boxes.items()}


def _read(
    graph: Graph,
    operators: tuple[str, ...],
    axes: Sequence[int],
    probe: Sequence[Interval],
    here: Demand,
    there: Demand,
) -> Window | None:
    """The lines through two boxes, the second one step further on every axis."""
    one, other = _tensors(here, operators), _tensors(there, operators)
    if one is None or other is None or one.keys() != other.keys() or not here.inputs:
        return None
    rank = len(graph.tensor[operators[-1]].shape)
    if any(len(box) != rank for box in one.values()):
        return None
    lines = []
    for axis, (lo, hi) in zip(axes, probe, strict=True):
        rows = list(_rows(graph, axis, lo, hi, one, other))
        if len(rows) < len(one):
            return None
        lines.append(Lines(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))))
    made = tuple(name for name in one if name not in here.inputs)
    return Window(made, tuple(here.inputs), tuple(lines))


def _rows(
    graph: Graph, axis: int, lo: int, hi: int, one: Mapping[str, Box], other: Mapping[str, Box]
) -> Iterator[tuple[int, int, int, int]]:
    """(stride, before, after, length) of every tensor whose two intervals are on lines."""
    for name, box in one.items():
        (start, stop), (later, end), length = box[axis], other[name][axis], graph.tensor[name].shape[axis]
        stride = later - start
        if stride == end - stop and (stride > 0 or (start, stop) == (0, length)):
            yield stride, lo * stride - start, stop - hi * stride, length


def _same(slicer: Slicer, window: Window, axes: Sequence[int], probe: Sequence[Interval], found: Demand) -> bool:
    """Does a window say what slicing says of a box?"""
    boxes = _tensors(found, window.operators)
    names = (*window.operators, *window.entries)
    if boxes is None or boxes.keys() != set(names):
        return False
    for axis, lines, (lo, hi) in zip(axes, window.lines, probe, strict=True):
        start, stop = lines.at(lo, hi)
        if [boxes[name][axis] for name in names] != list(zip(start.tolist(), stop.tolist(), strict=True)):
            return False
    shares = slicer.shares(found)
    return bool(np.allclose(window.shares(probe), [shares.get(name, 0.0) for name in window.operators], atol=1e-12))
