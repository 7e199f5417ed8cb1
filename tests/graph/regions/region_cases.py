"""Random operators: every kind that has a rule, with the attributes that matter to it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from region_harness import Arrays, Case

Draw = Callable[[st.SearchStrategy[Any]], Any]


def number(draw: Draw, lo: int, hi: int) -> int:
    """A random whole number, both ends included."""
    return int(draw(st.integers(lo, hi)))


def one_of(draw: Draw, *values: Any) -> Any:
    """One of some values."""
    return draw(st.sampled_from(values))


def noise(draw: Draw, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Random data."""
    generator = np.random.default_rng(number(draw, 0, 9))
    if dtype in ("int64", "int32"):
        return generator.integers(-5, 6, shape).astype(dtype)
    if dtype in ("uint8", "int8"):
        return generator.integers(1, 100, shape).astype(dtype)
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    return np.asarray(generator.standard_normal(shape).astype(dtype))


def case(kind: str, inputs: Arrays, weights: Arrays | None = None, known: Arrays | None = None, **more: Any) -> Case:
    """Inputs, then weights, then constants, in this order unless one is given."""
    weights, known = weights or {}, known or {}
    attributes = more.pop("attributes", {})
    order = more.pop("order", tuple({**inputs, **weights, **known}))
    return Case(kind, inputs, {**weights, **known}, order, attributes, known=frozenset(known), **more)


def ints(*values: int) -> np.ndarray:
    """A constant of whole numbers."""
    return np.array(values, np.int64)


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


def matmul(draw: Draw) -> Case:
    m, k, n = (number(draw, 1, 5) for _ in range(3))
    first, second = one_of(
        draw, ((m, k), (k, n)), ((2, 3, m, k), (k, n)), ((2, 3, m, k), (1, 3, k, n)), ((m, k), (2, k, n)),
        ((k,), (k, n)), ((2, m, k), (k,)),
    )  # fmt: skip
    a, b = noise(draw, first), noise(draw, second)
    return case("MatMul", {"a": a}, {"b": b}) if one_of(draw, True, False) else case("MatMul", {"a": a, "b": b})


def matmul_integer(draw: Draw) -> Case:
    m, k, n = (number(draw, 1, 5) for _ in range(3))
    weights = {
        "b": noise(draw, (k, n), "uint8"),
        "az": np.array(3, np.uint8),
        "bz": noise(draw, (n,), "uint8") // np.uint8(2),
    }
    return case("MatMulInteger", {"a": noise(draw, (2, m, k), "uint8") + np.uint8(100)}, weights)


def gemm(draw: Draw) -> Case:
    m, k, n = (number(draw, 1, 6) for _ in range(3))
    across, down = number(draw, 0, 1), number(draw, 0, 1)
    weights = {"b": noise(draw, (n, k) if down else (k, n))}
    if one_of(draw, True, True, False):
        weights["c"] = np.asarray(noise(draw, one_of(draw, (n,), (1, n), (m, n), (m, 1), ())) + np.float32(1))
    attributes = {"transA": across, "transB": down, "alpha": 0.5, "beta": 2.0}
    return case("Gemm", {"a": noise(draw, (k, m) if across else (m, k))}, weights, attributes=attributes)


def einsum(draw: Draw) -> Case:
    equation, letters = one_of(
        draw, ("bij,bjk->bik", 2), ("bhqd,bhkd->bqhk", 2), ("ij->ji", 1), ("ij,jk,kl->il", 3), ("ijk->j", 1)
    )
    sizes = {letter: number(draw, 1, 4) for letter in "bhqdkijl"}
    terms = equation.split("->")[0].split(",")
    inputs = {f"x{i}": noise(draw, tuple(sizes[letter] for letter in term)) for i, term in enumerate(terms)}
    assert len(inputs) == letters
    return case("Einsum", inputs, attributes={"equation": equation})


