"""Alternating optimisation: cuts for given shares, shares for given cuts, until neither helps."""

from collections.abc import Callable
from typing import NamedTuple

from hocket.solvers.sharing.users import Choice, Floats
from hocket.solvers.stop import Stop

_MOST_ROUNDS = 100


class Course(NamedTuple):
    """What an alternation came to."""

    choice: tuple[int, ...]
    shares: Floats
    values: tuple[float, ...]
    """After each round, falling: a round that does not make the value less is the last, and is dropped."""


def alternate(
    choice: Choice,
    shares: Floats,
    *,
    cuts: Callable[[Choice, Floats], Choice],
    divide: Callable[[Choice, Floats], Floats],
    value: Callable[[Choice, Floats], float],
    least_gain: float = 1e-6,
    stop: Stop | None = None,
) -> Course:
    """Alternate from a choice and shares.

    Args:
        choice: the way of each user.
        shares: (N, R) of each thing.
        cuts: the ways that are best for shares.
        divide: the shares that are best for ways.
        value: what is made small.
        least_gain: the relative gain below which it ends.
        stop: asked once per round.
    """
    best = tuple(choice), shares
    values = [value(*best)]
    for _ in range(_MOST_ROUNDS):
        if stop is not None and stop(values[-1]):
            break
        chosen = tuple(cuts(*best))
        divided = divide(chosen, best[1])
        now = value(chosen, divided)
        if not now < values[-1]:
            break
        best = chosen, divided
        values.append(now)
        if values[-2] - now < least_gain * abs(values[-2]):
            break
    return Course(*best, tuple(values))
