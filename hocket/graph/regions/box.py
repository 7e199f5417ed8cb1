"""Boxes: one half-open interval per axis, the currency of demand.

A tensor that is asked for in several boxes keeps them as a list: two are put into one hull only where computing
the hull costs no more than computing both, so the disjoint boxes that heads, shifted windows and branches ask for
stay exact.
"""

import itertools
from collections.abc import Iterable, Sequence

Interval = tuple[int, int]
Box = tuple[Interval, ...]
Shape = tuple[int, ...]


def whole(shape: Sequence[int]) -> Box:
    """The box of a whole tensor.

    >>> whole((1, 3))
    ((0, 1), (0, 3))
    """
    return tuple((0, length) for length in shape)


def extent(box: Box) -> Shape:
    """Length on every axis."""
    return tuple(hi - lo for lo, hi in box)


def volume(box: Box) -> int:
    """Number of elements; 1 for a scalar, 0 for an empty box."""
    size = 1
    for lo, hi in box:
        if lo >= hi:
            return 0
        size *= hi - lo
    return size


def is_empty(box: Box) -> bool:
    """Does it hold nothing?"""
    return volume(box) == 0


def contains(outer: Box, inner: Box) -> bool:
    """Is every element of one box in the other?"""
    return all(a <= c and d <= b for (a, b), (c, d) in zip(outer, inner, strict=True))


def intersect(first: Box, second: Box) -> Box:
    """What both hold; it may be empty."""
    return tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(first, second, strict=True))


def hull(first: Box, second: Box) -> Box:
    """The smallest box around both.

    >>> hull(((0, 2),), ((4, 5),))
    ((0, 5),)
    """
    return tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(first, second, strict=True))


def with_axis(box: Box, axis: int, interval: Interval) -> Box:
    """The same box with another interval on one axis.

    >>> with_axis(((0, 1), (0, 8)), 1, (2, 4))
    ((0, 1), (2, 4))
    """
    return (*box[:axis], interval, *box[axis + 1 :])


def relative(box: Box, origin: Box) -> Box:
    """The coordinates of a box inside another."""
    return tuple((lo - base, hi - base) for (lo, hi), (base, _) in zip(box, origin, strict=True))


def merge(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """As few boxes as cost no more than those given, covering each of them with one; sorted, empty ones left out.

    >>> merge([((0, 3), (0, 4)), ((2, 5), (0, 4))])
    (((0, 5), (0, 4)),)
    >>> merge([((0, 2), (0, 4)), ((4, 5), (0, 4))])
    (((0, 2), (0, 4)), ((4, 5), (0, 4)))
    """
    merged: list[Box] = []
    for box in boxes:
        if not is_empty(box):
            _absorb(merged, box)
    return tuple(sorted(merged))


def _absorb(merged: list[Box], box: Box) -> None:
    """Add a box, joining it with others as long as any join pays."""
    position = 0
    while position < len(merged):
        other = merged[position]
        if other == box:
            return
        joined = hull(other, box)
        if volume(joined) <= volume(other) + volume(box):
            del merged[position]
            box, position = joined, 0
        else:
            position += 1
    merged.append(box)


def subtract(box: Box, hole: Box) -> list[Box]:
    """What is left of a box without another, as disjoint boxes.

    >>> subtract(((0, 4), (0, 4)), ((1, 4), (0, 2)))
    [((0, 1), (0, 4)), ((1, 4), (2, 4))]
    """
    common = intersect(box, hole)
    if is_empty(common):
        return [] if is_empty(box) else [box]
    rest = []
    for axis, ((lo, hi), (start, stop)) in enumerate(zip(box, common, strict=True)):
        rest += [with_axis(box, axis, side) for side in ((lo, start), (stop, hi)) if side[0] < side[1]]
        box = with_axis(box, axis, (start, stop))
    return rest


def missing(wanted: Iterable[Box], held: Iterable[Box]) -> tuple[Box, ...]:
    """What must still be fetched, as disjoint boxes: the wanted ones without those that are held.

    >>> missing([((0, 6),)], [((0, 2),), ((3, 4),)])
    (((2, 3),), ((4, 6),))
    """
    done, rest = list(held), []
    for box in wanted:
        pieces = [] if is_empty(box) else [box]
        for hole in done:
            pieces = list(itertools.chain.from_iterable(subtract(piece, hole) for piece in pieces))
        rest += pieces
        done.append(box)
    return tuple(sorted(rest))


def region_name(tensor: str, box: Box, shape: Sequence[int]) -> str:
    """The name of a part of a tensor: the tensor's own if it is whole, else with its intervals in brackets.

    This is the one place where such names are made; a partial sum adds `Contract.suffix`.

    >>> region_name("conv1", ((0, 1), (2, 4)), (1, 8))
    'conv1[0:1,2:4]'
    >>> region_name("conv1", ((0, 1), (0, 8)), (1, 8))
    'conv1'
    """
    if box == whole(shape):
        return tensor
    return f"{tensor}[{','.join(f'{lo}:{hi}' for lo, hi in box)}]"
