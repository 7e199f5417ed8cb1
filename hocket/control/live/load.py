"""How much longer a node computes than its profile says."""

import math
from dataclasses import dataclass, replace
from typing import Self

LEAST_FACTOR, MOST_FACTOR = 1 / 16, 1024.0
"""Nobody's profile is so wrong; beyond them a measurement is."""


@dataclass(frozen=True, slots=True)
class LoadFactor:
    """The load factor k of one node: measured / predicted seconds of what it has computed lately.

    Neurosurgeon (Kang et al., ASPLOS 2017) and LoADPart (Liu et al., ICDCS 2022) multiply the predicted times of a
    server by it. It is a ratio of sums, not a mean of ratios, so that a segment counts by how long it takes: one of
    microseconds that was interrupted for a millisecond says little. With each look both sums keep the part `keep` of
    themselves. While nothing is seen nothing changes: a node that gets no work because it was busy has not thereby
    become free. Whoever knows that it rests says so with `rested`.

    >>> load = LoadFactor().seen(0.2, 0.1).seen(0.001, 0.00001)
    >>> round(load.factor, 2), LoadFactor().factor  # and not (2 + 100) / 2
    (2.01, 1.0)
    """

    keep: float = 0.8
    """Part of what is known that a look leaves: half of it is gone after three, 1.5 s if there are two a second."""
    least_s: float = 0.001
    """Predicted seconds that have to be seen before anything is said; on less than a millisecond the clock weighs."""
    predicted_s: float = 0.0
    """Sum of what was seen, with the older parts faded."""
    ratio: float = 1.0
    """Measured / predicted, not clipped."""

    @classmethod
    def of(cls, *, looks: float = 5.0) -> Self:
        """Nothing seen yet; `looks` is how many of the last looks count: with their ages the weights sum up to it."""
        return cls(keep=1.0 - 1.0 / looks)

    @property
    def factor(self) -> float:
        """k, from 1/16 to 1024; 1 as long as too little was seen."""
        return min(max(self.ratio, LEAST_FACTOR), MOST_FACTOR) if self.predicted_s >= self.least_s else 1.0

    def seen(self, measured_s: float, predicted_s: float) -> Self:
        """Segments were computed: seconds that they took together, and that the profile promises for them.

        What no computation can take (negative, not finite, promised in no time) changes nothing.
        """
        if not (0.0 <= measured_s < math.inf and 0.0 < predicted_s < math.inf):
            return self
        known_s = self.keep * self.predicted_s
        total_s = known_s + predicted_s
        return replace(self, predicted_s=total_s, ratio=(self.ratio * known_s + measured_s) / total_s)

    def rested(self, rest_s: float, halving_s: float = 10.0) -> Self:
        """The node is known to have had nothing to do for so long: its k goes towards 1, by half (as a logarithm)
        every `halving_s`.

        >>> LoadFactor().seen(1.6, 0.1).rested(10.0).factor
        4.0
        """
        ratio = min(max(self.ratio, LEAST_FACTOR), MOST_FACTOR)
        return replace(self, ratio=ratio ** (0.5 ** (max(rest_s, 0.0) / halving_s)))
