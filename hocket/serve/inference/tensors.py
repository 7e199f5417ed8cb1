"""Tensors as bytes and as lists of numbers, checked before memory is spent on them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hocket.errors import FormatError
from hocket.serve.inference.dtypes import dtype_of
from hocket.units import shown

_MOST_AXES = 32
_KINDS: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}}


def from_bytes(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> np.ndarray:
    """A tensor from its bytes: row-major, little-endian; not copied.

    Raises:
        FormatError: the bytes are not so many as type and shape say, or a BOOL is neither 0 nor 1.
    """
    dtype = dtype_of(name, datatype)
    count = _count(name, shape)
    if len(data) != count * dtype.itemsize:
        raise FormatError(
            f"tensor {shown(name)}, {datatype} {list(shape)}, has {count * dtype.itemsize} bytes, and {len(data)} came;"
            " send all of it and no more"
        )
    flat = np.frombuffer(data, np.uint8 if dtype.kind == "b" else dtype)
    if dtype.kind == "b":
        if count and int(flat.max()) > 1:
            raise FormatError(f"tensor {shown(name)} is BOOL and has the byte {int(flat.max())}; send 0 or 1")
        flat = flat.view(np.bool_)
    return flat.astype(dtype.newbyteorder("="), copy=False).reshape(tuple(shape))


def to_bytes(array: np.ndarray) -> bytes:
    """The bytes of a tensor: row-major, little-endian."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def from_list(name: str, datatype: str, shape: Sequence[int], data: object) -> np.ndarray:
    """A tensor from numbers, nested as its shape says or flat in row-major order.

    Raises:
        FormatError: they are not so many, not of that type, or out of its range.
    """
    dtype = dtype_of(name, datatype).newbyteorder("=")
    count = _count(name, shape)
    flat = _flattened(name, shape, data)
    if len(flat) != count:
        raise FormatError(
            f"tensor {shown(name)} of shape {list(shape)} has {count} elements, and {len(flat)} came; send all of it"
        )
    strange = set(map(type, flat)) - _KINDS[dtype.kind]
    if strange:
        found = " and ".join(sorted(kind.__name__ for kind in strange))
        raise FormatError(f"tensor {shown(name)} is {datatype}, and its data has {found}; send {datatype} alone")
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype)
    except OverflowError:
        raise FormatError(f"tensor {shown(name)} has a number that is no {datatype}; send smaller ones") from None
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise FormatError(f"tensor {shown(name)} has a number too large for {datatype}; send smaller ones")
    return array.reshape(tuple(shape))


def to_list(name: str, array: np.ndarray) -> list[Any]:
    """The numbers of a tensor, flat in row-major order.

    Raises:
        FormatError: one is infinite or not a number, which JSON cannot say.
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise FormatError(f"output {name!r} has numbers that JSON cannot say (infinite or NaN); ask for binary data")
    return list(array.ravel().tolist())


def _count(name: str, shape: Sequence[int]) -> int:
    """Elements of a shape."""
    if len(shape) > _MOST_AXES or any(length < 0 for length in shape):
        raise FormatError(
            f"tensor {shown(name)} has a shape of at most {_MOST_AXES} lengths of 0 or more, got {shown(list(shape))};"
            " correct it"
        )
    return math.prod(shape)


def _flattened(name: str, shape: Sequence[int], data: object) -> list[Any]:
    if not isinstance(data, list):
        raise FormatError(f"the data of tensor {shown(name)} is a list, got {shown(data)}; send one")
    flat = data
    for length in shape[1:]:
        if not flat or not isinstance(flat[0], list):
            break
        if any(not isinstance(row, list) or len(row) != length for row in flat):
            raise FormatError(
                f"the data of tensor {shown(name)} is nested unlike its shape {list(shape)}; nest it so, or not at all"
            )
        flat = [item for row in flat for item in row]
    return flat
