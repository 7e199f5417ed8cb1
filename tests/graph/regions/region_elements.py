"""Random element-wise operators, quantisers and reductions."""

from typing import Any

import numpy as np
from region_draw import Draw, case, ints, noise, number, one_of
from region_harness import Case


def unary(draw: Draw) -> Case:
    kind = one_of(draw, "Relu", "Sigmoid", "Tanh", "Gelu", "Erf", "LeakyRelu", "HardSwish", "Softplus", "Neg", "Abs")
    return case(kind, {"x": noise(draw, (2, 3, number(draw, 1, 6), 4))})


def binary(draw: Draw) -> Case:
    kind = one_of(draw, "Add", "Sub", "Mul", "Max", "Min", "Greater", "PRelu")
    shape = (2, number(draw, 1, 5), number(draw, 1, 6))
    rank = 3 if kind == "PRelu" else number(draw, 0, 3)
    other = tuple(one_of(draw, 1, size) for size in shape[3 - rank :])
    a, b = noise(draw, shape), np.asarray(noise(draw, other) + np.float32(0.5))
    if one_of(draw, True, False) or kind == "PRelu":
        return case(kind, {"a": a}, {"b": b})
    return case(kind, {"a": a, "b": b}, order=("a", "b") if one_of(draw, True, False) else ("b", "a"))


def where(draw: Draw) -> Case:
    shape = (3, number(draw, 1, 5), 4)
    return case(
        "Where",
        {"c": noise(draw, (1, shape[1], 1), "bool"), "x": noise(draw, shape), "y": noise(draw, (4,)) + np.float32(1)},
    )


def clip(draw: Draw) -> Case:
    return case(
        "Clip",
        {"x": noise(draw, (2, number(draw, 1, 7)))},
        known={"lo": np.array(-0.5, np.float32), "hi": np.array(0.7, np.float32)},
    )


def cast(draw: Draw) -> Case:
    return case("Cast", {"x": 9 * noise(draw, (3, number(draw, 1, 5)))}, attributes={"to": one_of(draw, 7, 6, 11)})


def quantise(draw: Draw) -> Case:
    kind, axis = one_of(draw, "QuantizeLinear", "DequantizeLinear"), number(draw, 0, 2)
    shape = (2, number(draw, 1, 5), 4)
    per_axis = one_of(draw, True, False)
    size: tuple[int, ...] = (shape[axis],) if per_axis else ()
    x = noise(draw, shape) * 9 if kind == "QuantizeLinear" else noise(draw, shape, "uint8")
    scale = np.abs(noise(draw, size)) + np.float32(0.1)
    zero = np.asarray(noise(draw, size, "uint8"))
    return case(kind, {"x": x}, {"s": np.asarray(scale, np.float32), "z": zero}, attributes={"axis": axis})


def quantise_blocks(draw: Draw) -> Case:
    shape = (2, 4 * number(draw, 1, 3), 3)
    x = noise(draw, shape, "int8")
    scale = np.abs(noise(draw, (2, shape[1] // 4, 3))) + np.float32(0.1)
    return case("DequantizeLinear", {"x": x}, {"s": scale}, attributes={"axis": 1, "block_size": 4}, opset=21)


def dynamic_quantise(draw: Draw) -> Case:
    return case(
        "DynamicQuantizeLinear", {"x": noise(draw, (3, number(draw, 2, 6)))}, outputs=3, wanted=number(draw, 0, 2)
    )


def reduction(draw: Draw) -> Case:
    kind = one_of(
        draw, "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceProd",
        "ReduceSumSquare", "ReduceLogSumExp", "ReduceLogSum",
    )  # fmt: skip
    axes = one_of(draw, (1,), (-1,), (1, 2), (2, 3), (0, 3), ())
    x = noise(draw, (2, number(draw, 1, 4), number(draw, 1, 4), 3))
    x = np.abs(x) + np.float32(0.1) if kind in ("ReduceLogSum", "ReduceL2") else x
    attributes: dict[str, Any] = {"keepdims": number(draw, 0, 1)}
    opset = one_of(draw, 13, 18)
    if opset == 18 or kind == "ReduceSum":
        return case(kind, {"x": x}, known={"axes": ints(*axes)} if axes else {}, attributes=attributes, opset=opset)
    return case(kind, {"x": x}, attributes=attributes | ({"axes": list(axes)} if axes else {}), opset=opset)


def arg_reduction(draw: Draw) -> Case:
    attributes = {"axis": number(draw, -2, 2), "keepdims": number(draw, 0, 1)}
    kind = one_of(draw, "ArgMax", "ArgMin")
    x = noise(draw, (3, number(draw, 2, 5), 4))
    x[1, 1, 1] += 9  # so that not every index is zero
    return case(kind, {"x": x if kind == "ArgMax" else -x}, attributes=attributes)


def softmax(draw: Draw) -> Case:
    kind = one_of(draw, "Softmax", "LogSoftmax", "LpNormalization", "Hardmax")
    opset = 20 if kind == "LpNormalization" else one_of(draw, 12, 20)
    return case(
        kind, {"x": noise(draw, (2, 3, number(draw, 2, 5)))}, attributes={"axis": one_of(draw, 1, 2)}, opset=opset
    )


def cumulative(draw: Draw) -> Case:
    return case(
        "CumSum",
        {"x": noise(draw, (2, number(draw, 1, 6), 3))},
        known={"axis": np.array(number(draw, -2, 2), np.int64)},
    )


def top_k(draw: Draw) -> Case:
    x = noise(draw, (3, number(draw, 3, 6), 2))
    return case("TopK", {"x": x}, known={"k": ints(2)}, attributes={"axis": 1}, outputs=2, wanted=0)
