"""A model as rules see it, and runs of its operators."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from hocket.errors import GraphError
from hocket.graph.body import known_values, read_body
from hocket.graph.graph import Graph
from hocket.graph.model import Model
from hocket.graph.regions.box import Shape
from hocket.graph.regions.rule import OperatorView
from hocket.nouns import Value


class Block(Value, frozen=True, dict=True):
    """A run of operators in topological order, with the sizes of every tensor around them."""

    operators: tuple[OperatorView, ...]
    shapes: Mapping[str, Shape]
    dtypes: Mapping[str, str]
    weights: frozenset[str]
    """Initializers: known by their sizes alone."""
    constants: Mapping[str, np.ndarray]
    """Those initializers whose values are known, and written into rewritten models."""
    opsets: Mapping[str, int]
    ir_version: int

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Activations that the block reads and does not make, in the order of their first use."""
        made = set(self.producer)
        read = dict.fromkeys(name for view in self.operators for name in view.inputs if name)
        return tuple(name for name in read if name not in made and name not in self.weights)

    @cached_property
    def producer(self) -> dict[str, int]:
        """Tensor -> position of the operator that makes it."""
        return {name: position for position, view in enumerate(self.operators) for name in view.outputs if name}

    @cached_property
    def prepared(self) -> frozenset[str]:
        """Operators that read weights alone (to transpose or dequantise one): a runtime computes them once, at load."""
        known, found = set(self.weights), set()
        for view in self.operators:
            if all(name in known for name in view.inputs if name):
                known.update(view.outputs)
                found.add(view.name)
        return frozenset(found)

    def part(self, names: Iterable[str]) -> "Block":
        """Only these operators, named by their first outputs, and those that prepare their weights.

        Raises:
            GraphError: a name that is none of the block's operators.
        """
        wanted, kept = set(names), []
        read: set[str] = set()
        for view in reversed(self.operators):
            if view.name in wanted or (view.name in self.prepared and not read.isdisjoint(view.outputs)):
                kept.append(view)
                read.update(view.inputs)
        unknown = sorted(wanted - {view.name for view in kept})
        if unknown:
            raise GraphError(f"a block holds operators of its model, and {unknown[0]!r} is none; name it by its output")
        return self.replace(operators=tuple(reversed(kept)))

    def span(self, first: str, last: str) -> "Block":
        """The operators from one to another, both included."""
        names = [view.name for view in self.operators]
        for name in (first, last):
            if name not in names:
                raise GraphError(f"a block holds operators of its model, and {name!r} is none; name it by its output")
        return self.part(names[names.index(first) : names.index(last) + 1])


def block_of(source: Model | Graph) -> Block:
    """The whole of an imported model as one block; `Block.part` and `Block.span` take runs of it.

    From a graph alone it has what planning takes; from a model also the values that `rewrite` writes into what runs.

    Raises:
        GraphError: a graph that was made by hand has no operators to divide.
    """
    graph = source.graph if isinstance(source, Model) else source
    if not graph.body:
        raise GraphError(f"the operators of {graph.name!r} are not known as ONNX, so they stay whole; load its file")
    body = read_body(graph.body)
    shapes: dict[str, Shape] = {tensor.name: tensor.shape for tensor in graph.tensors}
    dtypes = {tensor.name: tensor.dtype for tensor in graph.tensors}
    for proto in body.graph.initializer:
        shapes[proto.name], dtypes[proto.name] = tuple(proto.dims), _numpy_name(proto.data_type)
    constants = known_values(body)
    if isinstance(source, Model):
        constants |= {name: source.overrides[name] for name in constants.keys() & source.overrides.keys()}
    opsets = {opset.domain: opset.version for opset in body.opset_import}
    nodes = list(body.graph.node)
    _infer([node for node in nodes if node.output[0] not in shapes], shapes, dtypes, opsets)
    return make_block(
        nodes,
        shapes=shapes,
        dtypes=dtypes,
        weights=[proto.name for proto in body.graph.initializer],
        constants=constants,
        opsets=opsets,
        ir_version=body.ir_version,
    )


def make_block(
    nodes: Iterable[onnx.NodeProto],
    *,
    shapes: Mapping[str, Shape],
    dtypes: Mapping[str, str],
    weights: Iterable[str],
    constants: Mapping[str, np.ndarray],
    opsets: Mapping[str, int],
    ir_version: int = 10,
) -> Block:
    """A block from ONNX nodes in topological order and what is known about their tensors."""
    views = tuple(_view(node, shapes, dtypes, constants, opsets) for node in nodes)
    return Block(
        operators=views,
        shapes=shapes,
        dtypes=dtypes,
        weights=frozenset(weights),
        constants=constants,
        opsets=opsets,
        ir_version=ir_version,
    )


def _view(
    node: onnx.NodeProto,
    shapes: Mapping[str, Shape],
    dtypes: Mapping[str, str],
    constants: Mapping[str, np.ndarray],
    opsets: Mapping[str, int],
) -> OperatorView:
    domain = "" if node.domain == "ai.onnx" else node.domain
    inputs = _trimmed(node.input)
    # An output without a shape is one that nobody reads.
    outputs = _trimmed([name if name in shapes else "" for name in node.output])
    return OperatorView(
        name=next(name for name in node.output if name),
        kind=f"{domain}.{node.op_type}" if domain else node.op_type,
        inputs=inputs,
        outputs=outputs,
        attributes={attribute.name: _value(attribute) for attribute in node.attribute},
        shapes=tuple(shapes[name] if name else () for name in inputs),
        dtypes=tuple(dtypes[name] if name else "" for name in inputs),
        output_shapes=tuple(shapes[name] if name else () for name in outputs),
        output_dtypes=tuple(dtypes[name] if name else "" for name in outputs),
        constants={index: constants[name] for index, name in enumerate(inputs) if name in constants},
        opset=opsets.get(domain, 1),
    )


def _trimmed(names: Iterable[str]) -> tuple[str, ...]:
    """Names without the empty ones at the end, which say nothing."""
    kept = list(names)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)


def _value(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [text.decode() for text in value]
    return value


def _numpy_name(data_type: int) -> str:
    if data_type == onnx.TensorProto.STRING:
        return "string"
    return str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(data_type)).name)


def _infer(
    nodes: list[onnx.NodeProto], shapes: dict[str, Shape], dtypes: dict[str, str], opsets: Mapping[str, int]
) -> None:
    """Add the sizes of what constant nodes make; the importer keeps them for activations only."""
    if not nodes:
        return
    made = {name for node in nodes for name in node.output}
    read = dict.fromkeys(name for node in nodes for name in node.input if name and name not in made)
    graph = onnx.helper.make_graph(
        nodes, "constants", [value_info(name, dtypes[name], shapes[name]) for name in read], []
    )
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    inferred = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph, opset_imports=imports))
    for info in inferred.graph.value_info:
        kind = info.type.tensor_type
        shapes[info.name] = tuple(dim.dim_value for dim in kind.shape.dim)
        dtypes[info.name] = _numpy_name(kind.elem_type)


def onnx_type(dtype: str) -> int:
    """The ONNX number of a numpy type name."""
    if dtype == "string":
        return int(onnx.TensorProto.STRING)
    name = {"float32": "FLOAT", "float64": "DOUBLE"}.get(dtype, dtype.upper())
    return int(onnx.TensorProto.DataType.Value(name))


def value_info(name: str, dtype: str, shape: Shape) -> onnx.ValueInfoProto:
    """Name, type and shape of an input or output."""
    return onnx.helper.make_tensor_value_info(name, onnx_type(dtype), shape)
