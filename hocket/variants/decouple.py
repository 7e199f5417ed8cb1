"""Layers of a Transformer decoupled into sub-blocks that exchange nothing (block parallelism).

A decoupled layer has several sub-blocks, each with some heads, some hidden units and a residual stream of its own;
what it makes of its heads stands for what all of them would make, so it is multiplied by the number of sub-blocks. At
the next layer that is kept as it is, the streams are averaged. If all streams were equal, that would be the original
sum; they are not, so **the function changes**: the weights are slices of the trained ones, where the authors then train
again.

Source: Du, Wei, Ye, Jiang, Chen, Huang, Lu: Co-Designing Transformer Architectures for Distributed Inference With Low
Communication, IEEE TPDS 36(4), 2025.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from hocket.errors import FormatError, GraphError
from hocket.graph.execute import Runner
from hocket.graph.layers import Layers, layers_of
from hocket.graph.model import Model
from hocket.graph.onnx import load_model
from hocket.variants.streams import Streams

_MOST_INSIDE_BYTES = 1 << 30  # an ONNX file holds less than 2 GB


def decouple(model: Model, path: str | Path, *, groups: int, every: int) -> Model:
    """Write a variant of a Transformer in which layers are decoupled, and read it.

    Args:
        model: with layers of attention and MLP.
        path: the ONNX file to write; weights beyond 1 GB go to a second file beside it.
        groups: sub-blocks of a decoupled layer, at most its heads and hidden units; with 1 the function stays.
        every: the last of so many layers is kept as it is; with 1 all are.

    Raises:
        GraphError: no layers, or more groups than heads.
        FormatError: the file cannot be written.
    """
    layers = _checked(model, groups, every)
    writer = Streams(model, groups)
    writer.copy(layers.prologue)
    for number, layer in enumerate(layers.groups(), 1):
        for half in layer:
            if number % every:
                writer.divided(half)
            else:
                writer.merge()
                writer.copy(half.names)
    writer.merge()
    writer.copy(layers.epilogue)
    return load_model(_saved(writer.model(), Path(path)))


def _checked(model: Model, groups: int, every: int) -> Layers:
    layers = layers_of(model.graph)
    if layers is None:
        raise GraphError(f"{model.graph.name!r} has no Transformer layers to decouple; give a Transformer")
    most = min(half.units for half in layers.halves)
    if not 1 <= groups <= most:
        raise GraphError(
            f"a layer has between 1 and as many sub-blocks as heads, {most} in {model.graph.name!r}, got {groups};"
            " correct groups"
        )
    if every < 1:
        raise GraphError(f"one of every 1 or more layers is kept, got {every}; correct every")
    return layers


def _saved(proto: onnx.ModelProto, path: Path) -> Path:
    try:
        onnx.save(
            proto,
            str(path),
            save_as_external_data=proto.ByteSize() > _MOST_INSIDE_BYTES,
            location=f"{path.name}.data",
        )
    except OSError as error:
        raise FormatError(f"{path} cannot be written ({error.strerror}); give a path in a writable folder") from None
    return path


def measured_error(model: Model, variant: Model, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How far a variant is off on some inputs: output -> root of the mean squared difference / that of the model.

    Args:
        model: the original.
        variant: with the same inputs and outputs.
        inputs: one request.
    """
    wanted, found = _answers(model, inputs), _answers(variant, inputs)
    return {name: _off(found[name], wanted[name]) for name in model.graph.outputs}


def _off(found: np.ndarray, wanted: np.ndarray) -> float:
    size = float(np.sqrt(np.mean(np.square(wanted, dtype=np.float64))))
    error = float(np.sqrt(np.mean(np.square(found.astype(np.float64) - wanted))))
    return error / size if size else error


def _answers(model: Model, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    writer = Streams(model, 1)
    writer.copy(tuple(operator.name for operator in model.graph.operators))
    return Runner(model, writer.model()).run(inputs)
