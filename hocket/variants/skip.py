"""A model without a run of its operators: what a skip connection leaves when the block beside it is lost."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from hocket.errors import FormatError, GraphError
from hocket.graph.model import Model
from hocket.graph.onnx import load_model


def skip(model: Model, operators: Sequence[str], path: str | Path) -> Model:
    """The model without some operators that take one tensor and give one of the same shape.

    Args:
        model: with its weights.
        operators: names; what they give is replaced by what they take.
        path: where the new model is written.

    Raises:
        GraphError: they take or give several tensors, of several shapes, or one of them is an output of the model.
    """
    graph, gone = model.graph, set(operators)
    inside = [operator for operator in graph.operators if operator.name in gone]
    if len(inside) != len(gone) or not inside:
        raise GraphError(
            f"a run that is skipped has operators of the model, got {sorted(gone)[:3]}; name existing ones"
        )
    made = {name for operator in inside for name in operator.outputs}
    taken = {name for operator in inside for name in operator.inputs} - made
    given = {
        name for operator in graph.operators if operator.name not in gone for name in operator.inputs if name in made
    } | made.intersection(graph.outputs)
    if len(taken) != 1 or len(given) != 1 or given & set(graph.outputs):
        raise GraphError(
            f"a run that is skipped takes one tensor and gives one inside of the model, and this one takes"
            f" {sorted(taken)} and gives {sorted(given)}; choose a block with a way around it"
        )
    (before,), (after,) = taken, given
    if graph.tensor[before].shape != graph.tensor[after].shape:
        raise GraphError(
            f"what is skipped keeps the shape, and {before!r} {list(graph.tensor[before].shape)} becomes {after!r}"
            f" {list(graph.tensor[after].shape)}; choose a block that keeps it"
        )
    return _written(model, gone, before, after, Path(path))


def _written(model: Model, gone: set[str], before: str, after: str, path: Path) -> Model:
    graph = model.graph
    names = [operator.name for operator in graph.operators if operator.name not in gone]
    constants, weights = model.closure(names)
    nodes = []
    for name in names:
        node = onnx.NodeProto()
        node.CopyFrom(model.nodes[name])
        node.input[:] = [before if each == after else each for each in node.input]
        nodes.append(node)
    infos = {
        name: onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(graph.tensor[name].dtype)), graph.tensor[name].shape
        )
        for name in [*(tensor.name for tensor in graph.inputs), *graph.outputs]
    }
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(
            [*constants, *nodes],
            f"{graph.name}_skipped",
            [infos[tensor.name] for tensor in graph.inputs],
            [infos[name] for name in graph.outputs],
            [onnx.numpy_helper.from_array(model.weight(name), name) for name in weights],
        ),
        opset_imports=[onnx.helper.make_opsetid(domain, version) for domain, version in model.opsets.items()],
        ir_version=model.ir_version,
    )
    try:
        onnx.save(proto, str(path))
    except OSError as error:
        raise FormatError(f"{path} cannot be written ({error.strerror}); give a path in a writable folder") from None
    loaded = load_model(path)
    return replace(loaded, graph=loaded.graph.replace(name=f"{graph.name}_skipped"))
