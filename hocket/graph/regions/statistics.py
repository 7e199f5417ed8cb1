"""Two operators of our own that stand between a normalisation and its statistics.

They exist only inside blocks (`decompose` makes them): their rules write standard operators.
"""

import numpy as np

from hocket.graph.regions.box import Box, volume, with_axis
from hocket.graph.regions.rule import Context, Contraction, OperatorView
from hocket.graph.regions.steps import cut

MOMENTS, NORMALISE = "hocket.Moments", "hocket.Normalise"
LAST = np.array([-1], np.int64)


def moments(at: Context, box: Box) -> str:
    """Mean and variance over some axes, one behind the other in a new last axis; those axes whole."""
    op = at.op
    axes = tuple(op.attributes["axes"])
    read = box[:-1]
    for axis in axes:
        read = with_axis(read, axis, at.span(f"axis {axis}", op.shapes[0][axis]))
    x = at.get(0, read)
    mean = _mean(at, x, axes, volume(read))
    centred = at.emit("Sub", x, mean, flops=volume(read))
    variance = _mean(at, at.emit("Mul", centred, centred, flops=volume(read)), axes, volume(read))
    both = [at.emit("Unsqueeze", value, at.constant(LAST)) for value in (mean, variance)]
    value = at.emit("Concat", *both, attributes={"axis": -1})
    return cut(at, value, (*box[:-1], (0, 2)), box)


def _mean(at: Context, value: str, axes: tuple[int, ...], flops: int) -> str:
    if at.op.opset >= 18:
        return at.emit("ReduceMean", value, at.constant(np.array(axes, np.int64)), flops=flops)
    return at.emit("ReduceMean", value, attributes={"axes": list(axes)}, flops=flops)


def moments_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """Any of those axes: means and variances weighted by their share."""
    return tuple(
        Contraction(axis=f"axis {axis}", size=op.shapes[0][axis], combine="moments") for axis in op.attributes["axes"]
    )


def normalise(at: Context, box: Box) -> str:
    """The same box of the data; the mean and variance that belong to it."""
    op = at.op
    axes = op.attributes["axes"]
    own = tuple((0, 1) if axis in axes else interval for axis, interval in enumerate(box))
    mean, variance = (at.emit("Squeeze", at.get(1, (*own, (place, place + 1))), at.constant(LAST)) for place in (0, 1))
    epsilon = at.constant(np.array(op.attributes["epsilon"], op.output_dtypes[0]))
    spread = at.emit("Sqrt", at.emit("Add", variance, epsilon))
    return at.emit("Div", at.emit("Sub", at.get(0, box), mean, flops=volume(box)), spread, flops=volume(box))
