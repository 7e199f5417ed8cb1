"""Reshape and its family: the same elements in the same order under another shape."""

from math import prod
from typing import NamedTuple

from hocket.graph.regions.box import Box, Interval, Shape, with_axis
from hocket.graph.regions.rule import Context, UnsupportedError
from hocket.graph.regions.steps import cut, join, reshape

MOST_RUNS = 12
"""More pieces than this are not worth their operators: a wider box is computed and cut instead."""


class Group(NamedTuple):
    """Neighbouring axes of both shapes with equal products; axes of length 1 are in none."""

    read: tuple[int, ...]
    made: tuple[int, ...]


def factor_groups(read: Shape, made: Shape) -> list[Group]:
    """Align two shapes of the same elements.

    >>> factor_groups((1, 128, 768), (128, 12, 64))
    [Group(read=(1,), made=(0,)), Group(read=(2,), made=(1, 2))]
    """
    left = [axis for axis, length in enumerate(read) if length != 1]
    right = [axis for axis, length in enumerate(made) if length != 1]
    groups = []
    while left and right:
        a, b = [left.pop(0)], [right.pop(0)]
        while (first := prod(read[axis] for axis in a)) != (second := prod(made[axis] for axis in b)):
            if first < second:
                a.append(left.pop(0))
            else:
                b.append(right.pop(0))
        groups.append(Group(tuple(a), tuple(b)))
    return groups


def reshaping(at: Context, box: Box) -> str:
    """Axes in groups of equal product; in each the contiguous run of elements, in the smallest box around it."""
    op = at.op
    if at.output or 0 in op.shapes[0]:
        raise UnsupportedError(f"{op.kind} of an empty tensor has no rule, and {op.name!r} has one; remove it")
    groups = factor_groups(op.shapes[0], op.output_shapes[0])
    wide = box
    while runs(wide, groups, op.output_shapes[0]) > MOST_RUNS:
        wide = _widened(wide, groups, op.output_shapes[0])
    return cut(at, _pieces(at, wide, groups), wide, box)


def runs(box: Box, groups: list[Group], shape: Shape) -> int:
    """How many contiguous pieces a box of the result consists of."""
    count = 1
    for group in groups:
        count *= prod(box[axis][1] - box[axis][0] for axis in _scattered(box, group, shape))
    return count


def _scattered(box: Box, group: Group, shape: Shape) -> tuple[int, ...]:
    """The axes of a group over which its elements are not contiguous: those before the last that is not full."""
    narrow = [place for place, axis in enumerate(group.made) if box[axis] != (0, shape[axis])]
    return group.made[: narrow[-1]] if narrow else ()


def _widened(box: Box, groups: list[Group], shape: Shape) -> Box:
    """Make the last narrow axis of the group with the most runs whole."""
    worst = max(groups, key=lambda group: runs(box, [group], shape))
    narrow = [axis for axis in worst.made if box[axis] != (0, shape[axis])]
    return with_axis(box, narrow[-1], (0, shape[narrow[-1]]))


def _pieces(at: Context, box: Box, groups: list[Group]) -> str:
    """Take a box apart along the first axis over which it is not contiguous."""
    shape = at.op.output_shapes[0]
    for group in groups:
        for axis in _scattered(box, group, shape):
            lo, hi = box[axis]
            if hi - lo > 1:
                parts = [_pieces(at, with_axis(box, axis, (step, step + 1)), groups) for step in range(lo, hi)]
                return join(at, parts, axis)
    return _one_run(at, box, groups)


def _one_run(at: Context, box: Box, groups: list[Group]) -> str:
    """A box that is one contiguous run in every group."""
    op = at.op
    read: list[Interval] = [(0, 1)] * len(op.shapes[0])
    held: list[Interval] = []
    wanted: list[Interval] = []
    for group in groups:
        run = _flat(box, group.made, op.output_shapes[0])
        for axis, interval in zip(group.read, _around(run, [op.shapes[0][axis] for axis in group.read]), strict=True):
            read[axis] = interval
        held.append(_flat(tuple(read), group.read, op.shapes[0]))
        wanted.append(run)
    value = at.get(0, tuple(read))
    if held != wanted:
        value = reshape(at, value, [hi - lo for lo, hi in held])
        value = cut(at, value, tuple(held), tuple(wanted))
    return reshape(at, value, [hi - lo for lo, hi in box])


def _flat(box: Box, axes: tuple[int, ...], shape: Shape) -> Interval:
    """The run of elements that a contiguous box is, numbered inside its group."""
    start, size = 0, 1
    for axis in axes:
        start = start * shape[axis] + box[axis][0]
        size *= box[axis][1] - box[axis][0]
    return start, start + size


def _around(run: Interval, lengths: list[int]) -> list[Interval]:
    """The smallest box around a run of elements.

    >>> _around((70, 130), [12, 64])
    [(1, 3), (0, 64)]
    >>> _around((70, 80), [12, 64])
    [(1, 2), (6, 16)]
    """
    first, last = run[0], run[1] - 1
    intervals: list[Interval] = []
    parted = False
    for place, length in enumerate(lengths):
        below = prod(lengths[place + 1 :])
        a, b = first // below, last // below
        first, last = first % below, last % below
        intervals.append((0, length) if parted else (a, b + 1))
        parted = parted or a != b
    return intervals


def depth_to_space(at: Context, box: Box) -> str:
    """The rows and columns of blocks that the box touches; in each block the same channels."""
    op = at.op
    size, mode = int(op.attributes["blocksize"]), op.attributes.get("mode", "DCR")
    batch, channels, *space = box
    tiles = tuple((lo // size, -(-hi // size)) for lo, hi in space)
    made = op.output_shapes[0][1]
    area = size * size
    if mode == "CRD":
        value = at.get(0, (batch, (channels[0] * area, channels[1] * area), *tiles))
    elif channels == (0, made):
        value = at.get(0, (batch, (0, made * area), *tiles))
    else:
        steps = range(area)
        places = [(step * made + channels[0], step * made + channels[1]) for step in steps]
        value = join(at, [at.get(0, (batch, place, *tiles)) for place in places], 1)
    value = at.emit(op.kind, value, attributes=op.attributes)
    return cut(at, value, (batch, channels, *((lo * size, hi * size) for lo, hi in tiles)), box)


def space_to_depth(at: Context, box: Box) -> str:
    """Whole blocks of rows and columns; all channels, or the touched ones if they come from one place of the block."""
    op = at.op
    size, read = int(op.attributes["blocksize"]), op.shapes[0][1]
    batch, (lo, hi), *space = box
    rows = tuple((a * size, b * size) for a, b in space)
    place = lo // read
    if place == (hi - 1) // read:
        channels = (lo - place * read, hi - place * read)
        count = hi - lo
        held = (batch, (place * count, place * count + count), *space)
        made = (batch, (0, count * size * size), *space)
        value = at.emit(op.kind, at.get(0, (batch, channels, *rows)), attributes=op.attributes)
        return cut(at, value, made, held)
    value = at.emit(op.kind, at.get(0, (batch, (0, read), *rows)), attributes=op.attributes)
    return cut(at, value, (batch, (0, op.output_shapes[0][1]), *space), box)
