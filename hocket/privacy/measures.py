"""How near a reconstruction comes to what was reconstructed."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_WINDOW = 7
_MEANS, _SPREADS = 0.01**2, 0.03**2


def mse(one: Floats, other: Floats) -> float:
    """Mean squared error.

    >>> mse(np.array([0.0, 1.0]), np.array([0.0, 0.0]))
    0.5
    """
    return float(np.mean((one - other) ** 2))


def ssim(pictures: Floats, others: Floats) -> float:
    """Mean structural similarity of pictures of values in [0, 1], over all channels.

    Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity"
    (2004), equation 13, with even windows of 7 x 7 pixels, smaller ones in smaller pictures.

    Args:
        pictures: (count, channels, rows, columns).
        others: of the same shape.

    >>> a = np.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    >>> round(ssim(a, a), 6), ssim(a, 1 - a) < 0
    (1.0, True)
    """
    size = min(_WINDOW, *pictures.shape[-2:])
    a, b = (sliding_window_view(each, (size, size), axis=(-2, -1)) for each in (pictures, others))
    mean_a, mean_b = a.mean(axis=(-2, -1)), b.mean(axis=(-2, -1))
    spread_a, spread_b = a.var(axis=(-2, -1)), b.var(axis=(-2, -1))
    both = (a * b).mean(axis=(-2, -1)) - mean_a * mean_b
    near = (2 * mean_a * mean_b + _MEANS) / (mean_a**2 + mean_b**2 + _MEANS)
    return float((near * (2 * both + _SPREADS) / (spread_a + spread_b + _SPREADS)).mean())
