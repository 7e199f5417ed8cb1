"""Tensors as messages carry them: a description, and buffers that are not copied."""

from collections.abc import Sequence

import numpy as np

from hocket.errors import FormatError
from hocket.program import TensorInfo
from hocket.runtime.codecs import decode, encode
from hocket.runtime.wire import Frame, Tensor

_MOST_BUFFER_BYTES = 64 << 20  # larger tensors travel in several buffers


def describe(array: np.ndarray, codec: str = "raw") -> tuple[Tensor, list[Frame]]:
    """Write a tensor as its description and buffers."""
    parts, meta = encode(codec, array)
    buffers: list[Frame] = []
    for part in parts:
        view = memoryview(part)
        buffers += [view[i : i + _MOST_BUFFER_BYTES] for i in range(0, len(view), _MOST_BUFFER_BYTES)] or [view]
    return Tensor(array.dtype.name, array.shape, codec, meta, len(buffers)), buffers


def restore(tensor: Tensor, buffers: Sequence[Frame]) -> np.ndarray:
    """Read a tensor; raw ones share the buffer's memory."""
    return decode(tensor.codec, tensor.dtype, tensor.shape, buffers, tensor.meta)


def expect(tensor: Tensor, info: TensorInfo, codec: str) -> None:
    """Refuse a tensor that is not the declared one, before anything is allocated for it.

    Raises:
        FormatError: it is another.
    """
    if (tensor.dtype, tensor.codec) != (info.dtype, codec) or not info.admits(tensor.shape):
        raise FormatError(
            f"a {tensor.codec} tensor {tensor.dtype} {list(tensor.shape)} came where {codec} {info.dtype}"
            f" {list(info.shape)} is declared; send what the program says"
        )
