"""Convolutions, forwards and transposed, plain and quantised."""

from math import prod
from typing import NamedTuple

import numpy as np

from hocket.graph.regions.box import Box, Interval, volume, whole
from hocket.graph.regions.rule import Context, Contraction, OperatorView, UnsupportedError
from hocket.graph.regions.steps import by_units, fill, reshape
from hocket.graph.regions.windows import Source, Window, source, windows


class Layout(NamedTuple):
    """Where a kind of convolution has its inputs."""

    x: int
    weight: int
    by_channel: tuple[int, ...]
    """Inputs with one number for each output channel (or one for all)."""
    bias: int | None = None


LAYOUTS = {
    "Conv": Layout(x=0, weight=1, by_channel=(2,), bias=2),
    "ConvInteger": Layout(x=0, weight=1, by_channel=(3,)),
    "QLinearConv": Layout(x=0, weight=3, by_channel=(4, 5, 8), bias=8),
}


def convolution(at: Context, box: Box) -> str:
    """Windows clipped at the true border; the touched groups of channels; rows of the weight and of the bias."""
    made = at.op.shapes[LAYOUTS[at.op.kind].weight][0] // _groups(at.op)
    return by_units(at, box, 1, made, lambda piece: _one_run(at, piece, made))


def _groups(op: OperatorView) -> int:
    return int(op.attributes.get("group", 1))


def _one_run(at: Context, box: Box, made: int) -> str:
    """A box whose channels lie inside one group of `made` channels, or are whole groups."""
    op, layout = at.op, LAYOUTS[at.op.kind]
    shape, weight = op.shapes[layout.x], op.shapes[layout.weight]
    first, last = box[1][0] // made, -(-box[1][1] // made)
    read = (first * weight[1], last * weight[1])
    lo, hi = at.span("channels", weight[1]) if _groups(op) == 1 else (0, weight[1])
    if _groups(op) == 1:
        read = (lo, hi)
    parts = [
        source(window, wanted, length)
        for window, wanted, length in zip(
            windows(op, shape[2:], weight[2:], op.output_shapes[0][2:]), box[2:], shape[2:], strict=True
        )
    ]
    if any(part.interval[0] >= part.interval[1] for part in parts):
        return _padding_only(at, box)
    inputs = []
    for index, known in enumerate(op.shapes):
        if index == layout.x:
            inputs.append(at.get(index, (box[0], read, *(part.interval for part in parts))))
        elif index == layout.weight:
            inputs.append(at.get(index, (box[1], (lo, hi), *whole(weight[2:]))))
        elif index == layout.bias and not at.owner:
            inputs.append("")
        else:
            inputs.append(_parameter(at, index, known, box[1]))
    while not inputs[-1]:
        inputs.pop()
    macs = volume(box) * (hi - lo) * prod(weight[2:])
    return at.emit(op.kind, *inputs, attributes=_attributes(op, parts, last - first), macs=macs)


def _parameter(at: Context, index: int, shape: tuple[int, ...], channels: Interval) -> str:
    if not at.op.has(index):
        return ""
    by_channel = index in LAYOUTS[at.op.kind].by_channel and len(shape) == 1
    own = by_channel and shape[0] == at.op.output_shapes[0][1]
    return at.get(index, (channels,) if own else whole(shape))


def _attributes(op: OperatorView, parts: list[Source], groups: int) -> dict[str, object]:
    attributes = {name: value for name, value in op.attributes.items() if name != "auto_pad"}
    return attributes | {
        "group": groups,
        "pads": [part.before for part in parts] + [part.after for part in parts],
    }


def _padding_only(at: Context, box: Box) -> str:
    """Every window lies in the padding: what is left is the bias."""
    op, layout = at.op, LAYOUTS[at.op.kind]
    if op.kind == "QLinearConv":
        raise UnsupportedError(f"windows of {op.name!r} lie in the padding alone, at {box}; take more rows")
    if op.kind != "Conv" or not op.has(2) or not at.owner:
        return fill(at, at.constant(np.zeros(1, op.output_dtypes[0])), box)
    bias = _parameter(at, 2, op.shapes[2], box[1])
    lengths = (1, box[1][1] - box[1][0], *(1,) * len(op.shapes[layout.x][2:]))
    return fill(at, reshape(at, bias, lengths), box)


