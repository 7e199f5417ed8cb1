"""Steps that many rules share."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx

from hocket.graph.regions.box import Box, Interval, extent, relative, volume, whole, with_axis
from hocket.graph.regions.rule import Context, UnsupportedError


def cut(at: Context, value: str, held: Box, wanted: Box) -> str:
    """Cut a box out of a tensor that holds a larger one; nothing if they are equal."""
    if held == wanted:
        return value
    inside = relative(wanted, held)
    axes = [axis for axis, lengths in enumerate(zip(held, wanted, strict=True)) if lengths[0] != lengths[1]]
    starts, ends = (np.array([inside[axis][side] for axis in axes], np.int64) for side in (0, 1))
    return at.emit("Slice", value, at.constant(starts), at.constant(ends), at.constant(np.array(axes, np.int64)))


def join(at: Context, values: Sequence[str], axis: int) -> str:
    """Put tensors one behind the other; nothing for one."""
    return values[0] if len(values) == 1 else at.emit("Concat", *values, attributes={"axis": axis})


def reshape(at: Context, value: str, shape: Sequence[int]) -> str:
    """Give a tensor another shape."""
    return at.emit("Reshape", value, at.constant(np.array(shape, np.int64)))


def fill(at: Context, value: str, box: Box) -> str:
    """Repeat a tensor over the extent of a box."""
    return at.emit("Expand", value, at.constant(np.array(extent(box), np.int64)))


def copied(at: Context) -> list[str]:
    """All inputs whole."""
    op = at.op
    return [at.get(index, whole(shape)) if op.has(index) else "" for index, shape in enumerate(op.shapes)]


def computed_whole(at: Context, box: Box) -> str:
    """All inputs whole, computed as it is, then cut: right for any operator, and no use for splitting it."""
    op = at.op
    if any(isinstance(value, onnx.GraphProto) for value in op.attributes.values()):
        raise UnsupportedError(
            f"operators with bodies cannot be in a split block, and {op.name!r} has one; leave it out"
        )
    shape = op.output_shapes[at.output]
    value = at.emit(
        op.kind,
        *copied(at),
        attributes=op.attributes,
        flops=sum(volume(whole(lengths)) for lengths in op.output_shapes),
        outputs=len(op.outputs),
        pick=at.output,
    )
    return cut(at, value, whole(shape), box)


def only_output(at: Context, *allowed: int) -> None:
    """Refuse outputs other than the first, or than those allowed."""
    if at.output not in (allowed or (0,)):
        raise UnsupportedError(
            f"output {at.output} of {at.op.kind} has no rule, and {at.op.name!r} is asked for it; keep it whole"
        )


def by_units(at: Context, box: Box, axis: int, unit: int, piece: Callable[[Box], str]) -> str:
    """Take apart an interval that begins or ends inside a unit (a group, a head), so that no unit is computed in vain.

    Each piece lies inside one unit or covers whole ones.
    """
    parts = [piece(with_axis(box, axis, interval)) for interval in unit_pieces(box[axis], unit)]
    return join(at, parts, axis)


def unit_pieces(interval: Interval, unit: int) -> Iterator[Interval]:
    """The beginning inside a unit, the whole units, the end inside one.

    >>> list(unit_pieces((3, 14), 4))
    [(3, 4), (4, 12), (12, 14)]
    >>> list(unit_pieces((5, 7), 4))
    [(5, 7)]
    """
    lo, hi = interval
    first, last = -(-lo // unit) * unit, hi // unit * unit
    if first > last or (first == lo and last == hi):
        yield interval
        return
    yield from ((a, b) for a, b in ((lo, first), (first, last), (last, hi)) if a < b)


def broadcast(box: Box, shape: Sequence[int]) -> Box:
    """The box of an input that is broadcast to the output: right-aligned, [0, 1) where it has length 1.

    >>> broadcast(((0, 2), (3, 5), (1, 4)), (1, 8))
    ((0, 1), (1, 4))
    """
    tail = box[len(box) - len(shape) :]
    return tuple((0, 1) if length == 1 else interval for interval, length in zip(tail, shape, strict=True))
