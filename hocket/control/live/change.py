"""Whether something measured has changed: by probability, or by a band around what was said last."""

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

_MOST_RUNS = 200
_LEAST_PROBABILITY = 1e-6
_LEAST_VALUE = 1e-9  # a link that stands still has a rate of 0, and 0 has no logarithm


@dataclass(frozen=True, slots=True)
class Prior:
    """What is expected of a state of the world before it has shown any value.

    The logarithm of a value is normal with unknown mean and variance. The variance is inverse gamma distributed
    (`shape`, `scale`), the mean normal around `mean` with 1 / `strength` times that variance.
    """

    mean: float | None = None
    """Of the logarithm; None = that of the first value."""
    strength: float = 0.01
    """In values: a hundredth of one. With a noise of 20 % the next state may well be 7 times higher or lower."""
    shape: float = 1.0
    """Half as many as the values that seem to have told the noise already: two."""
    scale: float = 0.04
    """`shape` times the square of the noise: 20 %."""


class _Report(NamedTuple):
    """The state of the world that was reported last."""

    begun: int = 0
    """Number of its first value."""
    told: int = 0
    """Number of the value with which it was reported."""
    mean: float = 0.0
    """Of its log values, as far as they are known by now."""


_NOTHING = _Report()


@dataclass(frozen=True, slots=True)
class OnlineChange:
    """The present state of a world that changes at unknown moments, told from one positive value after another.

    Bayesian online change point detection (Adams and MacKay, 2007, arXiv:0710.3742) on the logarithm of the values,
    because rates are positive and spread over decades. Between two values the world changes with probability `hazard`;
    while it does not, log values are normal with a mean and variance of which only the `Prior` is known (the predictive
    distribution is Student's t). Beginnings less probable than 1e-6 are given up, and all but the 200 most probable.

    What is said of the present state is said of its most probable beginning, once `confirm` values have come since
    then: one value alone is no state. A change is reported once, and only if it is one of `least` or more: after an
    outlier a state begins that is like the one before. Two states of this class are equal if they say the same.

    >>> change = OnlineChange()
    >>> for value in (1.0e6, 1.1e6, 0.9e6, 1.0e6, 1.1e6, 0.9e6, 2e5, 2.1e5, 1.9e5):
    ...     change = change.seen(value)
    ...     if change.changed:
    ...         print(f"{change.mean:.2g} for {change.length} values")
    2e+05 for 3 values
    """

    prior: Prior = Prior()
    hazard: float = 0.002
    """It counts by its logarithm: 1/500 instead of 1/100 makes false alarms four times rarer, and finds a step of 3
    deviations half a value later."""
    confirm: int = 3
    """With 2, an outlier and the value after it would be a state."""
    least: float = 0.1
    """Of the logarithm of the mean; plans hardly differ in worlds that differ by a tenth."""
    count: int = 0
    """Values so far."""
    changed: bool = False
    """Whether with the last value another state of the world was found to have begun."""
    mean: float = 0.0
    """Of the values since the present state began: their geometric mean, drawn a little to the prior's."""
    length: int = 0
    """Values since then, the newest included."""
    probability: float = 0.0
    """That the present state began just then, from 0 to 1."""
    _report: _Report = _NOTHING
    _runs: NDArray[np.float64] = field(default_factory=lambda: np.empty((5, 0)), compare=False, repr=False)
    """A column for each possible beginning, earliest first: logarithm of its probability, values since, the mean and
    the scale of their distribution, and the logarithm of gamma(shape + 1/2) / gamma(shape)."""

    @classmethod
    def of(cls, *, every: float = 500.0, noise: float = 0.2, around: float | None = None) -> Self:
        """Nothing seen yet.

        Args:
            every: mean number of values between two changes.
            noise: usual relative spread of values while nothing changes; 0.2 is that of a quiet Wi-Fi link. It is
                learnt within a few values: if it is twice as much, false alarms are some times more frequent.
            around: about what the values will be, above 0; None = about what the first one is.
        """
        mean = None if around is None else math.log(around)
        return cls(prior=Prior(mean=mean, scale=noise**2), hazard=1.0 / every)

    def seen(self, value: float) -> Self:
        """The next value, at least 0, has come."""
        x = math.log(max(value, _LEAST_VALUE))
        known = self if self.prior.mean is not None else replace(self, prior=replace(self.prior, mean=x))
        return known._saying(_pruned(known._grown(x)))

    def posterior(self) -> dict[int, float]:
        """Number of values since the present state began, the newest included -> its probability."""
        return {int(length): math.exp(log) for log, length in self._runs[:2].T.tolist()}

    def _grown(self, x: float) -> NDArray[np.float64]:
        """Each run with one more value, and one that begins with it; probabilities not normalised.

        The predictive density of a run is Student's t; with strength k, shape a, scale b and the scale b' after the
        value it is gamma(a + 1/2) / gamma(a) * sqrt(k / (k + 1) / (2 pi b)) * (b / b') ** (a + 1/2).
        """
        prior, before = self.prior, self._runs.shape[1]
        runs = np.empty((5, before + 1))
        runs[:, :before] = self._runs
        ratio = math.lgamma(prior.shape + 0.5) - math.lgamma(prior.shape)
        runs[:, before] = (math.log(self.hazard) if before else 0.0, 0.0, prior.mean or 0.0, prior.scale, ratio)
        log_probability, length, mean, scale, log_ratio = runs
        log_probability[:before] += math.log1p(-self.hazard)
        strength, shape = length + prior.strength, length / 2 + prior.shape
        off = x - mean
        part = strength / (strength + 1.0)
        grown = part * off * off / 2 + scale
        log_probability += log_ratio + np.log(part / (2.0 * math.pi) / scale) / 2
        log_probability += (shape + 0.5) * np.log(scale / grown)
        length += 1.0
        mean += off / (strength + 1.0)
        scale[:] = grown
        # With half a value more of shape a the ratio is gamma(a + 1) / gamma(a + 1/2) = a / the ratio before.
        log_ratio[:] = np.log(shape) - log_ratio
        return runs

    def _saying(self, runs: NDArray[np.float64]) -> Self:
        count, best = self.count + 1, int(np.argmax(runs[0]))
        length, mean = int(runs[1, best]), float(runs[2, best])
        probability = math.exp(runs[0, best])
        if length < min(self.confirm, count):  # too new to be said: what was said before stands
            length, mean = self.length + 1, math.log(self.mean)
            probability = float(np.exp(runs[0, runs[1] == length]).sum())
        report = self._report
        if not self.count:
            report = _Report(mean=mean)
        # A beginning before or at the last report only tells better when that change was; one that lies before the
        # reported beginning tells that there was none.
        same_state = report.begun <= count - length <= report.told
        changed = not same_state and abs(mean - report.mean) >= self.least
        if changed:
            report = _Report(count - length, count - 1, mean)
        elif same_state:
            report = report._replace(mean=mean)
        return replace(
            self,
            count=count,
            changed=changed,
            mean=math.exp(mean),
            length=length,
            probability=probability,
            _report=report,
            _runs=runs,
        )


