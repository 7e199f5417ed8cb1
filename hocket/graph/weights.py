"""Weights for models that come without: seeded, and of a size that keeps activations alive.

In a deep net with careless random weights the activations shrink to nothing or blow up, and then any comparison of
outputs is empty. `hocket.plan.calibrate` goes one step further and measures.
"""

import hashlib

import numpy as np
import onnx

from hocket.errors import GraphError

_CONTRACTING = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_NORMALISING = {"LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization"}


def dtype_of(proto: onnx.TensorProto) -> np.dtype[np.generic]:
    """The numpy type of an initializer."""
    dtype: np.dtype[np.generic] = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(proto.data_type))
    return dtype


def checked(proto: onnx.TensorProto, value: np.ndarray) -> np.ndarray:
    """A weight given by the caller, if it fits the initializer.

    Raises:
        GraphError: another shape or type than the model's.
    """
    if tuple(proto.dims) != value.shape or dtype_of(proto) != value.dtype:
        raise GraphError(
            f"weight {proto.name!r} is {dtype_of(proto)} {tuple(proto.dims)}, got {value.dtype} {value.shape};"
            " convert it"
        )
    return value


def random_weight(proto: onnx.TensorProto, kind: str, index: int) -> np.ndarray:
    """Random data for an absent initializer: the same for the same name, shape and use.

    Args:
        proto: its name, type and dimensions.
        kind: of the operator that reads it; empty if none does.
        index: at which input.
    """
    name, shape, dtype = proto.name, tuple(proto.dims), dtype_of(proto)
    seed = hashlib.sha256(f"{name} {shape} {dtype}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(seed[:8], "little"))
    if not np.issubdtype(dtype, np.floating):
        return generator.integers(0, 2, shape).astype(dtype)
    noise = generator.standard_normal(shape, dtype=np.float32)
    if kind in _NORMALISING and index == 1:
        return (1 + 0.1 * noise).astype(dtype)
    if kind in _CONTRACTING and index == 1:
        return np.asarray(noise * np.sqrt(2 / fan_in(kind, shape)), dtype)
    if kind == "BatchNormalization":
        noise = np.abs(1 + 0.1 * noise) if index in (1, 4) else 0.1 * noise
    elif kind != "Gather":
        noise = 0.1 * noise
    return np.asarray(noise, dtype)


def fan_in(kind: str, shape: tuple[int, ...]) -> int:
    """How many products are added up for one element of the result."""
    if kind == "Conv":
        return max(int(np.prod(shape[1:])), 1)
    if kind == "ConvTranspose":
        return max(shape[0], 1)
    if kind == "Gemm":
        return max(min(shape[-1], int(np.prod(shape))), 1)
    return max(shape[-2] if len(shape) > 1 else shape[0], 1)
