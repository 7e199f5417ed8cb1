"""A language model for planners and nodes: its caches stay where their layers are, and its steps differ in length."""

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Literal

import numpy as np
import onnx

from hocket.errors import GraphError
from hocket.graph.body import write_body
from hocket.graph.graph import Buffer, Counter, Graph, Tensor
from hocket.graph.model import Model
from hocket.graph.onnx import bind_model
from hocket.language.decoder import CANDIDATES
from hocket.language.language_model import LanguageModel
from hocket.program import ABSENT

_COUNTERS: Mapping[str, Literal["last", "total"]] = {"last_position": "last", "total_length": "total"}
MOST_TOKENS = 256
"""That are read in one request; longer prompts are read in pieces."""
USUAL_CANDIDATES = 256
"""Tokens whose scores leave the nodes: a fraction of a percent of what the scores of all would be."""


def dividable(model: LanguageModel, *, capacity: int, tokens: int = 1, candidates: int = USUAL_CANDIDATES) -> Model:
    """The model of a step with its caches as buffers, which count as memory of the node that has the layer.

    Args:
        model: with or without its weights.
        capacity: most tokens of a text; a buffer has room for so many.
        tokens: of the step whose cost is planned: 1 = decoding; a request may bring up to 256 all the same.
        candidates: the next token is one of so many likeliest, whose scores alone are brought to who chooses; 0 = all
            scores are brought. So are they where the vocabulary is not much larger.

    Raises:
        GraphError: more capacity than the model's context, or less than no candidates.
    """
    config = model.config
    if candidates < 0:
        raise GraphError(f"candidates are 1 or more, or 0 for all scores, got {candidates}; give another number")
    if not 1 <= capacity <= config.context:
        raise GraphError(
            f"a context of {config.name!r} has 1 to {config.context} tokens, got {capacity}; ask for another"
        )
    proto = _without_presents(model, candidates if 2 * candidates < config.vocabulary else 0)
    kept = {cache.past for cache in model.caches} | _COUNTERS.keys()

    def bound(batch: int, sequence: int) -> Model:
        return bind_model(proto, {"batch": batch, "sequence": sequence, "capacity": capacity})

    step = _resident(model.weighing(bound(1, tokens)), kept)
    one, long, pair = (bound(*sizes).graph for sizes in ((1, 1), (1, min(MOST_TOKENS, capacity)), (2, 1)))
    shape = (1, config.kv_heads, capacity, config.head_size)
    graph = step.graph.replace(
        buffers=tuple(Buffer(past=c.past, present=c.present, dtype=c.dtype, shape=shape) for c in model.caches),
        counters=tuple(
            Counter(name=name, counts=counts, dtype="int32", shape=(1,))
            for name, counts in _COUNTERS.items()
            if name in step.graph.weights
        ),
        free=_free(long, one),
        stacks=tuple(name for name in _stacking(pair, one) if name in step.graph.tensor),
    )
    return replace(step, graph=graph)


def candidates_of(graph: Graph) -> int:
    """How many tokens a graph gives scores of; 0 = all."""
    shape = graph.tensor[graph.outputs[0]].shape
    return shape[2] if graph.outputs[0] == CANDIDATES else 0


def spread(candidates: np.ndarray, vocabulary: int) -> np.ndarray:
    """Scores of all tokens from those of the likeliest; the others have no chance.

    Args:
        candidates: [2, so many], scores and tokens.
        vocabulary: of the model.

    Raises:
        GraphError: a token that the model does not have.

    >>> spread(np.array([[0.9, 0.5], [2, 0]], np.float32), 4).tolist()
    [0.5, -inf, 0.8999999761581421, -inf]
    """
    best, tokens = candidates
    scores = np.full(vocabulary, -np.inf, np.float32)
    if not 0 <= tokens.min() <= tokens.max() < vocabulary:
        wrong = next(token for token in tokens if not 0 <= token < vocabulary)
        raise GraphError(f"tokens are 0 to {vocabulary - 1}, and a node says {wrong:g}; check the model")
    scores[tokens.astype(np.int64)] = best
    return scores


def _without_presents(model: LanguageModel, candidates: int) -> onnx.ModelProto:
    """The graph without the present caches among its outputs: they leave no node."""
    proto = model.structure(candidates=candidates)
    presents = {cache.present for cache in model.caches}
    for value in [each for each in proto.graph.output if each.name in presents]:
        proto.graph.output.remove(value)
    return proto


def _resident(model: Model, names: Set[str]) -> Model:
    """The model with some inputs as weights: what is at the node already does not come from anywhere."""
    graph = model.graph
    sizes = {tensor.name: tensor for tensor in graph.inputs if tensor.name in names}
    operators = []
    for operator in graph.operators:
        own = [name for name in operator.inputs if name in sizes]
        operators.append(
            operator.replace(
                inputs=tuple(name for name in operator.inputs if name not in sizes),
                weights=(*operator.weights, *own),
                weight_bytes=operator.weight_bytes + sum(sizes[name].nbytes for name in own),
            )
        )
    absent = {name: _absent(tensor) for name, tensor in sizes.items()}
    initializers = {**model.initializers, **absent}

    def values(name: str) -> np.ndarray | None:
        return None if name in absent else model.values(name)

    nodes = [*model.constants.values(), *model.nodes.values()]
    changed = graph.replace(
        inputs=tuple(tensor for tensor in graph.inputs if tensor.name not in sizes),
        tensors=tuple(tensor for tensor in graph.tensors if tensor.name not in sizes),
        operators=tuple(operators),
        weights={**graph.weights, **{name: tensor.nbytes for name, tensor in sizes.items()}},
        body=write_body(nodes, initializers, values, model.opsets, model.ir_version),
    )
    return replace(model, graph=changed, initializers=initializers, values=values)


def _absent(tensor: Tensor) -> onnx.TensorProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    weight = onnx.TensorProto(name=tensor.name, data_type=kind, dims=tensor.shape)
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=ABSENT)
    return weight


def _free(longest: Graph, shortest: Graph) -> dict[str, tuple[tuple[int, int], ...]]:
    """The axes whose length follows from the number of tokens, and the most that it can be."""
    found = {}
    for tensor in longest.tensors:
        other = shortest.tensor[tensor.name].shape
        axes = tuple((axis, length) for axis, length in enumerate(tensor.shape) if length != other[axis])
        if axes:
            found[tensor.name] = axes
    return found


def _stacking(pair: Graph, one: Graph) -> list[str]:
    """The tensors in which two texts stand one after the other along axis 0."""
    return [
        tensor.name
        for tensor in pair.tensors
        if tensor.shape[:1] == (2,) and one.tensor[tensor.name].shape == (1, *tensor.shape[1:])
    ]
