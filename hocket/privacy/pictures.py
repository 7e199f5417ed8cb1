"""Pictures to measure with where nobody gives any: drawings of one shape each, which need no file and no network."""

import numpy as np
from numpy.typing import NDArray

KINDS = ("disc", "box", "ring", "cross", "stripes")


def drawings(
    count: int, shape: tuple[int, int, int], *, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Seeded pictures of a shape somewhere on a background that is not even.

    Args:
        count: how many.
        shape: (channels, rows, columns).
        seed: equal seeds give equal pictures.

    Returns:
        (count, channels, rows, columns) values in [0, 1], and the kind of each, a position in `KINDS`.

    >>> pictures, kinds = drawings(2, (3, 8, 8))
    >>> pictures.shape, bool((pictures >= 0).all() and (pictures <= 1).all())
    ((2, 3, 8, 8), True)
    """
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, len(KINDS), count)
    made = [_drawing(rng, KINDS[kind], shape) for kind in kinds]
    return np.array(made, dtype=np.float32).reshape(count, *shape), kinds


def _drawing(rng: np.random.Generator, kind: str, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    channels, rows, columns = shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    ground, ink = rng.uniform(0, 1, (2, channels, 1, 1))
    slope = rng.uniform(-0.25, 0.25, (2, channels, 1, 1))
    mask = _mask(kind, x - rng.uniform(-0.5, 0.5), y - rng.uniform(-0.5, 0.5), rng.uniform(0.25, 0.6))
    return np.asarray(np.clip(np.where(mask, ink, ground + slope[0] * x + slope[1] * y), 0, 1))


def _mask(kind: str, x: NDArray[np.float64], y: NDArray[np.float64], size: float) -> NDArray[np.bool_]:
    """Where the ink is."""
    far, wide = np.hypot(x, y), np.maximum(np.abs(x), np.abs(y))
    return {
        "disc": far < size,
        "box": wide < size,
        "ring": (far < size) & (far > size / 2),
        "cross": (np.minimum(np.abs(x), np.abs(y)) < size / 4) & (wide < size),
        "stripes": (np.sin(6 * x / size) > 0) & (wide < size),
    }[kind]
