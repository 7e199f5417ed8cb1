"""Look-ups by index."""

import numpy as np

from hocket.graph.regions.box import Box, extent, whole, with_axis
from hocket.graph.regions.rule import Context, Contraction, OperatorView
from hocket.graph.regions.steps import cut


def gather(at: Context, box: Box) -> str:
    """Constant indices: the range that they span, indices counted from it; computed ones: the axis whole."""
    op = at.op
    axis = op.axis(0, len(op.shapes[0]))
    rank = len(op.shapes[1])
    before, places, after = box[:axis], box[axis : axis + rank], box[axis + rank :]
    attributes = {"axis": axis}
    if 1 not in op.constants:
        lo, hi = at.span("rows", op.shapes[0][axis])
        data = at.get(0, (*before, (lo, hi), *after))
        indices = at.get(1, places)
        if at.partial:
            return _masked(at, data, indices, (lo, hi), box)
        return at.emit("Gather", data, indices, attributes=attributes)
    length = op.shapes[0][axis]
    numbers = op.constants[1][tuple(slice(lo, hi) for lo, hi in places)].astype(np.int64) % length
    first, last = int(numbers.min()), int(numbers.max()) + 1
    data = at.get(0, (*before, (first, last), *after))
    if last - first == 1 and rank == 0:
        return at.emit("Squeeze", data, at.constant(np.array([axis], np.int64)))
    if rank == 1 and np.array_equal(numbers, np.arange(first, last)):
        return data
    return at.emit("Gather", data, at.constant(numbers - first), attributes=attributes)


def _masked(at: Context, data: str, indices: str, rows: tuple[int, int], box: Box) -> str:
    """Rows of a part of the table, zeros for indices that lie in other parts."""
    op = at.op
    axis, length = op.axis(0, len(op.shapes[0])), op.shapes[0][op.axis(0, len(op.shapes[0]))]
    kind = op.dtypes[1]
    rank = len(op.shapes[1])
    counted = at.emit("Add", indices, at.constant(np.array(length, kind)))  # negative indices count from the end
    counted = at.emit("Mod", counted, at.constant(np.array(length, kind)))
    moved = at.emit("Sub", counted, at.constant(np.array(rows[0], kind)))
    most = at.constant(np.array(rows[1] - rows[0] - 1, kind))
    inside = at.emit("Max", at.emit("Min", moved, most), at.constant(np.array(0, kind)))
    value = at.emit("Gather", data, inside, attributes={"axis": axis})
    ours = at.emit("Equal", inside, moved)
    lengths = [1] * axis + list(extent(box[axis : axis + rank])) + [1] * (len(box) - axis - rank)
    ours = at.emit("Reshape", ours, at.constant(np.array(lengths, np.int64)))
    return at.emit("Where", ours, value, at.constant(np.array(0, op.output_dtypes[0])))


def gather_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """Rows of a table that is looked up by computed indices; zeros for the rows of others are added."""
    if 1 in op.constants:
        return ()
    return (Contraction(axis="rows", size=op.shapes[0][op.axis(0, len(op.shapes[0]))]),)


def gather_elements(at: Context, box: Box) -> str:
    """The searched axis whole, the same interval on the others; the same box of the indices."""
    op = at.op
    axis = op.axis(0, len(op.shapes[0]))
    data = at.get(0, with_axis(box, axis, (0, op.shapes[0][axis])))
    return at.emit("GatherElements", data, at.get(1, box), attributes={"axis": axis})


def one_hot(at: Context, box: Box) -> str:
    """The new axis whole, computed whole and cut; the same interval of the indices on the others."""
    op = at.op
    axis = op.axis(-1, len(box))
    read = (*box[:axis], *box[axis + 1 :])
    value = at.emit(
        "OneHot",
        at.get(0, read),
        at.get(1, whole(op.shapes[1])),
        at.get(2, whole(op.shapes[2])),
        attributes=op.attributes,
    )
    return cut(at, value, with_axis(box, axis, (0, op.output_shapes[0][axis])), box)
