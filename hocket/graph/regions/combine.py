"""Putting the partial results of a contracted split together."""

from collections.abc import Sequence

import numpy as np
import onnx

from hocket.errors import GraphError
from hocket.graph.regions.block import Block, value_info
from hocket.graph.regions.box import Box, extent, region_name
from hocket.graph.regions.contract import contraction_of
from hocket.graph.regions.rewrite import packed_shape
from hocket.program import Contract

_PAIRS = {"sum": "Add", "max": "Max", "min": "Min", "prod": "Mul"}


def combine(block: Block, box: Box, parts: Sequence[Contract]) -> onnx.ModelProto:
    """Write the model that puts partial results together.

    Args:
        block: the block that was split.
        box: the box of the result that every part computed.
        parts: those that have a share.

    Raises:
        GraphError: parts that overlap, leave a gap, or add the bias other than once.
    """
    _check(block, parts)
    if contraction_of(block, parts[0]).combine == "moments" and box[-1] != (0, 2):
        raise GraphError(f"mean and variance are put together at once, got {box}; ask for both")
    tensor = parts[0].tensor
    contraction = contraction_of(block, parts[0])
    name = region_name(tensor, box, block.shapes[tensor])
    dtype = block.dtypes[tensor]
    steps = _Steps(name)
    inputs = [name + part.suffix for part in parts]
    if contraction.combine == "softmax":
        value = _weighted(steps, inputs, extent(box)[-1])
    elif contraction.combine == "moments":
        sizes = [part.interval[1] - part.interval[0] for part in parts]
        value = _pooled(steps, inputs, [size / contraction.size for size in sizes], dtype)
    elif contraction.combine == "logsumexp":
        value = _log_sum(steps, inputs)
    else:
        value = steps.chain(_PAIRS[contraction.combine], inputs)
    if contraction.finish:
        value = steps.emit(contraction.finish, value)
    steps.emit("Identity", value, name=name)
    shape = packed_shape(block, parts[0], box)
    graph = onnx.helper.make_graph(
        steps.nodes,
        "combine",
        [value_info(each, dtype, shape) for each in inputs],
        [value_info(name, dtype, extent(box))],
        steps.initializers,
    )
    imports = [onnx.helper.make_opsetid("", block.opsets.get("", 20))]
    return onnx.helper.make_model(graph, opset_imports=imports, ir_version=block.ir_version)


def _check(block: Block, parts: Sequence[Contract]) -> None:
    if not parts:
        raise GraphError("a contracted split has at least one part with a share, got none; give one of them something")
    size = contraction_of(block, parts[0]).size
    ordered = sorted(part.interval for part in parts)
    ends = [0, *(hi for _, hi in ordered)]
    if [lo for lo, _ in ordered] != ends[:-1] or ends[-1] != size:
        raise GraphError(
            f"the parts of a contracted axis cover [0, {size}) once, got {ordered}; correct the cut points"
        )
    if sum(part.owner for part in parts) != 1:
        raise GraphError("exactly one part of a contracted split adds the bias; set owner on the first of them")


class _Steps:
    """Nodes under construction."""

    def __init__(self, name: str) -> None:
        self.base = name
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def emit(self, kind: str, *inputs: str, name: str = "", **attributes: object) -> str:
        """Write a node with one output."""
        name = name or f"{self.base}+{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, [*inputs], [name], name=name, **attributes))
        return name

    def constant(self, numbers: Sequence[float], dtype: str = "int64") -> str:
        """Write a constant."""
        name = f"{self.base}+c{len(self.initializers)}"
        self.initializers.append(onnx.numpy_helper.from_array(np.array(numbers, dtype), name))
        return name

    def last(self, value: str, start: int, end: int) -> str:
        """A part of the last axis."""
        return self.emit("Slice", value, *(self.constant([number]) for number in (start, end, -1)))

    def chain(self, kind: str, values: Sequence[str]) -> str:
        """Put values together two by two, in order."""
        value = values[0]
        for other in values[1:]:
            value = self.emit(kind, value, other)
        return value

    def exp_less(self, value: str, most: str) -> str:
        """exp(value - most)."""
        return self.emit("Exp", self.emit("Sub", value, most))


def _log_sum(steps: _Steps, inputs: Sequence[str]) -> str:
    """log(sum(exp(x))), with the largest taken out first."""
    most = steps.chain("Max", inputs)
    total = steps.chain("Add", [steps.exp_less(value, most) for value in inputs])
    return steps.emit("Add", most, steps.emit("Log", total))


def _weighted(steps: _Steps, inputs: Sequence[str], width: int) -> str:
    """Mean of results weighted by exp of what stands behind each in the last axis, the log of its sum of weights."""
    values = [steps.last(value, 0, width) for value in inputs]
    logs = [steps.last(value, width, width + 1) for value in inputs]
    most = steps.chain("Max", logs)
    shares = [steps.exp_less(log, most) for log in logs]
    total = steps.chain("Add", [steps.emit("Mul", *pair) for pair in zip(values, shares, strict=True)])
    return steps.emit("Div", total, steps.chain("Add", shares))


def _pooled(steps: _Steps, inputs: Sequence[str], shares: Sequence[float], dtype: str) -> str:
    """Mean and variance of everything from those of parts: variances, and the squares of what means differ by."""
    weights = [steps.constant([share], dtype) for share in shares]
    means = [steps.last(value, 0, 1) for value in inputs]
    mean = steps.chain("Add", [steps.emit("Mul", *pair) for pair in zip(means, weights, strict=True)])
    spreads = []
    for value, own, weight in zip(inputs, means, weights, strict=True):
        apart = steps.emit("Sub", own, mean)
        spread = steps.emit("Add", steps.last(value, 1, 2), steps.emit("Mul", apart, apart))
        spreads.append(steps.emit("Mul", spread, weight))
    return steps.emit("Concat", mean, steps.chain("Add", spreads), axis=-1)
