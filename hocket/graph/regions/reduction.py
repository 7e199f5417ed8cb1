"""Reductions, and other operators that need the whole of an axis."""

from math import prod

import numpy as np

from hocket.graph.regions.box import Box, Interval, volume, with_axis
from hocket.graph.regions.rule import Combine, Context, Contraction, OperatorView, UnsupportedError
from hocket.graph.regions.steps import cut

COMBINES: dict[str, tuple[Combine, str, str]] = {
    "ReduceSum": ("sum", "ReduceSum", ""),
    "ReduceMean": ("sum", "ReduceSum", ""),
    "ReduceL1": ("sum", "ReduceL1", ""),
    "ReduceSumSquare": ("sum", "ReduceSumSquare", ""),
    "ReduceL2": ("sum", "ReduceSumSquare", "Sqrt"),
    "ReduceLogSum": ("sum", "ReduceSum", "Log"),
    "ReduceMax": ("max", "ReduceMax", ""),
    "ReduceMin": ("min", "ReduceMin", ""),
    "ReduceProd": ("prod", "ReduceProd", ""),
    "ReduceLogSumExp": ("logsumexp", "ReduceLogSumExp", ""),
}
"""Kind -> how partial results combine, the kind that makes them, what follows once they are together."""


def reduced_axes(op: OperatorView) -> tuple[int, ...]:
    """The axes that an operator reduces, counted from the front."""
    rank = len(op.shapes[0])
    axes = op.integers(1, "axes")
    if not axes:
        return () if op.attributes.get("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted(axis % rank for axis in axes))


def reduction(at: Context, box: Box) -> str:
    """The reduced axes whole, the same interval on the others."""
    op = at.op
    axes, kept = reduced_axes(op), bool(op.attributes.get("keepdims", 1))
    others = iter(box if not kept else [side for axis, side in enumerate(box) if axis not in axes])
    needed: list[Interval] = [
        at.span(f"axis {axis}", length) if axis in axes else next(others) for axis, length in enumerate(op.shapes[0])
    ]
    read = tuple(needed)
    x = at.get(0, read)
    kind = COMBINES[op.kind][1] if at.partial else op.kind
    value = _emit_reduction(at, kind, x, axes, volume(read))
    if not at.partial or op.kind != "ReduceMean":
        return value
    count = prod(op.shapes[0][axis] for axis in axes)
    return at.emit("Mul", value, at.constant(np.array(1 / count, op.output_dtypes[0])), flops=volume(box))


def _emit_reduction(at: Context, kind: str, x: str, axes: tuple[int, ...], flops: int) -> str:
    op = at.op
    attributes = {name: value for name, value in op.attributes.items() if name != "axes"}
    if kind == "ReduceSum" or op.opset >= 18:
        return at.emit(kind, x, at.constant(np.array(axes, np.int64)), attributes=attributes, flops=flops)
    attributes.pop("noop_with_empty_axes", None)
    if axes:
        attributes["axes"] = list(axes)
    return at.emit(kind, x, attributes=attributes, flops=flops)


def reduction_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """Any reduced axis, by its number (the longest is not guessed); sums, maxima, products, log-sum-exp."""
    combine, _, finish = COMBINES[op.kind]
    return tuple(
        Contraction(axis=f"axis {axis}", size=op.shapes[0][axis], combine=combine, finish=finish)
        for axis in reduced_axes(op)
    )


def arg_reduction(at: Context, box: Box) -> str:
    """The searched axis whole, the same interval on the others."""
    op = at.op
    axis = op.axis(0, len(op.shapes[0]))
    all_of_it = (0, op.shapes[0][axis])
    read = (
        with_axis(box, axis, all_of_it) if op.attributes.get("keepdims", 1) else (*box[:axis], all_of_it, *box[axis:])
    )
    return at.emit(op.kind, at.get(0, read), attributes=op.attributes, flops=volume(read))


PER_ELEMENT = {"Softmax": 5, "LogSoftmax": 6, "CumSum": 1, "Hardmax": 1, "LpNormalization": 1}


def along_axis(at: Context, box: Box) -> str:
    """One axis whole, computed whole and cut; the same interval on the others."""
    op = at.op
    rank = len(op.shapes[0])
    read = box
    for axis in _axes(op, rank):
        read = with_axis(read, axis, (0, op.shapes[0][axis]))
    inputs = [at.get(0, read)]
    if op.kind == "CumSum":
        inputs.append(at.get(1, tuple((0, length) for length in op.shapes[1])))
    value = at.emit(op.kind, *inputs, attributes=op.attributes, flops=volume(read) * PER_ELEMENT[op.kind])
    return cut(at, value, read, box)


def _axes(op: OperatorView, rank: int) -> range | tuple[int, ...]:
    if op.kind == "CumSum":
        numbers = op.integers(1, "axis")
        if not numbers:
            raise UnsupportedError(f"CumSum needs its axis, and {op.name!r} has none; fold it first")
        return (numbers[0] % rank,)
    if op.kind == "LpNormalization" or op.opset >= 13:
        return (op.axis(-1, rank),)
    return range(op.axis(1, rank), rank)  # older softmaxes flatten: all axes from this one on


def top_k(at: Context, box: Box) -> str:
    """The searched axis whole, computed whole and cut; the same interval on the others."""
    op = at.op
    axis = op.axis(-1, len(op.shapes[0]))
    read = with_axis(box, axis, (0, op.shapes[0][axis]))
    value = at.emit(
        op.kind,
        at.get(0, read),
        at.get(1, ((0, 1),)),
        attributes=op.attributes,
        flops=volume(read),
        outputs=2,
        pick=at.output,
    )
    return cut(at, value, with_axis(box, axis, (0, op.output_shapes[at.output][axis])), box)
