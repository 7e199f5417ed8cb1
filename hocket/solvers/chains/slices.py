"""Slices of a prompt along its tokens: a pipeline within one request, exact for causal models.

Slice i of a stage needs the keys and values of the slices before it only, so the stages of a pipeline work on
different slices of one request. Later slices see a longer context and take longer per token: they are shorter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hocket.solvers.layout import Floats

_EQUAL = 1 + 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicing:
    """How long one stage takes for a slice, from what it takes for a whole prompt."""

    tokens: int
    """Length of the whole prompt."""
    plain_s: float
    """Seconds for the whole prompt of what grows with the length of a slice, its way out included."""
    context_s: float = 0.0
    """Seconds for the whole prompt of what grows with the pairs of a token and one before it."""
    call_s: float = 0.0
    """Fixed seconds of each slice."""

    def seconds(self, length: int, context: int) -> float:
        """Seconds of a slice after so many tokens.

        >>> half = Slicing(tokens=4, plain_s=4.0, context_s=8.0)
        >>> half.seconds(2, 0), half.seconds(2, 2)
        (4.0, 8.0)
        """
        pairs = length * context + length * length / 2
        return self.call_s + self.plain_s * length / self.tokens + self.context_s * pairs / (self.tokens**2 / 2)


class Slices(NamedTuple):
    """Lengths of slices, in order, and when the last one leaves the last stage at the latest."""

    lengths: tuple[int, ...]
    latency_s: float
    """Sum of the slices on the slowest stage + (stages - 1) x the longest slice."""


def best_slices(stages: Sequence[Slicing], tokens: int, granularity: int = 1) -> Slices:
    """The slices of least sum + (stages - 1) x longest.

    For each bound T of the longest slice, f(n) = min over l with t(l, n - l) <= T of f(n - l) + t(l, n - l).

    Args:
        stages: each stage of the pipeline; a slice takes as long as on the slowest of them.
        tokens: how many to divide.
        granularity: slices are multiples of it, but for the last one.
    """
    marks = [*range(0, tokens, granularity), tokens]
    size = len(marks)
    times = np.full((size, size), np.inf)
    for start in range(size):
        for stop in range(start + 1, size):
            length = marks[stop] - marks[start]
            times[start, stop] = max(stage.seconds(length, marks[start]) for stage in stages)
    best = Slices((), np.inf)
    # The longest slice is at least as long as the shortest possible last one.
    for bound in np.unique(times[np.isfinite(times)]).tolist():
        if (len(stages) - 1) * bound >= best.latency_s:
            break
        sum_s, cuts = _shortest(times, bound * _EQUAL)
        latency = sum_s + (len(stages) - 1) * bound
        if latency < best.latency_s:
            lengths = tuple(marks[stop] - marks[start] for start, stop in pairwise(cuts))
            best = Slices(lengths, latency)
    return best


def _shortest(times: Floats, bound: float) -> tuple[float, list[int]]:
    """Least sum of slices none of which takes longer than a bound, and the marks between them."""
    size = len(times)
    allowed = np.where(times <= bound, times, np.inf)
    value, came = np.full(size, np.inf), [0] * size
    value[0] = 0.0
    for stop in range(1, size):
        through = value[:stop] + allowed[:stop, stop]
        came[stop] = int(through.argmin())
        value[stop] = through[came[stop]]
    cuts = [size - 1]
    while cuts[-1]:
        cuts.append(came[cuts[-1]])
    return float(value[-1]), cuts[::-1]
