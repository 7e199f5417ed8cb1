"""Pools over windows and over everything."""

from math import prod

import numpy as np

from hocket.graph.regions.box import Box, volume
from hocket.graph.regions.rule import Context, Contraction, OperatorView, UnsupportedError
from hocket.graph.regions.steps import only_output
from hocket.graph.regions.windows import Source, Window, source, windows


def pool(at: Context, box: Box) -> str:
    """Windows clipped at the true border, what hangs over it written as padding; the same channels."""
    op = at.op
    only_output(at)
    size, kernel = op.shapes[0][2:], tuple(op.attributes["kernel_shape"])
    found = windows(op, size, kernel, op.output_shapes[0][2:])
    for window, length, made in zip(found, size, op.output_shapes[0][2:], strict=True):
        if "SAME" in op.attributes.get("auto_pad", "") and (made - 1) * window.stride + window.reach < length:
            raise UnsupportedError(f"auto_pad of {op.name!r} would be negative, which runtimes read differently")
    parts = [source(*each) for each in zip(found, box[2:], size, strict=True)]
    for window, part, length in zip(found, parts, size, strict=True):
        _check(op, window, part, length)
    x = at.get(0, (*box[:2], *(part.interval for part in parts)))
    attributes = {name: value for name, value in op.attributes.items() if name not in ("auto_pad", "ceil_mode")}
    attributes["pads"] = [part.before for part in parts] + [part.after for part in parts]
    return at.emit(op.kind, x, attributes=attributes, flops=volume(box) * prod(kernel))


def _check(op: OperatorView, window: Window, part: Source, length: int) -> None:
    """Refuse what no padding can say."""
    if part.interval[0] >= part.interval[1] or max(part.before, part.after) >= window.kernel:
        raise UnsupportedError(f"a window of {op.name!r} lies in the padding alone; take more rows")
    counted = op.kind == "LpPool" or op.attributes.get("count_include_pad", 0)
    if op.kind != "MaxPool" and counted and part.interval[1] == length and part.after > window.end:
        raise UnsupportedError(
            f"the last window of {op.name!r} hangs over the padding (ceil_mode), and count_include_pad counts"
            " what it hangs over differently from padding; compute it whole"
        )


def global_pool(at: Context, box: Box) -> str:
    """All of space; the same channels."""
    op = at.op
    space = [at.span(f"axis {axis}", length) if axis > 1 else (0, 0) for axis, length in enumerate(op.shapes[0])][2:]
    x = at.get(0, (*box[:2], *space))
    flops = volume((*box[:2], *space))
    full, part = prod(op.shapes[0][2:]), prod(hi - lo for lo, hi in space)
    value = at.emit(op.kind, x, attributes=op.attributes, flops=flops)
    if op.kind != "GlobalAveragePool" or part == full:
        return value
    share = at.constant(np.array(part / full, op.output_dtypes[0]))
    return at.emit("Mul", value, share, flops=volume(box))


def global_pool_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """Any spatial axis; averages weighted by their share are added, maxima are compared."""
    if op.kind == "GlobalLpPool":
        return ()
    combine = "max" if op.kind == "GlobalMaxPool" else "sum"
    return tuple(
        Contraction(axis=f"axis {axis}", size=length, combine=combine)  # type: ignore[arg-type]
        for axis, length in enumerate(op.shapes[0])
        if axis > 1
    )
