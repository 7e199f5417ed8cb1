"""Tiny programs and their models, for tests of the runtime."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from hocket.program import (
    ABSENT,
    INPUT,
    Artifact,
    Binding,
    Port,
    Program,
    Resource,
    Segment,
    Site,
    TensorInfo,
    Transfer,
    Wire,
    tensor_hash,
)

SHAPE = (1, 4)


def no_weights(sha256: str) -> np.ndarray:
    """A weight source that must not be asked."""
    raise AssertionError(sha256)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    *,
    initializers: Sequence[onnx.TensorProto] = (),
    types: Mapping[str, int] | None = None,
    extra_domain: str = "",
) -> bytes:
    """ONNX bytes of a small graph; tensors are float32 unless `types` says otherwise."""
    types = types or {}

    def info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)

    graph = helper.make_graph(
        list(nodes), "tiny", [info(*item) for item in inputs.items()], [info(*item) for item in outputs.items()],
        list(initializers),
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18)]
    if extra_domain:
        opsets.append(helper.make_opsetid(extra_domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def absent(name: str, array: np.ndarray) -> onnx.TensorProto:
    """An initializer without its data."""
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=array.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", ABSENT), ("length", str(array.nbytes))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def artifact(segment: str, data: bytes, weights: Mapping[str, np.ndarray] | None = None) -> Artifact:
    """The artifact of a model."""
    hashes = {name: tensor_hash(array) for name, array in (weights or {}).items()}
    return Artifact(segment=segment, sha256=hashlib.sha256(data).hexdigest(), model=data, weights=hashes)


def add(segment: str, source: str, target: str, amount: float = 1.0, shape: tuple[int, ...] = SHAPE) -> Artifact:
    """A segment's model: target = source + amount."""
    constant = helper.make_tensor("amount", TensorProto.FLOAT, [], [amount])
    node = helper.make_node("Add", [source, "amount"], [target], name=target)
    return artifact(segment, model([node], {source: shape}, {target: shape}, initializers=[constant]))


def port(tensor: str, *sources: str, **options: object) -> Port:
    """An input port."""
    return Port(tensor=tensor, sources=sources, **options)


def segment(id: str, node: str, inputs: Sequence[Port], outputs: Sequence[str], **options: object) -> Segment:
    """A segment whose operators are its outputs."""
    return Segment(id=id, node=node, operators=tuple(outputs), inputs=tuple(inputs), outputs=tuple(outputs), **options)


def transfer(id: str, tensor: str, source: str, *path: str, nbytes: int = 16, **options: object) -> Transfer:
    """A transfer along nodes."""
    return Transfer(id=id, tensor=tensor, source=source, path=path, nbytes=nbytes, **options)


def infos(*names: str, shape: tuple[int, ...] = SHAPE, dtype: str = "float32") -> tuple[TensorInfo, ...]:
    """Tensors of one shape."""
    return tuple(TensorInfo(name=name, dtype=dtype, shape=shape) for name in names)


def program(
    nodes: str | Sequence[str],
    segments: Sequence[Segment],
    transfers: Sequence[Transfer],
    tensors: Sequence[TensorInfo],
    outputs: Sequence[Binding],
    *,
    inputs: Sequence[Binding] = (Binding(tensor="x", node="a"),),
    wires: Sequence[Wire] = (),
    resources: Sequence[Resource] = (),
    window: int = 2,
    slowdown: float = 1.0,
) -> Program:
    """A program over named nodes."""
    return Program(
        name="tiny",
        sites=tuple(Site(name=node, slowdown=slowdown) for node in nodes),
        wires=tuple(wires),
        resources=tuple(resources),
        tensors=tuple(tensors),
        segments=tuple(segments),
        transfers=tuple(transfers),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        window=window,
    )


def there_and_back(
    window: int = 2, shape: tuple[int, ...] = SHAPE, codec: str = "raw", **options: object
) -> tuple[Program, list[Artifact]]:
    """x + 1 on a, + 10 on b, + 100 on a again."""
    segments = [
        segment("s0", "a", [port("x", INPUT)], ["u"]),
        segment("s1", "b", [port("u", "t0")], ["v"]),
        segment("s2", "a", [port("v", "t1")], ["y"]),
    ]
    nbytes = 4 * int(np.prod(shape))
    transfers = [
        transfer("t0", "u", "s0", "a", "b", nbytes=nbytes, codec=codec),
        transfer("t1", "v", "s1", "b", "a", nbytes=nbytes, codec=codec),
    ]
    outputs = [Binding(tensor="y", node="a", source="s2")]
    models = [add("s0", "x", "u", 1, shape), add("s1", "u", "v", 10, shape), add("s2", "v", "y", 100, shape)]
    tensors = infos("x", "u", "v", "y", shape=shape)
    return program("ab", segments, transfers, tensors, outputs, window=window, **options), models
