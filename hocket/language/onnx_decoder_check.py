"""Whether an exported decoder and ours compute the same: both read a few tokens."""

from pathlib import Path

import numpy as np
import onnx_ir as ir

from hocket.errors import FormatError
from hocket.language.config import Config
from hocket.language.language_model import LanguageModel
from hocket.language.session import DecoderSession
from hocket.program import ABSENT
from hocket.runtime.executable import ORT_ERRORS, open_model

_TOKENS = 24
"""Reading so many costs less than loading the weights; what differs only far behind them is not seen."""
_INLINE_BYTES = 1024
"""Larger constants are given to ONNX Runtime apart from the graph."""
_ERRORS: tuple[type[Exception], ...] = (OSError, TypeError, LookupError, AttributeError, *ORT_ERRORS)
"""Of ONNX Runtime at a graph, and of reading constants that are not whole."""
_TOLERANCES = {4: 1e-3, 2: 3e-2}
"""Bytes of a score of the graph -> largest difference, in parts of the largest score."""


def probe(config: Config) -> list[int]:
    """Tokens from all over the vocabulary.

    >>> from hocket.language.config import PRESETS
    >>> probe(PRESETS["tiny_llama"])[:5]
    [1, 60, 23, 82, 46]
    """
    count = min(_TOKENS, config.context)
    return [int((1 + place * 0.6180339887 * config.vocabulary) % config.vocabulary) for place in range(count)]


def scores_of_export(model: ir.Model, config: Config, tokens: list[int]) -> np.ndarray:
    """What the exported graph makes of tokens before which there is nothing: [tokens, vocabulary].

    The graph is changed: its constants are taken out of it, and products with rounded matrices compute in float32.

    Raises:
        FormatError: its inputs are not those of a decoder, its constants are broken, or ONNX Runtime refuses it.
    """
    inputs = {str(value.name): _input(value, config, tokens) for value in model.graph.inputs}
    names = [str(value.name) for value in model.graph.outputs]
    wanted = "logits" if "logits" in names or not names else names[0]
    for node in model.graph:
        if node.op_type == "MatMulNBits":
            node.attributes.pop("accuracy_level", None)  # else activations are rounded, and the comparison is blurred
    try:
        weights = _taken_out(model)
        session, _values = open_model(ir.to_proto(model).SerializeToString(), weights)
        found: np.ndarray = np.asarray(session.run([wanted], inputs)[0])
    except _ERRORS as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"the exported graph cannot be run ({reason}); export the model again") from None
    if found.shape != (1, len(tokens), config.vocabulary):
        raise FormatError(
            f"scores of {len(tokens)} tokens are [1, {len(tokens)}, {config.vocabulary}] by config.json, and the graph"
            f" gives {list(found.shape)}; give the config.json of this model"
        )
    scores: np.ndarray = found[0]
    return scores


def compare(path: Path, model: LanguageModel, tokens: list[int], expected: np.ndarray) -> None:
    """Refuse a model whose scores differ from those of the graph that its weights are from.

    Args:
        path: of the graph.
        model: with float32 weights.
        tokens: that the graph read.
        expected: [tokens, vocabulary], what the graph made of them, in its own type.

    Raises:
        FormatError: the scores differ by more than rounding explains, or are not numbers.
    """
    tolerance = _TOLERANCES.get(expected.dtype.itemsize, _TOLERANCES[4])
    expected = expected.astype(np.float32)
    found = DecoderSession(model, capacity=len(tokens), logits="all").read(tokens)
    largest = float(np.abs(expected).max())
    difference = float(np.abs(found - expected).max())
    if not difference <= tolerance * largest:
        raise FormatError(
            f"our decoder and the graph that its weights are from give the same scores, and with {path} they differ by"
            f" {difference:.3g} where the largest is {largest:.3g}; its config.json is of another model, or the graph"
            " has something that is not read"
        )


def _input(value: ir.Value, config: Config, tokens: list[int]) -> np.ndarray:
    """What an input is before the first token: caches are empty."""
    name, count = str(value.name), len(tokens)
    known = {"input_ids": tokens, "attention_mask": [1] * count, "position_ids": list(range(count))}
    if value.dtype is None or value.shape is None:
        raise FormatError(f"inputs have a type and a shape, and {name!r} has none; export the model again")
    if name in known:
        return np.array([known[name]], value.dtype.numpy())
    if not name.startswith("past") or len(value.shape) != 4:
        raise FormatError(
            f"a decoder reads input_ids, attention_mask, position_ids and past keys and values, and this one {name!r};"
            " export it as one that continues texts"
        )
    return np.zeros((1, config.kv_heads, 0, config.head_size), value.dtype.numpy())


def _taken_out(model: ir.Model) -> dict[str, np.ndarray]:
    """Large constants by name; the graph keeps their shape. Files are read here, and only from the model's folder."""
    taken: dict[str, np.ndarray] = {}
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if tensor is None or (tensor.nbytes <= _INLINE_BYTES and not isinstance(tensor, ir.ExternalTensor)):
            continue
        taken[name] = np.ascontiguousarray(tensor.numpy())
        value.const_value = ir.ExternalTensor(
            ABSENT, offset=None, length=None, dtype=tensor.dtype, shape=tensor.shape, name=name
        )
    return taken
