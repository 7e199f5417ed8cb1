"""From a segment of a program to the ONNX bytes that its node runs."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TypeVar

import numpy as np
import onnx

from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.graph.model import Model
from hocket.graph.regions import Block, Lengths, block_of, lengths_of
from hocket.graph.weights import dtype_of
from hocket.plan.compose import Composed, Weights
from hocket.program import ABSENT, Artifact, Counter, Program, Region, Segment, State
from hocket.program.artifact import tensor_hash

INLINE_BYTES = 1024
"""Smaller weights travel inside the model: ONNX Runtime needs small constants (shapes, axes) at load time."""


class Artifacts:
    """The artifacts of one program, and the weights that they name by hash."""

    def __init__(self, model: Model, program: Program) -> None:
        self._model = model
        self._tensors = {tensor.name: tensor for tensor in program.tensors}
        self._states = _by_segment(program.states)
        self._counters = _by_segment(program.counters)
        self._origins: dict[str, tuple[str, Region | None]] = {}
        self._hashes: dict[tuple[str, Region | None], str] = {}
        self.artifacts: tuple[Artifact, ...] = tuple(self._artifact(segment) for segment in program.segments)

    def weight(self, sha256: str) -> np.ndarray:
        """The weight, or the part of one, with this hash."""
        return self._data(*self._origins[sha256])

    @cached_property
    def _block(self) -> Block:
        return block_of(self._model)

    def _artifact(self, segment: Segment) -> Artifact:
        if segment.parts:
            composed = Composed(self._model, self._block, self._lengths, self._plain, self._tensors)
            proto = composed.write(segment)
            origins = composed.weights
        else:
            proto = subgraph(self._model, segment.operators, [p.tensor for p in segment.inputs], segment.outputs)
            origins = {init.name: (init.name, None) for init in proto.graph.initializer}
        self._keep(proto.graph, segment.id)
        self._loosen(proto.graph, segment)
        if segment.parts:
            self._inline(proto, origins)
        absent = {init.name: self._hash(*origins[init.name]) for init in proto.graph.initializer if init.external_data}
        data = proto.SerializeToString()
        return Artifact(segment=segment.id, sha256=hashlib.sha256(data).hexdigest(), model=data, weights=absent)

    @cached_property
    def _lengths(self) -> Lengths | None:
        free = self._model.graph.free
        return lengths_of(self._block, free) if free else None

    def _keep(self, graph: onnx.GraphProto, segment: str) -> None:
        """Turn what stays between requests, and what a node knows of a sequence, from weights into inputs."""
        for state in self._states.get(segment, ()):
            reader = _only_reader(graph, state)
            reader.output[self._places[state.past.partition("[")[0]]] = state.present
            kind = _enter(graph, state.past, state.dtype, state.shape)
            graph.output.append(onnx.helper.make_tensor_value_info(state.present, kind, state.shape))
        for counter in self._counters.get(segment, ()):
            _enter(graph, counter.name, counter.dtype, counter.shape)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Buffer -> which output of its operator is what becomes of it."""
        graph = self._model.graph
        reader = {name: operator.name for operator in graph.operators for name in operator.weights}
        return {
            buffer.past: list(self._model.nodes[reader[buffer.past]].output).index(buffer.present)
            for buffer in graph.buffers
        }

    def _loosen(self, graph: onnx.GraphProto, segment: Segment) -> None:
        """Say which sizes may differ from request to request."""
        infos = {name: self._tensors[name] for name in segment.outputs}
        infos |= {port.label: self._tensors[port.tensor] for port in segment.inputs}
        single = {counter.name for counter in self._counters.get(segment.id, ()) if counter.counts == "total"}
        for value in [*graph.input, *graph.output]:
            if segment.stacks and value.name not in single:
                value.type.tensor_type.shape.dim[0].dim_param = "sequences"
            info = infos.get(value.name)
            for axis in info.free if info is not None else ():
                value.type.tensor_type.shape.dim[axis].dim_param = f"free.{axis}"

    def _plain(self, operators: tuple[str, ...]) -> onnx.GraphProto:
        return subgraph(self._model, operators, (), ()).graph

    def _inline(self, proto: onnx.ModelProto, origins: Weights) -> None:
        """Small parts of weights travel inside, like small weights."""
        for init in proto.graph.initializer:
            if init.external_data:
                value = self._data(*origins[init.name])
                if value.nbytes <= INLINE_BYTES:
                    init.CopyFrom(
                        onnx.numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), init.name)
                    )

    def _data(self, name: str, region: Region | None) -> np.ndarray:
        value = self._model.weight(name)
        return value if region is None else value[tuple(slice(lo, hi) for lo, hi in region)]

    def _hash(self, name: str, region: Region | None) -> str:
        if region == tuple((0, length) for length in self._model.initializers[name].dims):
            region = None
        if (name, region) not in self._hashes:
            sha256 = self._hashes[name, region] = tensor_hash(self._data(name, region))
            self._origins[sha256] = (name, region)
        return self._hashes[name, region]


