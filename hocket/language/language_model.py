"""A language model: its numbers, weights and tokenizer, and the caches that must stay where its layers are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import onnx

from hocket.errors import GraphError
from hocket.graph.model import Model
from hocket.graph.onnx import bind_model
from hocket.graph.weights import checked, random_weight
from hocket.language.config import Config
from hocket.language.decoder import Logits, cache_names, decoder
from hocket.language.tokenizer import Tokenizer
from hocket.nouns import Value


class Cache(Value, frozen=True):
    """A state of one layer: what a step makes of it is what the next step reads."""

    layer: int
    past: str
    """The input."""
    present: str
    """The output; the same memory as the input, if one wishes."""
    shape: tuple[str | int, ...]
    """Text is a symbolic size."""
    grows: int = 2
    """The axis that is filled from the front, one row for a token."""
    heads: int = 1
    """The axis that is cut when heads are divided."""
    dtype: str = "float32"


@dataclass(frozen=True)
class LanguageModel:
    """What a node or a fleet needs to continue texts.

    Raises:
        GraphError: a weight is missing, unknown, or of another shape or type than the configuration's.
    """

    config: Config
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Name -> data; empty for the structure alone, with which one can plan."""
    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        if not self.weights:
            return
        wanted = absent_weights(decoder(self.config))
        for name, proto in wanted.items():
            if name not in self.weights:
                raise GraphError(
                    f"a model has all of its weights, and {self.config.name!r} lacks {name!r}; give the whole model"
                )
            checked(proto, self.weights[name])
        for name in self.weights:
            if name not in wanted:
                raise GraphError(f"{self.config.name!r} has no weight {name!r}; leave it out")

    @property
    def caches(self) -> tuple[Cache, ...]:
        """Keys and values of every layer, in the order of the layers."""
        shape = ("batch", self.config.kv_heads, "capacity", self.config.head_size)
        return tuple(
            Cache(layer=layer, past=f"past_{name}", present=f"present_{name}", shape=shape)
            for layer in range(self.config.layers)
            for name in cache_names(layer)
        )

    def structure(self, *, logits: Logits = "last", candidates: int = 0) -> onnx.ModelProto:
        """The graph with symbolic sizes, its weights absent."""
        return decoder(self.config, logits=logits, candidates=candidates)

    def model(self, *, sequence: int, capacity: int, batch: int = 1, logits: Logits = "last") -> Model:
        """The model of one step, for planners and nodes.

        Args:
            sequence: new tokens: 1 for a step of decoding, the prompt's length for its reading.
            capacity: tokens that the caches have room for; the attention is counted as if they were full.
            batch: texts that are continued together.
            logits: of the last token alone, or of all new ones.

        Raises:
            GraphError: more tokens than the model's context.
        """
        if not sequence <= capacity <= self.config.context:
            raise GraphError(
                f"new tokens <= capacity <= context, and {self.config.name!r} is asked for {sequence}, {capacity} and"
                f" has {self.config.context}; ask for fewer"
            )
        sizes = {"batch": batch, "sequence": sequence, "capacity": capacity}
        return self.weighing(bind_model(self.structure(logits=logits), sizes))

    def weighing(self, model: Model) -> Model:
        """A bound model with these weights, as far as it reads them."""
        used = {name: value for name, value in self.weights.items() if name in model.initializers}
        return model.with_weights(used) if used else model

    def with_random_weights(self) -> "LanguageModel":
        """The same model with seeded weights, for tests and timings."""
        return replace(self, weights=random_weights(decoder(self.config)))


def absent_weights(structure: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The weights of a graph whose data are elsewhere."""
    return {proto.name: proto for proto in structure.graph.initializer if proto.external_data}


def random_weights(structure: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Seeded data for the absent weights of a graph, of a sensible size for what reads them."""
    uses: dict[str, tuple[str, int]] = {}
    for node in structure.graph.node:
        for index, name in enumerate(node.input):
            uses.setdefault(name, (node.op_type, index))
    return {name: random_weight(proto, *uses[name]) for name, proto in absent_weights(structure).items()}
