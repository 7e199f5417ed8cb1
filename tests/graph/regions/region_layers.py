"""Random products, normalisations, attentions and recurrences."""

from typing import Any

import numpy as np
from region_draw import Draw, case, noise, number, one_of
from region_harness import Case


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


def group_attention(draw: Draw) -> Case:
    """New rows behind old ones; the caches end where the new rows do, since what is behind is not defined."""
    batch, kept, shared, rows, old = (number(draw, lo, hi) for lo, hi in ((1, 2), (1, 3), (1, 3), (1, 4), (0, 3)))
    width = 16  # ONNX Runtime rotates heads of multiples of 16
    heads, total = kept * shared, old + rows
    inputs = {
        "q": noise(draw, (batch, rows, heads * width)),
        "k": noise(draw, (batch, rows, kept * width)),
        "v": noise(draw, (batch, rows, kept * width)),
        "pk": noise(draw, (batch, kept, total, width)),
        "pv": noise(draw, (batch, kept, total, width)),
        "last": np.full(batch, total - 1, np.int32),
        "total": np.array([total], np.int32),
    }
    angles = np.arange(8)[:, None] / 10.0 ** np.arange(width // 2)
    weights = {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
    rotary = one_of(draw, True, False)
    attributes = {"num_heads": heads, "kv_num_heads": kept, "do_rotary": int(rotary)}
    return case(
        "com.microsoft.GroupQueryAttention", inputs, weights if rotary else {}, attributes=attributes, outputs=3,
        wanted=one_of(draw, 0, 0, 1, 2),
    )  # fmt: skip


def attention_keys(draw: Draw) -> Case:
    """Attention whose keys can be split: heads apart, none shared, nothing causal."""
    batch, heads, rows, keys, width, columns = (number(draw, 1, n) for n in (2, 3, 4, 7, 4, 4))
    inputs = {
        "q": noise(draw, (batch, heads, rows, width)),
        "k": noise(draw, (batch, heads, keys, width)),
        "v": noise(draw, (batch, heads, keys, columns)),
    }
    mask = one_of(draw, "", "float32", "bool")
    if mask:
        inputs["m"] = noise(draw, one_of(draw, (rows, keys), (batch, heads, rows, keys)), mask)
    if mask == "bool":
        inputs["m"][..., 0] = True  # a part of the keys may be masked altogether, but not all of them
    attributes = {"scale": 0.7} if one_of(draw, True, False) else {}
    return case("Attention", inputs, attributes=attributes, opset=23)


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
