"""The simplest attack: a linear map from what is seen back to the input, by ridge regression."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_PENALTIES = (1e-4, 1e-2, 1e-1, 1.0, 10.0)
"""Relative to the mean square of a row."""


def linear_inverse(seen: Floats, wanted: Floats, victim: Floats, held: int) -> tuple[float, Floats]:
    """The map that does best on rows which it did not learn from.

    With more features than rows the dual is the smaller problem: W x = Y' (X X' + p I)^-1 X x.

    Args:
        seen: (count, features).
        wanted: (count, *shape).
        victim: (others, features).
        held: how many of the last rows choose the penalty.

    Returns:
        Mean squared error on those rows, and (others, *shape).

    >>> x = np.arange(12.0).reshape(6, 2) - 5
    >>> error, found = linear_inverse(x, 2 * x, np.array([[1.0, 2.0]]), 2)
    >>> error < 1e-3, found.round(1).tolist()
    (True, [[2.0, 4.0]])
    """
    learned, targets = seen[:-held], wanted[:-held].reshape(len(wanted) - held, -1)
    values, vectors = np.linalg.eigh(learned @ learned.T)
    turned = vectors.T @ targets
    size = max(float(values.mean()), 1e-12)
    best: tuple[float, Floats] | None = None
    for penalty in _PENALTIES:
        dual = vectors @ (turned / (np.maximum(values, 0.0) + penalty * size)[:, None])
        guess = (seen[-held:] @ learned.T) @ dual
        error = float(np.mean((guess - wanted[-held:].reshape(held, -1)) ** 2))
        if best is None or error < best[0]:
            best = error, dual
    error, dual = best or (np.inf, np.zeros_like(targets))
    return error, np.asarray(((victim @ learned.T) @ dual).reshape(len(victim), *wanted.shape[1:]))
