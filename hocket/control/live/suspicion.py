"""How much to doubt a node that is silent, and how long to doubt one that has come back."""

import math
from dataclasses import dataclass, replace
from typing import Self

MOST_LEVEL = 300.0
"""Suspicion never says more than this: a silence of a probability below 1e-300 is no longer a number."""
_MOST_GAPS = 64
_MOST_TIMES = 10.0  # a longer gap counts as this many expected ones, so that one bad minute does not deafen us for long


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """Signs of life of one node, and how unlikely its present silence is.

    The accrual failure detector of Hayashibara, Défago, Yared and Katayama ("The phi accrual failure detector",
    SRDS 2004): the gaps between signs of life are taken to be normally distributed with the mean and spread of the last
    64, and the level is phi = -log10(probability that a sign comes later than now). Level 3 means that one silence in
    a thousand lasts this long, level 8 one in a hundred million; what follows from a level is the caller's.

    Three things keep it calm. A gap shorter than `expected_s` counts as that one, because a node owes nothing more than
    its heartbeats. The spread never goes below `least_spread_s`, because regular gaps do not promise that a processor
    is never late. A gap longer than ten times `expected_s` counts as those.

    >>> beats = Heartbeats.began(0.0, expected_s=1.0, least_spread_s=0.25)
    >>> round(beats.level(1.0), 4), round(beats.level(1.5), 4)  # half of all come later; 2.275 % come 2 spreads late
    (0.301, 1.643)
    """

    last_s: float
    """When the node was heard last."""
    expected_s: float
    least_spread_s: float
    gaps_s: tuple[float, ...] = ()

    @classmethod
    def began(cls, at_s: float, *, expected_s: float = 0.2, least_spread_s: float = 0.1) -> Self:
        """A node that has been heard for the first time.

        Args:
            at_s: when; seconds of any one clock that rises.
            expected_s: between two signs of life that the node owes. With the defaults a silence reaches level 3 after
                0.51 s and level 8 after 0.76 s.
            least_spread_s: standard deviation that gaps have at least; 0.1 s is what a busy processor or a Wi-Fi
                retransmission adds without anything being wrong.
        """
        return cls(at_s, expected_s, least_spread_s)

    def heard(self, at_s: float) -> Self:
        """The node was heard again; what arrives out of order says nothing new."""
        if at_s <= self.last_s:
            return self
        gap_s = min(max(at_s - self.last_s, self.expected_s), _MOST_TIMES * self.expected_s)
        return replace(self, last_s=at_s, gaps_s=(*self.gaps_s, gap_s)[-_MOST_GAPS:])

    def forgive(self, now_s: float) -> Self:
        """Nobody listened until now: the silence begins again, and is no gap of the node's."""
        return replace(self, last_s=max(now_s, self.last_s))

    def silence_s(self, now_s: float) -> float:
        """Seconds since the node was heard."""
        return max(now_s - self.last_s, 0.0)

    def level(self, now_s: float) -> float:
        """How suspicious the silence is: phi, from 0 (just heard) to 300; it rises with every moment of silence."""
        mean_s, spread_s = self._normal()
        later = 0.5 * math.erfc((self.silence_s(now_s) - mean_s) / (spread_s * math.sqrt(2.0)))
        return min(-math.log10(later), MOST_LEVEL) + 0.0 if later > 0.0 else MOST_LEVEL

    def _normal(self) -> tuple[float, float]:
        if not self.gaps_s:
            return self.expected_s, self.least_spread_s
        mean_s = math.fsum(self.gaps_s) / len(self.gaps_s)
        variance = math.fsum((gap_s - mean_s) ** 2 for gap_s in self.gaps_s) / len(self.gaps_s)
        return mean_s, max(math.sqrt(variance), self.least_spread_s)


@dataclass(frozen=True, slots=True)
class Flapping:
    """How long a node that has come back must behave before it is relied on.

    Each fall doubles the time, up to `most_s`; time without a fall halves it again every `halving_s`. A node that falls
    more rarely than that always waits `first_s`, one that falls every few seconds soon waits for a minute. Only time
    counts, not whether the node was there: one that was away for an hour has not come and gone during that hour.

    >>> flaps = Flapping().fell(0.0).fell(0.0).fell(0.0)
    >>> flaps.wait_s(0.0), flaps.wait_s(30.0), Flapping().wait_s(0.0)
    (4.0, 2.0, 0.0)
    """

    first_s: float = 1.0
    """After the first fall: a few heartbeats, enough to see that it has not just come to go."""
    most_s: float = 60.0
    """A node that works again is not left unused for longer than this."""
    halving_s: float = 30.0
    """Falls further apart than this do not add up."""
    penalty_s: float = 0.0
    fell_s: float = 0.0
    """When the last fall was."""

    def fell(self, now_s: float) -> Self:
        """The node has gone down."""
        penalty_s = min(max(2.0 * self.wait_s(now_s), self.first_s), self.most_s)
        return replace(self, penalty_s=penalty_s, fell_s=max(now_s, self.fell_s))

    def wait_s(self, now_s: float) -> float:
        """How long a node that comes back now has to behave; 0 for one that never fell."""
        return self.penalty_s * math.exp2(-max(now_s - self.fell_s, 0.0) / self.halving_s)
