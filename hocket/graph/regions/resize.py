"""Resizing: nearest and linear.

A part of a resized map is written as look-ups along each resized axis, with indices and weights computed here: that is
exact for every coordinate rule and every cut point, where the operator itself would have to begin at a multiple of
its scale.
"""

from typing import NamedTuple

import numpy as np

from hocket.graph.regions.box import Box, volume, whole
from hocket.graph.regions.rule import Context, OperatorView, UnsupportedError


class Taps(NamedTuple):
    """The two inputs that each element of the result lies between (the same twice for nearest)."""

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    """Of the higher one."""


def resize(at: Context, box: Box) -> str:
    """The inputs that the elements of the box lie between, on each resized axis; the same interval on the others."""
    op = at.op
    shape, made = op.shapes[0], op.output_shapes[0]
    mode = op.attributes.get("mode", "nearest")
    _check(op, mode)
    if box == whole(made):
        inputs = [at.get(index, whole(known)) if op.has(index) else "" for index, known in enumerate(op.shapes)]
        return at.emit(op.kind, *inputs, attributes=op.attributes, flops=volume(box))
    scales = _scales(op)
    taps = {
        axis: _taps(op, mode, np.arange(*box[axis]), scales[axis], (shape[axis], made[axis]))
        for axis in range(len(shape))
        if shape[axis] != made[axis] or scales[axis] != 1
    }
    read = tuple(
        (int(taps[axis].low.min()), int(taps[axis].high.max()) + 1) if axis in taps else box[axis]
        for axis in range(len(shape))
    )
    value, size = at.get(0, read), volume(read)
    for axis, (low, high, weight) in taps.items():
        size = size // (read[axis][1] - read[axis][0]) * len(low)
        value = _along(at, value, axis, Taps(low - read[axis][0], high - read[axis][0], weight), size)
    return value


def _along(at: Context, value: str, axis: int, taps: Taps, size: int) -> str:
    """Interpolate along one axis."""
    op = at.op
    attributes = {"axis": axis}
    low = at.emit("Gather", value, at.constant(taps.low), attributes=attributes, flops=0 if taps.weight.any() else size)
    if not taps.weight.any():
        return low
    high = at.emit("Gather", value, at.constant(taps.high), attributes=attributes)
    lengths = [-1 if place == axis else 1 for place in range(len(op.shapes[0]))]
    weight = taps.weight.reshape(lengths).astype(op.output_dtypes[0])
    low = at.emit("Mul", low, at.constant((1 - weight).astype(weight.dtype)), flops=size)
    high = at.emit("Mul", high, at.constant(weight), flops=size)
    return at.emit("Add", low, high, flops=size)


def _check(op: OperatorView, mode: str) -> None:
    known = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
    rule = op.attributes.get("coordinate_transformation_mode", "half_pixel")
    if mode not in ("nearest", "linear") or rule not in known or op.attributes.get("antialias", 0):
        raise UnsupportedError(f"Resize by {mode} with {rule} has no rule, and {op.name!r} is one; keep it whole")
    if "axes" in op.attributes or op.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedError(f"Resize of some axes has no rule, and {op.name!r} is one; keep it whole")


def _scales(op: OperatorView) -> list[float]:
    """The factor on every axis."""
    if op.has(2) and op.shapes[2] != (0,):
        if 2 not in op.constants:
            raise UnsupportedError(f"Resize needs constant scales, and those of {op.name!r} are computed; fold them")
        return [float(scale) for scale in op.constants[2]]
    return [after / before for before, after in zip(op.shapes[0], op.output_shapes[0], strict=True)]


def _taps(op: OperatorView, mode: str, places: np.ndarray, scale: float, lengths: tuple[int, int]) -> Taps:
    """Where in the input the elements of the result lie, by the formulas of the standard."""
    before, after = lengths
    rule = op.attributes.get("coordinate_transformation_mode", "half_pixel")
    at = places.astype(np.float32)
    scale32 = np.float32(scale)
    if rule == "asymmetric":
        x = at / scale32
    elif rule == "align_corners":
        x = at * np.float32(before - 1) / np.float32(after - 1) if after > 1 else np.zeros_like(at)
    elif rule == "pytorch_half_pixel" and after == 1:
        x = np.zeros_like(at)
    else:
        x = (at + np.float32(0.5)) / scale32 - np.float32(0.5)
    if mode == "linear":
        x = np.clip(x, 0, before - 1)
        low = np.floor(x).astype(np.int64)
        return Taps(low, np.minimum(low + 1, before - 1), x - low)
    low = np.clip(_rounded(x, op.attributes.get("nearest_mode", "round_prefer_floor")), 0, before - 1).astype(np.int64)
    return Taps(low, low, np.zeros_like(at))


def _rounded(x: np.ndarray, mode: str) -> np.ndarray:
    if mode == "floor":
        return np.asarray(np.floor(x))
    if mode == "ceil":
        return np.asarray(np.ceil(x))
    if mode == "round_prefer_ceil":
        return np.asarray(np.floor(x + np.float32(0.5)))
    return np.asarray(np.ceil(x - np.float32(0.5)))
