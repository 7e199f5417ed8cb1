"""A model as ONNX without its weights: what the slicing rules need to know, small enough to stay with the graph."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import onnx

from hocket.errors import GraphError

MOST_INDICES = 1 << 16  # integer constants up to this size (index tables, shapes) are looked into
MOST_NUMBERS = 64  # other constants up to this size (bounds, scales) are


def looked_into(proto: onnx.TensorProto) -> bool:
    """Whether a rule may want to know the values of an initializer, and not its sizes alone."""
    size = int(np.prod(proto.dims, dtype=np.int64))
    whole = proto.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
    return size <= (MOST_INDICES if whole else MOST_NUMBERS)


def write_body(
    nodes: Iterable[onnx.NodeProto],
    initializers: Mapping[str, onnx.TensorProto],
    values: Callable[[str], np.ndarray | None],
    opsets: Mapping[str, int],
    ir_version: int,
) -> bytes:
    """Write nodes, the sizes of their initializers, and the values of those that are looked into.

    Args:
        nodes: in topological order.
        initializers: name -> type and dimensions.
        values: gives the data of an initializer, None where there are none.
        opsets: domain -> version.
        ir_version: of the ONNX format.
    """
    model = onnx.ModelProto(ir_version=ir_version)
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items())
    unique = {id(node): node for node in nodes}
    model.graph.node.extend(unique.values())
    for name, proto in initializers.items():
        value = values(name) if looked_into(proto) else None
        if value is None:
            model.graph.initializer.add(name=name, data_type=proto.data_type, dims=proto.dims)
        else:
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
            del model.graph.initializer[-1].dims[:]
            model.graph.initializer[-1].dims.extend(proto.dims)
    data: bytes = model.SerializeToString()
    return data


def read_body(body: bytes) -> onnx.ModelProto:
    """The model that `write_body` wrote.

    Raises:
        GraphError: it is none.
    """
    try:
        return onnx.ModelProto.FromString(body)
    except ValueError as error:  # protobuf's DecodeError is one
        raise GraphError(f"the graph's body is no ONNX model ({error}); load the model again") from None


def known_values(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The initializers of a body whose values it holds."""
    return {
        proto.name: onnx.numpy_helper.to_array(proto)
        for proto in model.graph.initializer
        if proto.raw_data or proto.string_data or not int(np.prod(proto.dims, dtype=np.int64))
    }