def build(model: Model, program: Program) -> Artifacts:
    """Make the artifact of every segment of a program."""
    return Artifacts(model, program)


def subgraph(model: Model, operators: Iterable[str], inputs: Iterable[str], outputs: Iterable[str]) -> onnx.ModelProto:
    """An ONNX model of some operators; weights above `INLINE_BYTES` are absent.

    Args:
        model: where they come from.
        operators: names, in topological order.
        inputs: activations that enter.
        outputs: activations that leave.
    """
    names = list(operators)
    constants, weights = model.closure(names)
    nodes = [*constants, *(model.nodes[name] for name in names)]
    graph = onnx.helper.make_graph(
        nodes,
        "segment",
        [_info(model.graph, name) for name in inputs],
        [_info(model.graph, name) for name in outputs],
        [_initializer(model, name) for name in weights],
    )
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in _opsets(model, nodes).items()]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version, producer_name="hocket")


def whole(model: Model) -> onnx.ModelProto:
    """The whole model as one segment."""
    graph = model.graph
    return subgraph(
        model, [operator.name for operator in graph.operators], [t.name for t in graph.inputs], graph.outputs
    )


def _opsets(model: Model, nodes: Iterable[onnx.NodeProto]) -> Mapping[str, int]:
    used = {node.domain for node in nodes} | {""}
    return {domain: version for domain, version in model.opsets.items() if domain in used or domain == ""}


Kept = TypeVar("Kept", State, Counter)


def _by_segment(values: Iterable[Kept]) -> dict[str, list[Kept]]:
    found: dict[str, list[Kept]] = {}
    for value in values:
        found.setdefault(value.segment, []).append(value)
    return found


def _only_reader(graph: onnx.GraphProto, state: State) -> onnx.NodeProto:
    """The operator that fills a buffer.

    Raises:
        PlanError: there are several, or it is cut to fit.
    """
    readers = [node for node in graph.node if state.past in node.input]
    if len(readers) != 1 or readers[0].op_type == "Slice":
        raise PlanError(
            f"a buffer is filled by one operator, and {len(readers)} of {state.segment!r} read {state.past!r}; put"
            " them on one node"
        )
    return readers[0]


def _enter(graph: onnx.GraphProto, name: str, dtype: str, shape: tuple[int, ...]) -> int:
    graph.initializer.remove(next(each for each in graph.initializer if each.name == name))
    kind: int = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph.input.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    return kind


def _info(graph: Graph, name: str) -> onnx.ValueInfoProto:
    tensor = graph.tensor[name]
    kind = (
        onnx.TensorProto.STRING
        if tensor.dtype == "string"
        else onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    )
    return onnx.helper.make_tensor_value_info(name, kind, tensor.shape)


def _initializer(model: Model, name: str) -> onnx.TensorProto:
    declared = model.initializers[name]
    itemsize = dtype_of(declared).itemsize
    if (
        np.prod(declared.dims, dtype=np.int64) * itemsize <= INLINE_BYTES
        or declared.data_type == onnx.TensorProto.STRING
    ):
        return onnx.numpy_helper.from_array(np.ascontiguousarray(model.weight(name)).reshape(declared.dims), name)
    proto = onnx.TensorProto()
    proto.CopyFrom(declared)
    proto.data_location = onnx.TensorProto.EXTERNAL
    proto.external_data.add(key="location", value=ABSENT)
    return proto
