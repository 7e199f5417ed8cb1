"""Random convolutions and pools."""

from typing import Any

import numpy as np
from region_draw import Draw, case, noise, number, one_of
from region_harness import Case


def _geometry(draw: Draw, kernel: tuple[int, ...], size: tuple[int, ...]) -> dict[str, Any]:
    """Strides, dilations and pads (or auto_pad) that fit."""
    rank = len(kernel)
    dilations = [number(draw, 1, 2) if k > 1 else 1 for k in kernel]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    attributes: dict[str, Any] = {"strides": [number(draw, 1, 3) for _ in kernel], "kernel_shape": list(kernel)}
    auto = one_of(draw, "NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    if auto != "NOTSET":
        fits = all(r <= s for r, s in zip(reach, size, strict=True))
        return attributes | {"auto_pad": auto if fits else "SAME_UPPER"}
    attributes["dilations"] = dilations
    pads = [number(draw, 0, 3) for _ in range(2 * rank)]
    for axis in range(rank):
        while size[axis] + pads[axis] + pads[axis + rank] < reach[axis]:
            pads[axis + rank] += 1
    return attributes | {"pads": pads}


def convolution(draw: Draw) -> Case:
    rank, groups = number(draw, 1, 2), one_of(draw, 1, 1, 2, 3)
    read, made = number(draw, 1, 3), number(draw, 1, 3)
    size = tuple(number(draw, 3, 9) for _ in range(rank))
    kernel = tuple(number(draw, 1, 4) for _ in range(rank))
    weights = {"w": noise(draw, (made * groups, read, *kernel))}
    if one_of(draw, True, True, False):
        weights["b"] = noise(draw, (made * groups,)) + np.float32(1)
    attributes = _geometry(draw, kernel, size) | {"group": groups}
    return case("Conv", {"x": noise(draw, (2, read * groups, *size))}, weights, attributes=attributes)


def convolution_integer(draw: Draw) -> Case:
    size, kernel = (number(draw, 3, 8), 5), (number(draw, 1, 3), 2)
    return case(
        "ConvInteger",
        {"x": noise(draw, (1, 3, *size), "uint8")},
        {"w": noise(draw, (4, 3, *kernel), "uint8"), "xz": np.array(7, np.uint8)},
        attributes={"pads": [1, 0, 0, 1], "kernel_shape": list(kernel)},
    )


def convolution_quantised(draw: Draw) -> Case:
    groups = one_of(draw, 1, 2)
    size, kernel = (number(draw, 3, 8), 5), (number(draw, 1, 3), 3)
    weights = {
        "xs": np.array(0.05, np.float32),
        "xz": np.array(9, np.uint8),
        "w": noise(draw, (4, 4 // groups, *kernel), "int8"),
        "ws": np.array([0.01, 0.02, 0.03, 0.04], np.float32),
        "wz": np.zeros(4, np.int8),
        "ys": np.array(3.0, np.float32),
        "yz": np.array(3, np.uint8),
        "b": noise(draw, (4,), "int32"),
    }
    attributes = {"pads": [1, 1, 0, 1], "kernel_shape": list(kernel), "group": groups}
    return case("QLinearConv", {"x": noise(draw, (1, 4, *size), "uint8")}, weights, attributes=attributes)


def transposed(draw: Draw) -> Case:
    rank, groups = number(draw, 1, 2), one_of(draw, 1, 1, 2)
    read, made = number(draw, 1, 3), number(draw, 1, 3)
    size = tuple(number(draw, 1, 6) for _ in range(rank))
    kernel = tuple(number(draw, 1, 4) for _ in range(rank))
    strides = [number(draw, 1, 4) for _ in kernel]
    dilations = [number(draw, 1, 2) for _ in kernel]
    attributes: dict[str, Any] = {"strides": strides, "dilations": dilations, "group": groups}
    full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(size, strides, kernel, dilations, strict=True)]
    if one_of(draw, True, True, False):
        attributes["pads"] = [number(draw, 0, max(0, min(2, (f - 1) // 2))) for f in full] * 2
        attributes["output_padding"] = [number(draw, 0, s - 1) for s in strides]
    else:
        attributes["auto_pad"] = one_of(draw, "SAME_UPPER", "SAME_LOWER", "VALID")
    weights = {"w": noise(draw, (read * groups, made, *kernel))}
    if one_of(draw, True, False):
        weights["b"] = noise(draw, (made * groups,)) + np.float32(1)
    return case("ConvTranspose", {"x": noise(draw, (2, read * groups, *size))}, weights, attributes=attributes)


def pool(draw: Draw) -> Case:
    kind = one_of(draw, "MaxPool", "MaxPool", "AveragePool", "LpPool")
    rank = number(draw, 1, 2)
    size = tuple(number(draw, 4, 9) for _ in range(rank))
    kernel = tuple(number(draw, 1, 4) for _ in range(rank))
    attributes = _geometry(draw, kernel, size)
    if "pads" in attributes:
        attributes["pads"] = [number(draw, 0, k - 1) for k in kernel * 2]
        attributes["dilations"] = [
            1 if 1 + (k - 1) * 2 > n else number(draw, 1, 2) for k, n in zip(kernel, size, strict=True)
        ]
        if kind != "LpPool":
            attributes["ceil_mode"] = number(draw, 0, 1)
    if kind == "AveragePool":
        attributes["count_include_pad"] = number(draw, 0, 1)
    if kind == "LpPool":
        attributes.pop("dilations", None)
    return case(kind, {"x": noise(draw, (2, 3, *size)) + np.float32(0.1)}, attributes=attributes)


def global_pool(draw: Draw) -> Case:
    kind = one_of(draw, "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
    return case(kind, {"x": noise(draw, (2, 3, number(draw, 1, 5), number(draw, 1, 5)))})
