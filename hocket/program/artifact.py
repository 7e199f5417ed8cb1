"""What a segment needs besides its place in the program: a model without weights, and its weights by hash."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from hocket.nouns import Value

ABSENT = "hocket:absent"
"""The external-data location of an initializer whose data are not in the file."""


class Artifact(Value, frozen=True):
    """The model of one segment: ONNX bytes whose large initializers are `ABSENT`, and their hashes."""

    segment: str
    sha256: str
    """Of `model`."""
    model: bytes
    weights: Mapping[str, str]
    """Name of an absent initializer -> sha256 of dtype, shape and bytes (`tensor_hash`)."""


class WeightSource(Protocol):
    """Gives a weight by its hash."""

    def __call__(self, sha256: str) -> np.ndarray: ...


def tensor_hash(array: np.ndarray) -> str:
    """Name a weight by its content: sha256 of dtype, shape and bytes in row-major order.

    >>> tensor_hash(np.zeros((2, 3), np.float32))[:12]
    'a01624450ba7'
    """
    dtype = array.dtype.newbyteorder("<") if array.dtype.byteorder == ">" else array.dtype
    # Not ascontiguousarray: that makes a scalar one-dimensional and so changes its name.
    array = np.asarray(array, dtype, order="C")
    digest = hashlib.sha256(f"{dtype.name}{list(array.shape)}".encode())
    digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
