"""Multiply-accumulates and floating-point operations of one ONNX node, from its shapes."""

from collections.abc import Callable, Mapping
from math import prod

import onnx

Shape = tuple[int, ...]
_FREE = {
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Shape", "Size", "Constant",
    "Transpose", "Concat", "Split", "Slice", "Pad", "Expand", "Gather", "GatherElements", "GatherND", "Tile",
    "DepthToSpace", "SpaceToDepth", "ConstantOfShape", "Cast", "ScatterND", "ScatterElements",
}  # fmt: skip
"""Kinds that move data and compute nothing."""
_PER_ELEMENT = {"Softmax": 5, "LogSoftmax": 6, "LayerNormalization": 8, "RMSNormalization": 5, "BatchNormalization": 2,
                "InstanceNormalization": 8, "GroupNormalization": 8, "Gelu": 8, "LRN": 8,
                "SkipLayerNormalization": 9, "SkipSimplifiedLayerNormalization": 6, "FastGelu": 8, "BiasGelu": 9,
                "QuickGelu": 5}  # fmt: skip
"""Operations per element of kinds that take more than one; the usual counts, which differ between authors."""


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """An integer attribute of a node."""
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def _conv(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    weight = shapes[node.input[1]]
    return prod(shapes[node.output[0]]) * prod(weight[1:])


def _conv_transpose(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    return prod(shapes[node.input[0]]) * prod(shapes[node.input[1]][1:])


def _matmul(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    return prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]


def _gemm(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    first = shapes[node.input[0]]
    return prod(shapes[node.output[0]]) * (first[0] if attribute(node, "transA", 0) else first[1])


def _attention(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    """Scores and their product with the values; inputs (batch, heads, length, width) or (batch, length, hidden)."""
    query, key, value = (shapes[node.input[index]] for index in range(3))
    past = shapes[node.input[4]][2] if len(node.input) > 4 and node.input[4] else 0
    if len(query) == 4:
        return prod(query[:3]) * (past + key[2]) * (query[3] + value[3])
    heads = attribute(node, "q_num_heads", 1)
    kv_heads = attribute(node, "kv_num_heads", heads)
    widths = query[2] // heads + value[2] // kv_heads
    return query[0] * heads * query[1] * (past + key[1]) * widths


def _group_attention(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    """As attention over the whole capacity of the cache; how much of it is filled, the shapes do not tell."""
    batch, rows, width = shapes[node.output[0]]
    past = shapes[node.input[3]][2] if len(node.input) > 3 and node.input[3] else 0
    return 2 * batch * rows * max(past, rows) * width


def _block_matmul(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    return prod(shapes[node.output[0]]) * attribute(node, "K", 0)


def _recurrent(gates: int) -> Callable[[onnx.NodeProto, Mapping[str, Shape]], float]:
    def count(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
        length, batch, width = shapes[node.input[0]]
        directions, _, hidden = shapes[node.input[2]]
        return float(length * batch * directions * gates * hidden * (width + hidden))

    return count


_MACS: dict[str, Callable[[onnx.NodeProto, Mapping[str, Shape]], float]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "QLinearConv": lambda node, shapes: prod(shapes[node.output[0]]) * prod(shapes[node.input[3]][1:]),
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "Gemm": _gemm,
    "MatMulNBits": _block_matmul,
    "Attention": _attention,
    "GroupQueryAttention": _group_attention,
    "LSTM": _recurrent(4),
    "GRU": _recurrent(3),
    "RNN": _recurrent(1),
}


def macs(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    """Multiply-accumulates of a node; 0 for kinds that contract nothing."""
    count = _MACS.get(node.op_type)
    return float(count(node, shapes)) if count else 0.0


def flops(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> float:
    """Floating-point operations: two per multiply-accumulate, one or more per element of the others.

    A pool counts its window once per output; a reduction counts every element that it reads.
    """
    contracted = macs(node, shapes)
    if contracted or node.op_type in _FREE:
        return 2 * contracted
    made = prod(shapes[node.output[0]]) if node.output and node.output[0] in shapes else 0
    if node.op_type in ("MaxPool", "AveragePool", "LpPool"):
        kernel = next((list(a.ints) for a in node.attribute if a.name == "kernel_shape"), [1])
        return float(made * prod(kernel))
    if node.op_type.startswith(("Reduce", "Global", "Arg", "TopK")):
        return float(prod(shapes[node.input[0]]))
    return float(made * _PER_ELEMENT.get(node.op_type, 1))
