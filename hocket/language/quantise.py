"""Matrices as small integers by blocks, by ONNX Runtime's own quantiser, and back."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def quantise(matrix: np.ndarray, bits: int, block_size: int) -> dict[str, np.ndarray]:
    """Round a matrix; each block of a row has its own scale and zero.

    Args:
        matrix: float32 [outputs, inputs].
        bits: 4 or 8.
        block_size: inputs that share a scale.

    Returns:
        packed, scales and zeros, as `hocket.language.matrices` describes them.
    """
    with _logging_as_it_is():
        from onnxruntime.quantization.matmul_nbits_quantizer import (
            DefaultWeightOnlyQuantConfig,
            DefaultWeightOnlyQuantizer,
        )

    rules = DefaultWeightOnlyQuantConfig(block_size=block_size, is_symmetric=False, bits=bits)
    # ONNX Runtime's kernel reads the matrix with the inputs as rows.
    turned = np.ascontiguousarray(matrix.T, np.float32)
    packed, scales, zeros = DefaultWeightOnlyQuantizer(rules).qbits_block_quant(turned)
    return {"packed": packed, "scales": scales, "zeros": zeros}


@contextmanager
def _logging_as_it_is() -> Iterator[None]:
    """Undo what an import does to the logging of the whole process: the quantiser's turns every library's notes on."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def widen(parts: dict[str, np.ndarray], bits: int, inputs: int) -> np.ndarray:
    """The float32 matrix [outputs, inputs] that rounded parts stand for."""
    packed, scales = parts["packed"], parts["scales"]
    outputs, blocks, _ = packed.shape
    numbers = _unpacked(packed.reshape(outputs, -1), bits).reshape(outputs, blocks, -1)
    zeros = _unpacked(parts["zeros"], bits)[:, :blocks]
    wide = (numbers - zeros[..., None]) * scales[..., None]
    return np.ascontiguousarray(wide.reshape(outputs, -1)[:, :inputs], np.float32)


def _unpacked(values: np.ndarray, bits: int) -> np.ndarray:
    """One number for each; of two in a byte the lower half is the first."""
    if bits == 8:
        return values.astype(np.float32)
    return np.stack([values & 15, values >> 4], axis=-1).reshape(len(values), -1).astype(np.float32)
