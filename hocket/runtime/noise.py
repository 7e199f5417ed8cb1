"""Codecs that add calibrated noise: what leaves a node is differentially private.

A name gives the mechanism and its parameters: `laplace:epsilon=8:norm=4`, `gaussian:epsilon=8:delta=1e-5:norm=4`. The
tensor is cut to a norm (1 for Laplace, 2 for Gauss), so two inputs change it by at most twice that, and every value
gets noise for it. Epsilon and delta are of one tensor that is released once: what is released again, to another node
or in the next request, adds up. Noise comes from the operating system.
"""

import math
import re
import secrets
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.errors import PlanError

MECHANISMS = ("laplace", "gaussian")
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?(?:e-?\d{1,2})?)"
_NAMES = {
    "laplace": re.compile(rf"laplace:epsilon={_NUMBER}:norm={_NUMBER}", re.ASCII),
    "gaussian": re.compile(rf"gaussian:epsilon={_NUMBER}:delta={_NUMBER}:norm={_NUMBER}", re.ASCII),
}
_EXAMPLES = {"laplace": "laplace:epsilon=8:norm=4", "gaussian": "gaussian:epsilon=8:delta=1e-5:norm=4"}
_STEPS = 200
_FAR = -30.0
Draw = Callable[[int], bytes]
"""So many random bytes."""


class Noise(NamedTuple):
    """A mechanism with its parameters."""

    mechanism: str
    epsilon: float
    norm: float
    """Most that the tensor's norm is: the 1-norm for Laplace, the 2-norm for Gauss."""
    delta: float = 0.0

    @property
    def scale(self) -> float:
        """Of the Laplace distribution, or the standard deviation of the normal one.

        >>> Noise("laplace", 8.0, 4.0).scale
        1.0
        """
        if self.mechanism == "laplace":
            return 2 * self.norm / self.epsilon
        return gaussian_scale(self.epsilon, self.delta) * 2 * self.norm


@cache
def noise_of(codec: str) -> Noise:
    """The noise that a name asks for.

    >>> noise_of("gaussian:epsilon=8:delta=1e-5:norm=4")
    Noise(mechanism='gaussian', epsilon=8.0, norm=4.0, delta=1e-05)

    Raises:
        PlanError: it is not written so, or a parameter is out of its range.
    """
    mechanism = codec.partition(":")[0]
    found = _NAMES[mechanism].fullmatch(codec) if mechanism in _NAMES else None
    if found is None:
        example = _EXAMPLES.get(mechanism, _EXAMPLES["gaussian"])
        raise PlanError(f"a codec that adds noise is written like {example!r}, got {codec!r}; write it so")
    epsilon, *deltas, norm = (float(number) for number in found.groups())
    if not (0 < epsilon <= 1e6 and 0 < norm <= 1e30 and all(0 < delta < 1 for delta in deltas)):
        raise PlanError(
            f"noise has an epsilon above 0 up to 1e6, a delta between 0 and 1 and a norm above 0, got {codec!r};"
            " correct it"
        )
    return Noise(mechanism, epsilon, norm, *deltas)


@cache
def gaussian_scale(epsilon: float, delta: float) -> float:
    """Least standard deviation that is (epsilon, delta)-private for a tensor that changes by at most 1 in the 2-norm.

    The analytic Gaussian mechanism, for any epsilon: Balle and Wang, "Improving the Gaussian Mechanism for
    Differential Privacy" (ICML 2018), Theorem 8. The classical sqrt(2 ln(1.25 / delta)) / epsilon is for epsilon < 1
    only, and larger.

    >>> round(gaussian_scale(1.0, 1e-5), 3)  # classical: 4.845
    3.731
    """
    low, high = 0.0, 1.0
    while spent_delta(epsilon, high) > delta:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if spent_delta(epsilon, middle) > delta else (low, middle)
    return high


def spent_delta(epsilon: float, scale: float) -> float:
    """The least delta for which Gaussian noise is (epsilon, delta)-private, for a change of at most 1.

    P(1 / 2s - e s) - exp(e) P(-1 / 2s - e s), P = the distribution function of the normal distribution.

    >>> round(spent_delta(1e-12, 0.5), 4)  # 2 P(1) - 1
    0.6827
    """
    if scale == 0:
        return 1.0
    near, shift = 1 / (2 * scale), epsilon * scale
    return math.exp(_log_normal(near - shift)) - math.exp(epsilon + _log_normal(-near - shift))


def _log_normal(x: float) -> float:
    """The logarithm of the distribution function of the normal distribution, also where that is below any float."""
    if x > _FAR:
        return math.log(math.erfc(-x / math.sqrt(2)) / 2)
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / (x * x))


def clipped(noise: Noise, array: np.ndarray) -> NDArray[np.float64]:
    """The tensor, made shorter if its norm is above the bound; NaN becomes 0, and no value is beyond the bound.

    >>> clipped(Noise("laplace", 1.0, 4.0), np.array([2.0, -6.0])).round(3).tolist()  # 2, -4, then both times 4 / 6
    [1.333, -2.667]
    """
    values = np.clip(np.nan_to_num(np.asarray(array, np.float64), nan=0.0), -noise.norm, noise.norm)
    # In parts of the bound, so that no square overflows.
    parts = values.reshape(-1) / noise.norm
    length = float(np.abs(parts).sum()) if noise.mechanism == "laplace" else float(np.sqrt(parts @ parts))
    return np.asarray(values / max(length, 1.0))


def noised(noise: Noise, array: np.ndarray, draw: Draw = secrets.token_bytes) -> np.ndarray:
    """The tensor cut to its norm with fresh noise on every value, in its own type.

    Args:
        noise: what is added.
        array: of a floating-point type.
        draw: where randomness comes from; seeded in tests only.
    """
    sample = _laplace if noise.mechanism == "laplace" else _normal
    values = clipped(noise, array) + noise.scale * sample(array.size, draw).reshape(array.shape)
    most = np.finfo(array.dtype).max
    return np.clip(values, -most, most).astype(array.dtype)


def _uniform(count: int, draw: Draw) -> NDArray[np.float64]:
    """Numbers between 0 and 1, neither of which is one of them."""
    bits = np.frombuffer(draw(8 * count), np.uint64) >> np.uint64(12)
    return np.asarray((bits.astype(np.float64) + 0.5) * 2.0**-52)


def _laplace(count: int, draw: Draw) -> NDArray[np.float64]:
    centred = _uniform(count, draw) - 0.5
    return np.asarray(-np.sign(centred) * np.log1p(-2 * np.abs(centred)))


def _normal(count: int, draw: Draw) -> NDArray[np.float64]:
    """Box and Muller's method."""
    pairs = (count + 1) // 2
    radius, angle = np.sqrt(-2 * np.log(_uniform(pairs, draw))), 2 * np.pi * _uniform(pairs, draw)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