def convolution_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """Input channels, if there is one group; the partial results are added."""
    if _groups(op) != 1:
        return ()
    return (Contraction(axis="channels", size=op.shapes[LAYOUTS[op.kind].weight][1]),)


def transposed_convolution(at: Context, box: Box) -> str:
    """The inputs whose windows reach the box; whole input groups, columns of the weight and of the bias."""
    made = at.op.shapes[1][1]
    return by_units(at, box, 1, made, lambda piece: _one_transposed(at, piece, made))


def _one_transposed(at: Context, box: Box, made: int) -> str:
    op = at.op
    shape, weight = op.shapes[0], op.shapes[1]
    groups = _groups(op)
    first, last = box[1][0] // made, -(-box[1][1] // made)
    step = shape[1] // groups
    read = at.span("channels", shape[1]) if groups == 1 else (first * step, last * step)
    columns = box[1] if last - first == 1 else (0, made)
    if last - first == 1:
        columns = (box[1][0] - first * made, box[1][1] - first * made)
    parts = [
        _reached(window, wanted, length)
        for window, wanted, length in zip(_transposed_windows(op), box[2:], shape[2:], strict=True)
    ]
    x = at.get(0, (box[0], read, *(part[0] for part in parts)))
    w = at.get(1, (read, columns, *whole(weight[2:])))
    bias = [at.get(2, (box[1],))] if op.has(2) and at.owner else []
    kept = {name: value for name, value in op.attributes.items() if name not in ("auto_pad", "output_shape")}
    attributes = kept | {
        "group": last - first,
        "pads": [part[1] for part in parts] + [part[2] for part in parts],
        "output_padding": [part[3] for part in parts],
    }
    size = prod(hi - lo for lo, hi in (box[0], read, *(part[0] for part in parts)))
    macs = size * (columns[1] - columns[0]) * prod(weight[2:])
    return at.emit(op.kind, x, w, *bias, attributes=attributes, macs=macs)


def _transposed_windows(op: OperatorView) -> list[Window]:
    """Windows with the padding that the output shape implies."""
    size, kernel, result = op.shapes[0][2:], op.shapes[1][2:], op.output_shapes[0][2:]
    plain = windows(op, size, kernel, result)
    auto = op.attributes.get("auto_pad", "NOTSET")
    explicit = "output_shape" in op.attributes or auto in ("SAME_UPPER", "SAME_LOWER")
    extra = op.attributes.get("output_padding") or (0,) * len(size)
    found = []
    for axis, window in enumerate(plain):
        if explicit:
            total = max((size[axis] - 1) * window.stride + extra[axis] + window.reach - result[axis], 0)
            small, large = total // 2, total - total // 2
            begin, end = (small, large) if auto == "SAME_UPPER" else (large, small)
            found.append(window._replace(begin=begin, end=end))
        else:
            found.append(window)
    return found


def _reached(window: Window, wanted: Interval, length: int) -> tuple[Interval, int, int, int]:
    """Inputs whose windows reach an interval of the result; what they make too much before and after; too little."""
    lo, hi = wanted[0] + window.begin, wanted[1] + window.begin  # in the result before its padding is cut off
    first = min(max(-(-(lo - window.reach + 1) // window.stride), 0), lo // window.stride, length - 1)
    last = min((hi - 1) // window.stride, length - 1)
    start, stop = first * window.stride, last * window.stride + window.reach
    return (first, last + 1), lo - start, max(stop - hi, 0), max(hi - stop, 0)


def transposed_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """Input channels, if there is one group; the partial results are added."""
    return (Contraction(axis="channels", size=op.shapes[0][1]),) if _groups(op) == 1 else ()
