"""Operators that move elements and compute nothing."""

import numpy as np

from hocket.graph.regions.box import Box, Interval, is_empty, whole, with_axis
from hocket.graph.regions.rule import Context, OperatorView, UnsupportedError
from hocket.graph.regions.steps import broadcast, cut, fill, join


def transpose(at: Context, box: Box) -> str:
    """The axes permuted."""
    op = at.op
    rank = len(box)
    order = op.attributes.get("perm") or list(range(rank))[::-1]
    read: list[Interval] = [(0, 0)] * rank
    for place, axis in enumerate(order):
        read[axis] = box[place]
    return at.emit("Transpose", at.get(0, tuple(read)), attributes={"perm": list(order)})


def concat(at: Context, box: Box) -> str:
    """The overlap with each input; inputs that it does not touch are left out."""
    op = at.op
    axis = op.axis(0, len(box))
    parts, start = [], 0
    for index, shape in enumerate(op.shapes):
        lo, hi = max(box[axis][0] - start, 0), min(box[axis][1] - start, shape[axis])
        if lo < hi:
            parts.append(at.get(index, with_axis(box, axis, (lo, hi))))
        start += shape[axis]
    return join(at, parts, axis)


def split(at: Context, box: Box) -> str:
    """The box moved by the parts before; nothing is computed."""
    op = at.op
    axis = op.axis(0, len(box))
    if any(not name for name in op.outputs[: at.output]):
        raise UnsupportedError(f"the parts of {op.name!r} before output {at.output} have no known size; keep it whole")
    start = sum(shape[axis] for shape in op.output_shapes[: at.output])
    lo, hi = box[axis]
    return at.get(0, with_axis(box, axis, (lo + start, hi + start)))


def sliced(at: Context, box: Box) -> str:
    """start + step * interval; only the step remains."""
    op = at.op
    read = box
    steps: dict[int, int] = {}
    for axis, (start, step) in _slices(op).items():
        lo, hi = box[axis]
        ends = (start + lo * step, start + (hi - 1) * step)
        read = with_axis(read, axis, (min(ends), max(ends) + 1))
        if step != 1 and hi - lo > 1:
            steps[axis] = step
    value = at.get(0, read)
    if not steps:
        return value
    lengths = {axis: read[axis][1] - read[axis][0] for axis in steps}
    starts = [0 if step > 0 else lengths[axis] - 1 for axis, step in steps.items()]
    ends_ = [lengths[axis] if step > 0 else -lengths[axis] - 1 for axis, step in steps.items()]
    numbers = (starts, ends_, list(steps), list(steps.values()))
    return at.emit("Slice", value, *(at.constant(np.array(each, np.int64)) for each in numbers))


def _slices(op: OperatorView) -> dict[int, tuple[int, int]]:
    """Axis -> the first element taken and the step."""
    shape = op.shapes[0]
    starts = op.integers(1, "starts") or ()
    axes = op.integers(3, "axes") or tuple(range(len(starts)))
    steps = op.integers(4, "steps") or (1,) * len(starts)
    found = {}
    for start, given, step in zip(starts, axes, steps, strict=True):
        axis = given % len(shape)
        length = shape[axis]
        first = start + length if start < 0 else start
        found[axis] = (min(max(first, 0), length if step > 0 else length - 1), step)
    return found


def pad(at: Context, box: Box) -> str:
    """The box moved by the padding before and clipped; padding only at the true border."""
    op = at.op
    shape, mode = op.shapes[0], op.attributes.get("mode", "constant")
    before, after = _pads(op)
    moved = tuple((lo - before[axis], hi - before[axis]) for axis, (lo, hi) in enumerate(box))
    read = tuple((max(lo, 0), min(hi, shape[axis])) for axis, (lo, hi) in enumerate(moved))
    if mode == "constant":
        if is_empty(read):
            return fill(at, _padding(at), box)
        left = [max(-lo, 0) for lo, _ in moved], [max(hi - shape[axis], 0) for axis, (_, hi) in enumerate(moved)]
        return _emit_pad(at, at.get(0, read), *left)
    # Other modes repeat elements from inside: where the box touches their padding the axis is padded whole.
    touched = [axis for axis, (lo, hi) in enumerate(moved) if lo < 0 or hi > shape[axis]]
    for axis in touched:
        read = with_axis(read, axis, (0, shape[axis]))
    pads = [[side[axis] if axis in touched else 0 for axis in range(len(shape))] for side in (before, after)]
    value = _emit_pad(at, at.get(0, read), *pads)
    held = tuple(
        (-pads[0][axis], shape[axis] + pads[1][axis]) if axis in touched else moved[axis] for axis in range(len(shape))
    )
    return cut(at, value, held, moved)


def _pads(op: OperatorView) -> tuple[list[int], list[int]]:
    """Padding before and after on every axis."""
    rank = len(op.shapes[0])
    numbers = op.integers(1, "pads") or (0,) * 2 * rank
    axes = op.integers(3, "axes") or tuple(range(len(numbers) // 2))
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis % rank], after[axis % rank] = numbers[place], numbers[place + len(axes)]
    return before, after


def _padding(at: Context) -> str:
    op = at.op
    if op.has(2):
        return at.get(2, whole(op.shapes[2]))
    return at.constant(np.array(op.attributes.get("value", 0), op.output_dtypes[0]))


def _emit_pad(at: Context, value: str, before: list[int], after: list[int]) -> str:
    op = at.op
    if not any(before) and not any(after):
        return value
    inputs = [value, at.constant(np.array([*before, *after], np.int64))]
    if op.has(2):
        inputs.append(at.get(2, whole(op.shapes[2])))
    return at.emit("Pad", *inputs, attributes={"mode": op.attributes.get("mode", "constant")})


def expand(at: Context, box: Box) -> str:
    """[0, 1) where the input has length 1, else the same interval."""
    return fill(at, at.get(0, broadcast(box, at.op.shapes[0])), box)


def tile(at: Context, box: Box) -> str:
    """The same interval inside one copy, or the axis whole where the box covers more than one."""
    op = at.op
    shape = op.shapes[0]
    read: list[Interval] = []
    repeats, held = [], []
    for (lo, hi), length in zip(box, shape, strict=True):
        copy = lo // length
        if hi <= (copy + 1) * length:
            read.append((lo - copy * length, hi - copy * length))
            repeats.append(1)
            held.append((lo, hi))
        else:
            last = -(-hi // length)
            read.append((0, length))
            repeats.append(last - copy)
            held.append((copy * length, last * length))
    value = at.get(0, tuple(read))
    if any(repeat != 1 for repeat in repeats):
        value = at.emit("Tile", value, at.constant(np.array(repeats, np.int64)))
    return cut(at, value, tuple(held), box)


def triangle(at: Context, box: Box) -> str:
    """The same box; the diagonal moved."""
    op = at.op
    numbers = op.integers(1, "k") or (0,)
    diagonal = numbers[0] + box[-2][0] - box[-1][0]
    value = at.get(0, box)
    return at.emit("Trilu", value, at.constant(np.array(diagonal, np.int64)), attributes=op.attributes)
