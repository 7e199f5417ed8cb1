"""A language model for planners and nodes: its caches stay where their layers are, and its steps differ in length."""

from dataclasses import replace

import numpy as np
import onnx

from hocket.errors import GraphError
from hocket.graph.graph import Buffer, Graph
from hocket.graph.model import Model
from hocket.graph.onnx import bind_model
from hocket.language.language_model import LanguageModel
from hocket.program import ABSENT

MOST_TOKENS = 256
"""That are read in one request; longer prompts are read in pieces."""


def dividable(model: LanguageModel, *, capacity: int, tokens: int = 1) -> Model:
    """The model of a step with its caches as buffers, which count as memory of the node that has the layer.

    Args:
        model: with or without its weights.
        capacity: most tokens of a text; a buffer has room for so many.
        tokens: of the step whose cost is planned: 1 = decoding; a request may bring up to 256 all the same.

    Raises:
        GraphError: more capacity than the model's context.
    """
    config = model.config
    if not 1 <= capacity <= config.context:
        raise GraphError(
            f"a context of {config.name!r} has 1 to {config.context} tokens, got {capacity}; ask for another"
        )
    proto = _with_buffers(model, capacity)
    step, longest = _bound(proto, tokens, capacity), _bound(proto, min(MOST_TOKENS, capacity), capacity)
    shape = _shape(model, capacity)
    buffers = tuple(Buffer(past=c.past, present=c.present, dtype=c.dtype, shape=shape) for c in model.caches)
    free = _free(longest.graph, _bound(proto, 1, capacity).graph)
    made = replace(step, graph=step.graph.replace(buffers=buffers, free=free))
    used = {name: value for name, value in model.weights.items() if name in made.initializers}
    return made.with_weights(used) if used else made


def _bound(proto: onnx.ModelProto, tokens: int, capacity: int) -> Model:
    return bind_model(proto, {"batch": 1, "sequence": tokens, "capacity": capacity})


def _shape(model: LanguageModel, capacity: int) -> tuple[int, ...]:
    return 1, model.config.kv_heads, capacity, model.config.head_size


def _with_buffers(model: LanguageModel, capacity: int) -> onnx.ModelProto:
    """The graph with absent weights for past caches, and without the present ones among its outputs."""
    proto = model.structure()
    pasts = {cache.past for cache in model.caches}
    presents = {cache.present for cache in model.caches}
    for value in [each for each in proto.graph.input if each.name in pasts]:
        proto.graph.input.remove(value)
    for value in [each for each in proto.graph.output if each.name in presents]:
        proto.graph.output.remove(value)
    for cache in model.caches:
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(cache.dtype))
        weight = onnx.TensorProto(name=cache.past, data_type=kind, dims=_shape(model, capacity))
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=ABSENT)
        proto.graph.initializer.append(weight)
    return proto


def _free(longest: Graph, shortest: Graph) -> dict[str, tuple[tuple[int, int], ...]]:
    """The axes whose length follows from the number of tokens, and the most that it can be."""
    found = {}
    for tensor in longest.tensors:
        other = shortest.tensor[tensor.name].shape
        axes = tuple((axis, length) for axis, length in enumerate(tensor.shape) if length != other[axis])
        if axes:
            found[tensor.name] = axes
    return found
