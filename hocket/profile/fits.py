"""The two forms of fit, and the choice between them by leaving out one model after the other."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.nouns import Value
from hocket.profile.features import FEATURES, LINEAR, ROOFLINE

Array = NDArray[np.float64]
_RIDGE = 1.0
"""Penalty on the squared logarithmic slopes, in units of one sample."""
_LEAST_S = 1e-9
"""Below this a time is noise; logarithms start here."""
_MOST_LOG = 50.0


class Training(NamedTuple):
    """A measured unit."""

    model: str
    category: str
    features: tuple[float, ...]
    seconds: float


class Fit(Value, frozen=True):
    """Coefficients of one kind."""

    form: Literal["linear", "log"]
    """seconds = sum(c f), or log(seconds) = c0 + sum(c log(1 + f))."""
    coefficients: tuple[float, ...]
    """In the order of the features; `log` has the constant in front."""
    units: int
    """How many measured units it rests on."""
    error: float | None = None
    """Sum of absolute errors / sum of seconds, over models left out one by one; None for a single model."""

    @property
    def offset_count(self) -> int:
        """Coefficients besides those of the features."""
        return 1 if self.form == "log" else 0


def predicted_s(fit: Fit, features: Array) -> Array:
    """Seconds of each row of features; never negative."""
    coefficients = np.array(fit.coefficients)
    if fit.form == "linear":
        linear: Array = np.maximum(features @ coefficients, 0.0)
        return linear
    logs = coefficients[0] + np.log1p(features) @ coefficients[1:]
    result: Array = np.exp(np.clip(logs, -_MOST_LOG, _MOST_LOG))
    return result


def linear_fit(rows: Sequence[Training], *, roofline: bool = False) -> Fit:
    """Least squares with coefficients >= 0, every unit weighted by the inverse of its time: relative errors count."""
    from scipy.optimize import nnls  # takes most of a second to import, and only training needs it

    used = list(ROOFLINE if roofline else LINEAR)
    features, seconds = _arrays(rows)
    # A floor keeps units of a microsecond, whose times are mostly noise, from ruling the fit.
    weights = 1 / (seconds + max(0.1 * float(np.median(seconds)), _LEAST_S)) if len(rows) else seconds
    matrix = features[:, used] * weights[:, None]
    scale = np.maximum(np.abs(matrix).max(axis=0, initial=0.0), 1e-30)
    coefficients = np.zeros(len(FEATURES))
    if len(rows):
        coefficients[used] = nnls(matrix / scale, seconds * weights)[0] / scale
    return Fit(form="linear", coefficients=tuple(coefficients.tolist()), units=len(rows))


def log_fit(rows: Sequence[Training]) -> Fit:
    """Ridge regression between logarithms."""
    features, seconds = _arrays(rows)
    logs, target = np.log1p(features), np.log(np.maximum(seconds, _LEAST_S))
    centre, middle = logs.mean(axis=0), float(target.mean())
    matrix = logs - centre
    slopes = np.linalg.solve(matrix.T @ matrix + _RIDGE * np.eye(len(FEATURES)), matrix.T @ (target - middle))
    constant = middle - float(centre @ slopes)
    return Fit(form="log", coefficients=(constant, *slopes.tolist()), units=len(rows))


def best_fit(rows: Sequence[Training]) -> Fit:
    """The form that errs less on models left out; `linear` where there is only one model."""
    models = sorted({row.model for row in rows})
    if len(models) < 2:
        return linear_fit(rows)
    forms: tuple[Callable[[Sequence[Training]], Fit], ...] = (linear_fit, log_fit)
    errors = [_cross_validated(rows, models, form) for form in forms]
    best = int(np.argmin(errors))
    return forms[best](rows).replace(error=errors[best])


def _cross_validated(
    rows: Sequence[Training], models: Sequence[str], form: Callable[[Sequence[Training]], Fit]
) -> float:
    wrong = total = 0.0
    for model in models:
        own = [row for row in rows if row.model == model]
        fit = form([row for row in rows if row.model != model])
        features, seconds = _arrays(own)
        wrong += float(np.abs(predicted_s(fit, features) - seconds).sum())
        total += float(seconds.sum())
    return wrong / total if total else 0.0


def _arrays(rows: Sequence[Training]) -> tuple[Array, Array]:
    features = np.array([row.features for row in rows], dtype=np.float64).reshape(len(rows), len(FEATURES))
    return features, np.array([row.seconds for row in rows], dtype=np.float64)
