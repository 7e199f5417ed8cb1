"""Evaluating what depends on constants and fixed shapes alone."""

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from hocket.errors import FormatError
from hocket.program import ABSENT

_UNREADABLE = (ValueError, TypeError, OSError, LookupError, AttributeError)
MOST_BYTES = 4 << 20
"""A larger result is not worth its bytes: it stays an operator on weights (a transposed embedding, say)."""
_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}


def read_data(name: str, tensor: ir.TensorProtocol) -> np.ndarray:
    """The data of a constant, which may be in a file beside the model.

    Raises:
        FormatError: they are not whole, or lie outside of the model's folder.
    """
    try:
        return np.asarray(tensor.numpy())
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"the data of {name!r} cannot be read ({reason}); export the model again") from None


def fold(model: ir.Model) -> bool:
    """Replace nodes by their value where it is known; returns whether something changed."""
    changed = False
    for node in list(model.graph):
        results = _evaluate(node, model)
        if results is None:
            continue
        for output, result in zip(node.outputs, results, strict=False):
            if output.name:
                _replace(model, output, result)
        model.graph.remove(node)
        changed = True
    return changed


def _evaluate(node: ir.Node, model: ir.Model) -> list[np.ndarray] | None:
    if any(output.is_graph_output() for output in node.outputs):
        return None
    if node.op_type in ("Shape", "Size") and node.domain == "":
        return _shape(node)
    if node.op_type in _RANDOM or node.domain != "" or _has_graph(node):
        return None
    feeds = {}
    for value in node.inputs:
        if value is None:
            continue
        tensor = value.const_value
        if tensor is None or (isinstance(tensor, ir.ExternalTensor) and str(tensor.location) == ABSENT):
            return None
        if tensor.nbytes > MOST_BYTES:
            return None
        feeds[str(value.name)] = read_data(str(value.name), tensor)
    made = sum(_nbytes(output) for output in node.outputs)
    return None if made > MOST_BYTES else _run(node, feeds, model.opset_imports)


def _has_graph(node: ir.Node) -> bool:
    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return any(attribute.type in kinds for attribute in node.attributes.values())


def _nbytes(value: ir.Value) -> int:
    if value.shape is None or value.dtype is None or not all(isinstance(dim, int) for dim in value.shape):
        return 0
    return int(np.prod([int(dim) for dim in value.shape], dtype=np.float64) * value.dtype.itemsize)


def _shape(node: ir.Node) -> list[np.ndarray] | None:
    value = node.inputs[0] if node.inputs else None
    if value is None or value.shape is None or not all(isinstance(dim, int) for dim in value.shape):
        return None
    dims = np.array([int(dim) for dim in value.shape], dtype=np.int64)
    if node.op_type == "Size":
        return [np.array(dims.prod(), dtype=np.int64)]
    start = node.attributes.get_int("start", 0)
    end = node.attributes.get_int("end", len(dims))
    return [dims[slice(start, end)]]


def _run(node: ir.Node, feeds: dict[str, np.ndarray], opsets: dict[str, int]) -> list[np.ndarray] | None:
    proto = ir.serde.serialize_node(node)
    infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in feeds]
    outputs = [onnx.ValueInfoProto(name=name) for name in proto.output if name]
    graph = onnx.helper.make_graph([proto], "fold", infos, outputs)
    imports = [onnx.helper.make_opsetid("", opsets.get("", 18))]
    try:
        results = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=imports)).run(None, feeds)
    except (RuntimeError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError):
        return None  # the reference does not know this node, or cannot: it stays an operator on constants
    return [np.asarray(result) for result in results]


def _replace(model: ir.Model, old: ir.Value, result: np.ndarray) -> None:
    tensor = ir.tensor(np.ascontiguousarray(result) if result.ndim else result, name=old.name)
    value = ir.Value(name=old.name, shape=ir.Shape(result.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    old.name = f"{old.name}/folded"
    ir.convenience.replace_all_uses_with(old, value)
    model.graph.initializers[str(value.name)] = value
