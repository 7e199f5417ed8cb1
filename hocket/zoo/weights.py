"""Trained weights for the zoo's models: batch norms folded into convolutions, under the names of the ONNX files."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hocket.errors import FormatError
from hocket.zoo.pth import read_pth

__all__ = ["Floats", "fold_batch_norm", "mobilenet_v2_weights", "read_pth"]

Floats = npt.NDArray[np.float32]

MOBILENET_V2_CONVOLUTIONS = 52


def fold_batch_norm(
    weight: npt.NDArray[Any],
    *,
    gamma: npt.NDArray[Any],
    beta: npt.NDArray[Any],
    mean: npt.NDArray[Any],
    variance: npt.NDArray[Any],
    bias: npt.NDArray[Any] | None = None,
    eps: float = 1e-5,
) -> tuple[Floats, Floats]:
    """Weight and bias of the one convolution that does what a convolution and the batch norm after it do.

    Args:
        weight: of the convolution, output channels first.
        gamma: factor of the batch norm per channel (PyTorch: weight).
        beta: shift of the batch norm per channel (PyTorch: bias).
        mean: running mean.
        variance: running variance.
        bias: of the convolution, if it has one.
        eps: what the batch norm adds to the variance.

    Raises:
        FormatError: the channels do not agree, or a variance is not positive even with eps.

    >>> one = np.ones(1)
    >>> weight, bias = fold_batch_norm(np.full((1, 1), 6.0), gamma=one, beta=one, mean=one, variance=4 * one, eps=0.0)
    >>> weight.tolist(), bias.tolist()
    ([[3.0]], [0.5])
    """
    channels = weight.shape[:1]
    start = np.zeros(channels) if bias is None else bias.astype(np.float64)
    shapes = [values.shape for values in (gamma, beta, mean, variance, start)]
    if any(shape != channels for shape in shapes):
        raise FormatError(
            f"a batch norm must have as many channels as its convolution, but shapes {shapes} follow a weight "
            f"of shape {weight.shape}; give parameters of one network"
        )
    spread = variance.astype(np.float64) + eps
    if not (spread > 0).all():
        raise FormatError(f"a variance must be positive, but one is {variance.min()}; give trained parameters")
    factor = gamma / np.sqrt(spread)
    folded = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    return folded.astype(np.float32), (beta + (start - mean) * factor).astype(np.float32)


def mobilenet_v2_weights(state: Mapping[str, npt.NDArray[Any]]) -> dict[str, Floats]:
    """torchvision's MobileNetV2 parameters by the initializer names of `models/mobilenet_v2.onnx`.

    Args:
        state: the state dict, with its batch norms apart.

    Raises:
        FormatError: the state is not that of a MobileNetV2.
    """
    folded: dict[str, Floats] = {}
    convolutions = [name for name, values in state.items() if name.endswith(".weight") and values.ndim == 4]
    if len(convolutions) != MOBILENET_V2_CONVOLUTIONS:
        raise FormatError(
            f"MobileNetV2 has {MOBILENET_V2_CONVOLUTIONS} convolutions, but the state has {len(convolutions)}; "
            "give torchvision's state dict of mobilenet_v2"
        )
    for name in convolutions:
        norm = _next_module(name.removesuffix(".weight"))
        folded[name], folded[f"{name}_bias"] = fold_batch_norm(
            state[name],
            gamma=_take(state, f"{norm}.weight"),
            beta=_take(state, f"{norm}.bias"),
            mean=_take(state, f"{norm}.running_mean"),
            variance=_take(state, f"{norm}.running_var"),
        )
    for name in ("classifier.1.weight", "classifier.1.bias"):
        folded[name] = _take(state, name).astype(np.float32)
    return folded


def _next_module(path: str) -> str:
    """In torchvision's sequences the batch norm stands right after its convolution: features.0.0, features.0.1."""
    parent, _, index = path.rpartition(".")
    if not index.isdecimal():
        raise FormatError(f"module {path!r} is in no sequence; give torchvision's state dict of mobilenet_v2")
    return f"{parent}.{int(index) + 1}"


def _take(state: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    if name not in state:
        raise FormatError(f"MobileNetV2 needs {name!r}, which is not there; give torchvision's state dict")
    return state[name]