def _pruned(runs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Only the probable ones, with probabilities that add up to 1."""
    top = runs[0].max()
    relative = np.exp(runs[0] - top)
    keep = relative >= _LEAST_PROBABILITY * relative.sum()
    if relative.size > _MOST_RUNS:  # each value adds one
        keep[np.argmin(relative)] = False
    kept = runs.compress(keep, axis=1)
    kept[0] -= top + math.log(relative[keep].sum())
    kept.flags.writeable = False
    return kept


@dataclass(frozen=True, slots=True)
class Smoothed:
    """A value that is smoothed over time, and reported only when it has left a band for a while.

    An exponentially weighted mean for samples at irregular times: after a gap of dt what was known keeps the weight
    exp(-dt / tau_s). What was said last stands until the smoothed value has been outside `said * (1 +- band)` for at
    least `hold_s`.

    >>> calm = Smoothed(tau_s=1.0, band=0.2, hold_s=0.0).seen(0.0, 100.0).seen(0.1, 150.0)
    >>> round(calm.value, 1), calm.said, calm.reported
    (104.8, 100.0, False)
    >>> calm = calm.seen(1.0, 150.0)
    >>> round(calm.value, 1), round(calm.said, 1), calm.reported
    (131.6, 131.6, True)
    """

    tau_s: float = 2.0
    """After this long a step has been followed by 63 %: some samples of a link that is seen twice a second."""
    band: float = 0.2
    """Relative: about the noise of a quiet Wi-Fi link."""
    hold_s: float = 1.0
    """As long as about two samples, so that none alone is reported."""
    value: float | None = None
    """Smoothed; None = no sample yet."""
    said: float | None = None
    """What was reported last; at first the first sample."""
    reported: bool = False
    """Whether the last sample led to a report; the first one never does."""
    at_s: float = 0.0
    """Of the last sample."""
    outside_s: float | None = None
    """Since when the smoothed value has been outside the band; None = it is inside."""

    def seen(self, at_s: float, sample: float) -> Self:
        """A sample has come; one from before the last counts as simultaneous with it."""
        if self.value is None or self.said is None:
            return replace(self, value=sample, said=sample, at_s=at_s)
        at_s = max(at_s, self.at_s)
        value = sample + (self.value - sample) * math.exp((self.at_s - at_s) / self.tau_s)
        if abs(value - self.said) <= self.band * abs(self.said):
            return replace(self, value=value, at_s=at_s, outside_s=None, reported=False)
        outside_s = at_s if self.outside_s is None else self.outside_s
        if at_s - outside_s < self.hold_s:
            return replace(self, value=value, at_s=at_s, outside_s=outside_s, reported=False)
        return replace(self, value=value, said=value, at_s=at_s, outside_s=None, reported=True)
