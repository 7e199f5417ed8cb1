"""ONNX in: read, bind, inline, infer and fold until every shape is a number and every constant is known."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx_ir.passes import common as passes

from hocket.errors import FormatError, GraphError
from hocket.graph.body import write_body
from hocket.graph.flops import flops, macs
from hocket.graph.fold import fold, read_data
from hocket.graph.graph import Graph, Operator, Source, Tensor, nbytes
from hocket.graph.infer import infer_shapes
from hocket.graph.model import Model, reads
from hocket.graph.weights import dtype_of
from hocket.program import ABSENT

OPSETS = range(9, 25)
UNKNOWN = -1
"""What some exporters write for a size that is not fixed."""
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


def load_model(
    path: str | Path, *, shapes: Mapping[str, tuple[int, ...]] | None = None, sizes: Mapping[str, int] | None = None
) -> Model:
    """Read an ONNX file; its weights stay on disk until they are asked for.

    Args:
        path: the file; external data are looked for beside it. Weights may be absent.
        shapes: input -> its shape, for inputs with symbolic or unknown sizes.
        sizes: symbolic size -> number, instead of or besides `shapes`.

    Raises:
        FormatError: not an ONNX file.
        GraphError: a model that cannot be planned: unknown operators, sizes that nobody bound, no fixed shape.
    """
    path = Path(path)
    return _import(_read(path), path, shapes or {}, sizes or {})


def bind_model(proto: onnx.ModelProto, sizes: Mapping[str, int]) -> Model:
    """Fix the symbolic sizes of a model in memory; see `load_model`.

    Args:
        proto: whose weights may be absent; its graph's name becomes the name of the model.
        sizes: symbolic size -> number.
    """
    model = ir.serde.deserialize_model(proto)
    return _import(model, proto.SerializeToString(deterministic=True), {}, sizes, proto.graph.name)


def _import(
    model: ir.Model,
    origin: Path | bytes,
    shapes: Mapping[str, tuple[int, ...]],
    sizes: Mapping[str, int],
    name: str = "",
) -> Model:
    """Make a model from what a file, or these bytes, say."""
    _check_operators(model, name or str(origin))
    bound = _bind(model, shapes, sizes)
    reason = _canonical(model)
    try:
        return _assemble(model, origin, bound, name)
    except GraphError as error:
        if not reason:
            raise
        raise GraphError(f"{error}; shape inference says: {reason[:300]}") from None


def _read(path: Path) -> ir.Model:
    if not path.is_file():
        raise FormatError(f"{path} is not a file; give the path of an ONNX model")
    try:
        model = ir.load(path.absolute())  # beside a bare file name, data would be looked for everywhere
        opset = model.opset_imports.get("", model.opset_imports.get("ai.onnx", 0))
        _ = [node.op_type for node in model.graph]
    except (DecodeError, ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FormatError(f"{path} is not an ONNX model ({reason}); export the model to ONNX again") from None
    if not list(model.graph) and not list(model.graph.inputs):
        raise FormatError(f"{path} is not an ONNX model (it holds no operator); export the model to ONNX again")
    if opset not in OPSETS:
        raise GraphError(
            f"the operator set is {OPSETS.start} to {OPSETS.stop - 1}, and {path} has {opset};"
            " export it again with another opset_version"
        )
    return model


def _check_operators(model: ir.Model, path: str) -> None:
    functions = {(function.domain, function.name) for function in model.functions.values()}
    for node in model.graph:
        if (node.domain, node.op_type) in functions:
            continue
        known = node.domain in DOMAINS and (
            node.domain == "com.microsoft"
            or onnx.defs.has(node.op_type, "" if node.domain == "ai.onnx" else node.domain)
        )
        if not known:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise GraphError(
                f"every operator is one of ONNX, and {path} has {name!r} at {_first_output(node)!r};"
                " replace it before the export"
            )


def _bind(model: ir.Model, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]) -> dict[str, int]:
    """Give every input a fixed shape; returns what each symbol became."""
    passes.RemoveInitializersFromInputsPass()(model)
    inputs = {value.name: value for value in model.graph.inputs}
    for name in shapes:
        if name not in inputs:
            raise GraphError(f"the model has no input {name!r}; its inputs are {', '.join(map(str, inputs))}")
    for symbol, size in sizes.items():
        if size < 1:
            raise GraphError(f"a size is at least 1, and {symbol!r} is {size}; bind it to another number")
    bound: dict[str, int] = dict(sizes)
    for name, value in inputs.items():
        if value.shape is None and name not in shapes:
            raise GraphError(f"input {name!r} has no shape; bind it with --shape {name}=1,3,224,224 for example")
        if name in shapes:
            _agree(str(name), value, shapes[str(name)], bound)
    for name, value in inputs.items():
        if value.shape is None:
            value.shape = ir.Shape(shapes[str(name)])
            continue
        value.shape = ir.Shape([_size(str(name), value.shape, dim, bound) for dim in value.shape])
    return bound


def _agree(name: str, value: ir.Value, shape: tuple[int, ...], bound: dict[str, int]) -> None:
    """Take the sizes of one input from a shape that the caller gave."""
    declared = value.shape if value.shape is not None else ir.Shape(shape)
    fits = len(declared) == len(shape) and all(
        not isinstance(dim, int) or dim in (size, UNKNOWN) for dim, size in zip(declared, shape, strict=True)
    )
    if not fits or min(shape, default=1) < 1:
        text = ",".join(map(str, declared))
        raise GraphError(f"input {name!r} has the shape {text}, got {','.join(map(str, shape))}; bind what is symbolic")
    for dim, size in zip(declared, shape, strict=True):
        symbol = None if isinstance(dim, int) else dim.value
        if symbol is not None and bound.setdefault(symbol, size) != size:
            raise GraphError(f"the size {symbol!r} is {bound[symbol]} and {size} at once; bind it to one number")
    value.shape = ir.Shape(shape)


def _size(name: str, shape: ir.Shape, dim: Any, bound: Mapping[str, int]) -> int:
    if isinstance(dim, int) and dim != UNKNOWN:
        return dim
    value = "" if isinstance(dim, int) else str(dim.value or "")
    if value in bound:
        return bound[value]
    text = ",".join(str(d) if isinstance(d, int) and d != UNKNOWN else "N" for d in shape)
    symbol = value or "?"
    raise GraphError(f"the size {symbol!r} of input {name!r} is not bound; give --shape {name}={text} with numbers")


def _canonical(model: ir.Model) -> str:
    """Inline functions, lift constants, and alternate inference and folding until nothing changes.

    Returns why inference failed, or an empty string; a model that brings all its shapes does not need it.
    """
    passes.InlinePass()(model)
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    passes.TopologicalSortPass()(model)
    for node in model.graph:
        for value in node.outputs:
            if value.shape is not None and not _fixed(value):
                value.shape = None
    for _ in range(64):  # each round fixes at least one more shape or constant; real models take 2 to 6
        reason = infer_shapes(model)
        if not fold(model):
            break
    passes.RemoveUnusedNodesPass()(model)
    return reason


def _fixed(value: ir.Value) -> bool:
    return value.shape is not None and all(isinstance(dim, int) for dim in value.shape)


def _first_output(node: ir.Node) -> str:
    return next((value.name for value in node.outputs if value.name), "")


def _tensor(value: ir.Value, node: ir.Node | None) -> Tensor:
    if not _fixed(value) or value.dtype is None or value.shape is None:
        where = f"of operator {node.op_type!r} " if node is not None else ""
        raise GraphError(
            f"every tensor needs a fixed shape, and {value.name!r} {where}has none;"
            " bind its symbolic sizes with --shape, or place a model without data-dependent shapes"
        )
    dtype = value.dtype.numpy().name if value.dtype != ir.DataType.STRING else "string"
    return Tensor(name=str(value.name), dtype=dtype, shape=tuple(int(dim) for dim in value.shape))


def _assemble(model: ir.Model, origin: Path | bytes, bound: dict[str, int], title: str) -> Model:
    initializers = {str(name): value for name, value in model.graph.initializers.items()}
    protos = {name: _weight_proto(name, value) for name, value in initializers.items()}
    inputs = tuple(_tensor(value, None) for value in model.graph.inputs)
    sizes: dict[str, tuple[int, ...]] = {tensor.name: tensor.shape for tensor in inputs}
    sizes |= {name: tuple(proto.dims) for name, proto in protos.items()}
    nodes: dict[str, onnx.NodeProto] = {}
    constants: dict[str, onnx.NodeProto] = {}
    behind: dict[str, tuple[str, ...]] = {}
    operators: list[Operator] = []
    tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in inputs}
    for node in model.graph:
        proto = ir.serde.serialize_node(node)
        named = reads(proto)
        weights = [name for name in named if name in protos]
        weights += [weight for name in named for weight in behind.get(name, ())]
        made = [_tensor(value, node) for value in node.outputs if value.name and _wanted(value)]
        sizes |= {tensor.name: tensor.shape for tensor in made}
        proto.name = made[0].name if made else _first_output(node)
        activations = tuple(name for name in named if name in tensors)
        if not activations:
            constants |= dict.fromkeys((tensor.name for tensor in made), proto)
            behind |= dict.fromkeys((tensor.name for tensor in made), tuple(weights))
            continue
        tensors |= {tensor.name: tensor for tensor in made}
        nodes[proto.name] = proto
        operators.append(_operator(node, proto, activations, made, dict.fromkeys(weights), sizes, protos))
    outputs = tuple(str(value.name) for value in model.graph.outputs)
    for name in outputs:
        if name not in tensors:
            raise GraphError(f"the output {name!r} does not depend on any input; remove it before the export")
    used = {name for operator in operators for name in operator.weights}

    def values(name: str) -> np.ndarray | None:
        tensor = initializers[name].const_value
        return None if tensor is None or _is_absent(initializers[name]) else read_data(name, tensor)

    kept = {name: protos[name] for name in used}
    opsets = dict(model.opset_imports)
    ir_version = min(model.ir_version, 10) if opsets.get("", 0) <= 21 else model.ir_version
    graph = Graph(
        name=origin.stem if isinstance(origin, Path) else title,
        inputs=inputs,
        outputs=outputs,
        operators=tuple(operators),
        tensors=tuple(tensors.values()),
        weights={name: nbytes(_dtype(protos[name]), tuple(protos[name].dims)) for name in sorted(used)},
        source=Source(
            path=str(origin.resolve()) if isinstance(origin, Path) else "",
            sha256=_hash(origin, inputs),
            has_weights=not any(_is_absent(initializers[name]) for name in used),
        ),
        bindings={key: value for key, value in sorted(bound.items()) if key},
        body=write_body([*constants.values(), *nodes.values()], dict(sorted(kept.items())), values, opsets, ir_version),
    )
    return Model(
        graph=graph,
        nodes=nodes,
        constants=constants,
        initializers=kept,
        values=values,
        opsets=opsets,
        ir_version=ir_version,
    )


def _wanted(value: ir.Value) -> bool:
    """Outputs that nobody reads (a pool's indices, a normalisation's statistics) need no shape."""
    return bool(value.uses()) or value.is_graph_output() or value.index() == 0


def _operator(
    node: ir.Node,
    proto: onnx.NodeProto,
    inputs: tuple[str, ...],
    made: list[Tensor],
    weights: Mapping[str, None],
    sizes: Mapping[str, tuple[int, ...]],
    protos: Mapping[str, onnx.TensorProto],
) -> Operator:
    weight_bytes = sum(nbytes(_dtype(protos[name]), tuple(protos[name].dims)) for name in weights)
    return Operator(
        name=proto.name,
        kind=f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type,
        inputs=inputs,
        outputs=tuple(tensor.name for tensor in made),
        weights=tuple(weights),
        macs=macs(proto, sizes),
        flops=flops(proto, sizes),
        weight_bytes=weight_bytes,
        moved_bytes=weight_bytes + sum(tensor.nbytes for tensor in made),
        scope=_scope(node),
    )


def _scope(node: ir.Node) -> str:
    """The path of the innermost module, from what PyTorch's exporter writes beside a node."""
    text = node.metadata_props.get("pkg.torch.onnx.name_scopes", "")
    names = [name.strip().strip("'\"") for name in text.strip("[]").split(",")]
    return next((name for name in reversed(names[:-1]) if name), "")


def _dtype(proto: onnx.TensorProto) -> str:
    return "string" if proto.data_type == onnx.TensorProto.STRING else dtype_of(proto).name


def _weight_proto(name: str, value: ir.Value) -> onnx.TensorProto:
    if value.const_value is None:
        raise GraphError(f"initializer {name!r} has neither data nor a place for them; export the model again")
    shape = [int(dim) for dim in value.const_value.shape]
    return onnx.TensorProto(name=name, dims=shape, data_type=int(value.const_value.dtype))


def _is_absent(value: ir.Value) -> bool:
    tensor = value.const_value
    return isinstance(tensor, ir.ExternalTensor) and str(tensor.location) == ABSENT


def _hash(origin: Path | bytes, inputs: tuple[Tensor, ...]) -> str:
    """Of the file (or the bytes) and the shapes that its inputs were bound to."""
    digest = hashlib.sha256(b"" if isinstance(origin, Path) else origin)
    if isinstance(origin, Path):
        with origin.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    digest.update(repr([(tensor.name, tensor.shape) for tensor in inputs]).encode())
    return digest.hexdigest()