def block_matmul(draw: Draw) -> Case:
    n, blocks, block = number(draw, 1, 5), number(draw, 1, 4), 16
    generator = np.random.default_rng(number(draw, 0, 5))
    weights = {
        "b": generator.integers(0, 256, (n, blocks, block // 2)).astype(np.uint8),
        "s": generator.random((n, blocks), np.float32) + np.float32(0.1),
    }
    if one_of(draw, True, False):
        weights["z"] = generator.integers(0, 256, (n, -(-blocks // 2))).astype(np.uint8)
    attributes = {"K": blocks * block, "N": n, "bits": 4, "block_size": block}
    return case("com.microsoft.MatMulNBits", {"a": noise(draw, (3, blocks * block))}, weights, attributes=attributes)


def reshape(draw: Draw) -> Case:
    before = one_of(draw, (2, 6, 4), (12, 4), (1, 48), (4, 1, 3, 4), (2, 2, 2, 6), (3, 16), (48,))
    after = one_of(draw, (48,), (6, 8), (2, 6, 4), (4, 12), (2, 1, 24), (3, 4, 4), (2, 3, 2, 4), (1, 48, 1), (16, 3))
    return case("Reshape", {"x": noise(draw, before)}, known={"shape": ints(*after)})


def flatten(draw: Draw) -> Case:
    return case("Flatten", {"x": noise(draw, (2, 3, number(draw, 1, 4), 2))}, attributes={"axis": number(draw, 0, 4)})


def squeeze(draw: Draw) -> Case:
    if one_of(draw, True, False):
        return case(
            "Squeeze", {"x": noise(draw, (1, 3, 1, 4))}, known={"axes": ints(*one_of(draw, (0,), (-2,), (0, 2)))}
        )
    return case("Unsqueeze", {"x": noise(draw, (3, 4))}, known={"axes": ints(*one_of(draw, (0,), (-1,), (0, 2)))})


def depth_space(draw: Draw) -> Case:
    size, channels = number(draw, 2, 3), number(draw, 1, 3)
    if one_of(draw, True, False):
        x = noise(draw, (1, channels, size * number(draw, 1, 3), size * number(draw, 1, 3)))
        return case("SpaceToDepth", {"x": x}, attributes={"blocksize": size})
    x = noise(draw, (1, channels * size * size, number(draw, 1, 3), number(draw, 1, 4)))
    return case("DepthToSpace", {"x": x}, attributes={"blocksize": size, "mode": one_of(draw, "DCR", "CRD")})


def transpose(draw: Draw) -> Case:
    order = draw(st.permutations(range(4)))
    return case("Transpose", {"x": noise(draw, (2, 3, number(draw, 1, 4), 5))}, attributes={"perm": list(order)})


def concat(draw: Draw) -> Case:
    axis = number(draw, -2, 2)
    shapes = [[2, 3, 4] for _ in range(number(draw, 1, 3))]
    for shape in shapes:
        shape[axis] = number(draw, 1, 4)
    inputs = {f"x{i}": noise(draw, tuple(shape)) for i, shape in enumerate(shapes)}
    return case("Concat", inputs, attributes={"axis": axis})


def split(draw: Draw) -> Case:
    sizes = [number(draw, 1, 4) for _ in range(3)]
    x = noise(draw, (2, sum(sizes), 3))
    return case(
        "Split", {"x": x}, known={"split": ints(*sizes)}, attributes={"axis": 1}, outputs=3, wanted=number(draw, 0, 2)
    )


def sliced(draw: Draw) -> Case:
    x = noise(draw, (9, 7, 4))
    starts, ends, steps = one_of(
        draw, ((1, 2), (8, 7), (2, 1)), ((-3, 0), (2**62, -1), (1, 3)), ((8, -1), (0, -(2**62)), (-2, -1)),
        ((-1, 6), (-(2**62), 1), (-3, -2)), ((20, 1), (-20, 5), (-1, 2)),
    )  # fmt: skip
    axes = one_of(draw, (0, 1), (0, -2))
    return case("Slice", {"x": x}, known={"s": ints(*starts), "e": ints(*ends), "a": ints(*axes), "p": ints(*steps)})


def pad(draw: Draw) -> Case:
    mode = one_of(draw, "constant", "constant", "edge", "reflect")
    x = noise(draw, (3, number(draw, 4, 6), 4))
    least = -1 if mode == "constant" else 0
    pads = [number(draw, least, 3) if axis % 3 else 0 for axis in range(6)]
    known = {"pads": ints(*pads)}
    if one_of(draw, True, False):
        known["v"] = np.array(0.5, np.float32)
    if one_of(draw, True, False):
        known["pads"] = ints(*pads[1:3], *pads[4:6])
        known.setdefault("v", np.array(0.0, np.float32))
        known["axes"] = ints(1, -1)
    return case("Pad", {"x": x}, known=known, attributes={"mode": mode})


def expand(draw: Draw) -> Case:
    x = noise(draw, one_of(draw, (3, 1), (1,), (1, 4), (1, 3, 1)))
    return (
        case("Expand", {"x": x}, known={"shape": ints(*one_of(draw, (2, 3, 4), (3, 4), (5, 3, 1)))})
        if x.shape != (1,)
        else case("Expand", {"x": x}, known={"shape": ints(2, 3)})
    )


def tile(draw: Draw) -> Case:
    return case("Tile", {"x": noise(draw, (2, 3))}, known={"r": ints(number(draw, 1, 3), number(draw, 1, 3))})


def triangle(draw: Draw) -> Case:
    x = np.abs(noise(draw, (2, 5, 6))) + np.float32(0.1)
    return case(
        "Trilu",
        {"x": x},
        known={"k": np.array(number(draw, -2, 2), np.int64)},
        attributes={"upper": number(draw, 0, 1)},
    )


def gather(draw: Draw) -> Case:
    data = noise(draw, (5, 6, 3))
    axis = number(draw, 0, 2)
    shape = one_of(draw, (), (3,), (2, 2))
    indices = np.asarray(np.random.default_rng(number(draw, 0, 9)).integers(-data.shape[axis], data.shape[axis], shape))
    attributes = {"axis": axis}
    if one_of(draw, True, False):
        return case("Gather", {"x": data}, known={"i": indices}, attributes=attributes)
    return case("Gather", {"i": indices}, {"x": data}, attributes=attributes, order=("x", "i"))


def gather_elements(draw: Draw) -> Case:
    indices = np.random.default_rng(number(draw, 0, 9)).integers(-4, 4, (2, number(draw, 1, 5)))
    return case("GatherElements", {"x": noise(draw, (4, 5)), "i": indices}, attributes={"axis": 0})


def one_hot(draw: Draw) -> Case:
    indices = np.random.default_rng(number(draw, 0, 9)).integers(0, 4, (3, 2))
    known = {"d": np.array(4, np.int64), "v": np.array([0.5, 1], np.float32)}
    return case("OneHot", {"i": indices}, known=known, attributes={"axis": number(draw, -1, 1)})


def batch_norm(draw: Draw) -> Case:
    channels = number(draw, 1, 4)
    weights = {name: np.abs(noise(draw, (channels,))) + np.float32(0.1) for name in ("s", "b", "m", "v")}
    return case("BatchNormalization", {"x": noise(draw, (2, channels, 4, 3))}, weights)


def layer_norm(draw: Draw) -> Case:
    axis, shape = number(draw, 1, 2), (2, number(draw, 1, 4), 6)
    weights = {"s": noise(draw, shape[axis:])}
    kind = one_of(draw, "LayerNormalization", "RMSNormalization")
    if kind == "LayerNormalization" and one_of(draw, True, False):
        weights["b"] = noise(draw, shape[axis:])
    attributes = {"axis": axis - 3 if one_of(draw, True, False) else axis}
    return case(kind, {"x": noise(draw, shape)}, weights, attributes=attributes, opset=23)


def channel_norm(draw: Draw) -> Case:
    x = noise(draw, (2, 6, 3, number(draw, 2, 4)))
    if one_of(draw, True, False):
        weights = {"s": noise(draw, (6,)), "b": noise(draw, (6,))}
        return case("InstanceNormalization", {"x": x}, weights)
    groups, opset = one_of(draw, 1, 2, 3), one_of(draw, 18, 21)
    size = 6 if opset == 21 else groups
    weights = {"s": noise(draw, (size,)), "b": noise(draw, (size,))}
    return case("GroupNormalization", {"x": x}, weights, attributes={"num_groups": groups}, opset=opset)


def local_response(draw: Draw) -> Case:
    attributes = {"size": number(draw, 1, 5), "alpha": 0.5, "beta": 0.75, "bias": 1.5}
    attributes["size"] |= 1  # ONNX Runtime wants odd sizes
    return case("LRN", {"x": noise(draw, (1, number(draw, 2, 7), 3, 2))}, attributes=attributes)


def mean_variance(draw: Draw) -> Case:
    axes = one_of(draw, [0, 2, 3], [1], [2, 3])
    return case("MeanVarianceNormalization", {"x": noise(draw, (2, 3, 4, 3))}, attributes={"axes": axes})


def attention(draw: Draw) -> Case:
    batch, kept, shared, rows, width, columns = (number(draw, 1, n) for n in (2, 2, 3, 5, 4, 4))
    past = one_of(draw, 0, 0, 3)
    causal = number(draw, 0, 1)
    keys = rows if causal else number(draw, 1, 6)
    heads = kept * shared
    flat = one_of(draw, True, False)
    width, columns = 2 * width, 2 * columns
    attributes: dict[str, Any] = {"is_causal": causal}
    if flat:
        inputs = {
            "q": noise(draw, (batch, rows, heads * width)),
            "k": noise(draw, (batch, keys, kept * width)),
            "v": noise(draw, (batch, keys, kept * columns)),
        }
        attributes |= {"q_num_heads": heads, "kv_num_heads": kept}
    else:
        inputs = {
            "q": noise(draw, (batch, heads, rows, width)),
            "k": noise(draw, (batch, kept, keys, width)),
            "v": noise(draw, (batch, kept, keys, columns)),
        }
    mask = one_of(draw, "", "float32", "bool")
    if mask:
        shape = one_of(draw, (rows, keys + past), (batch, heads, rows, keys + past), (1, 1, rows, keys + past))
        inputs["m"] = noise(draw, shape, mask)
        if mask == "bool":
            inputs["m"][..., 0] = True  # a row without any key has no defined result
    order = [*inputs]
    if past:
        order += [] if mask else [""]
        inputs |= {"pk": noise(draw, (batch, kept, past, width)), "pv": noise(draw, (batch, kept, past, columns))}
        order += ["pk", "pv"]
    outputs = 3 if past else 1
    wanted = one_of(draw, 0, 0, 1, 2) if past else 0
    return case(
        "Attention", inputs, order=tuple(order), attributes=attributes, opset=23, outputs=outputs, wanted=wanted
    )


def rotary(draw: Draw) -> Case:
    batch, heads, rows, width = number(draw, 1, 2), number(draw, 1, 3), number(draw, 1, 5), 8
    flat, by_position = one_of(draw, True, False), one_of(draw, True, False)
    x = noise(draw, (batch, rows, heads * width) if flat else (batch, heads, rows, width))
    attributes: dict[str, Any] = {"num_heads": heads} if flat else {}
    attributes["interleaved"] = number(draw, 0, 1)
    tables = (9, width // 2) if by_position else (batch, rows, width // 2)
    weights = {"c": noise(draw, tables), "s": noise(draw, tables)}
    inputs = {"x": x}
    order: tuple[str, ...] = ("x", "c", "s")
    if by_position:
        inputs["p"] = np.random.default_rng(1).integers(0, 9, (batch, rows))
        order = ("x", "c", "s", "p")
    return case("RotaryEmbedding", inputs, weights, order=order, attributes=attributes, opset=23)


def resize(draw: Draw) -> Case:
    mode = one_of(draw, "nearest", "linear")
    attributes = {
        "mode": mode,
        "coordinate_transformation_mode": one_of(
            draw, "asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"
        ),
    }
    if mode == "nearest":
        attributes["nearest_mode"] = one_of(draw, "floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    x = noise(draw, (1, 2, number(draw, 2, 5), number(draw, 2, 5)))
    if one_of(draw, True, False):
        scales = np.array([1, 1, one_of(draw, 2, 1.5, 3), one_of(draw, 1, 2, 2.5)], np.float32)
        return case("Resize", {"x": x}, known={"k": scales}, order=("x", "", "k"), attributes=attributes)
    sizes = ints(1, 2, number(draw, 2, 9), number(draw, 2, 9))
    return case("Resize", {"x": x}, known={"k": sizes}, order=("x", "", "", "k"), attributes=attributes)


def recurrent(draw: Draw) -> Case:
    kind, direction = one_of(draw, "LSTM", "GRU", "RNN"), one_of(draw, "forward", "reverse", "bidirectional")
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    count, length, batch, width, hidden = 1 + (direction == "bidirectional"), number(draw, 1, 4), 2, 3, 4
    weights = {
        "w": noise(draw, (count, gates * hidden, width)),
        "r": noise(draw, (count, gates * hidden, hidden)),
        "b": noise(draw, (count, 2 * gates * hidden)),
    }
    inputs, order = {"x": noise(draw, (length, batch, width))}, ["x", "w", "r", "b"]
    if one_of(draw, True, False):
        inputs["h"] = noise(draw, (count, batch, hidden))
        order += ["", "h"]
    outputs = 3 if kind == "LSTM" else 2
    wanted = number(draw, 0, outputs - 1)
    attributes = {"direction": direction, "hidden_size": hidden}
    return case(kind, inputs, weights, order=tuple(order), attributes=attributes, outputs=outputs, wanted=wanted)


CASES: dict[str, Callable[[Draw], Case]] = {
    make.__name__: make
    for make in (
        unary, binary, where, clip, cast, quantise, quantise_blocks, dynamic_quantise, convolution,
        convolution_integer, convolution_quantised, transposed, pool, global_pool, reduction, arg_reduction, softmax,
        cumulative, top_k, matmul, matmul_integer, gemm, einsum, block_matmul, reshape, flatten, squeeze, depth_space,
        transpose, concat, split, sliced, pad, expand, tile, triangle, gather, gather_elements, one_hot, batch_norm,
        layer_norm, channel_norm, local_response, mean_variance, attention, rotary, resize, recurrent,
    )
}  # fmt: skip
