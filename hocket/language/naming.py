"""From the matrices of a model, wherever they were stored, to the weights of its graph."""

from typing import Protocol

import numpy as np

from hocket.errors import FormatError
from hocket.language.config import Config
from hocket.language.decoder import decoder
from hocket.language.language_model import absent_weights
from hocket.language.matrices import BITS
from hocket.language.quantise import quantise


class Source(Protocol):
    """Gives float32 data by the builder's names."""

    def matrix(self, name: str) -> np.ndarray:
        """[outputs, inputs] of a product, named after its operator; [rows, width] of the table of tokens."""

    def vector(self, name: str) -> np.ndarray:
        """A scale, a bias, or the table of positions, by the name of the weight."""


def weights_of(config: Config, source: Source) -> dict[str, np.ndarray]:
    """All weights of a decoder, stored as its configuration says.

    Raises:
        FormatError: one is missing, or has another shape than the configuration says.
    """
    weights: dict[str, np.ndarray] = {}
    for name, proto in absent_weights(decoder(config)).items():
        if name in weights:
            continue
        owner, _, suffix = name.rpartition(".")
        if suffix in ("packed", "scales", "zeros"):
            matrix = _head(config, source) if owner == "head" else source.matrix(owner)
            made = quantise(
                _sized(owner, matrix, _matrix_shape(config, owner)), BITS[config.precision], config.block_size
            )
            weights |= {f"{owner}.{part}": value for part, value in made.items()}
            continue
        rows = owner in ("token_embedding", "head")
        if suffix == "weight" and (rows or (len(proto.dims) == 2 and owner != "position_embedding")):
            value = source.matrix(owner)
            value = value if rows else value.T
        else:
            value = source.vector(name)
        value = _sized(name, value, tuple(proto.dims))
        half = config.precision != "float32" and suffix == "weight" and len(proto.dims) == 2
        weights[name] = np.ascontiguousarray(
            value, np.float16 if half and owner != "position_embedding" else np.float32
        )
    return weights


def _head(config: Config, source: Source) -> np.ndarray:
    return source.matrix("token_embedding" if config.tied else "head")


def _matrix_shape(config: Config, owner: str) -> tuple[int, int]:
    """[outputs, inputs] of a product."""
    if owner == "head":
        return config.vocabulary, config.width
    return {
        "query": (config.query_width, config.width),
        "key": (config.kv_width, config.width),
        "value": (config.kv_width, config.width),
        "output": (config.width, config.query_width),
        "gate": (config.hidden, config.width),
        "up": (config.hidden, config.width),
        "down": (config.width, config.hidden),
    }[owner.rpartition(".")[2]]


def _sized(name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if value.shape != shape:
        raise FormatError(
            f"the configuration makes {name!r} {shape}, and the file has {value.shape}; fetch the file again"
        )
    return value
