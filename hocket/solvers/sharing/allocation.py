"""Closed forms of convex allocation: how one resource is divided among users whose work is known.

A user i needs `work[i]` seconds of the whole resource, so with the share f it takes work / f, besides the seconds
`fixed[i]` that do not depend on the share. Shares add up to at most 1.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ROUNDS = 200
_SAME = 1e-13


def least_sum_shares(weights: Floats, work: Floats) -> Floats:
    """(N,) shares with the least sum of weight x work / share: in proportion to sqrt(weight x work).

    Users without work get 0; where nobody has any all get 0.

    >>> least_sum_shares(np.array([1.0, 1.0, 4.0]), np.array([4.0, 1.0, 1.0])).tolist()
    [0.4, 0.2, 0.4]
    """
    roots = np.sqrt(weights * work)
    total = roots.sum()
    return np.asarray(roots / total if total else np.zeros(len(work)))


def least_shares(fixed: Floats, work: Floats, until_s: Floats | float) -> Floats:
    """(N,) least shares with which every user ends in time: work / (until - fixed); inf = it cannot."""
    slack = np.broadcast_to(np.asarray(until_s - fixed, dtype=np.float64), work.shape)
    shares = np.divide(work, slack, out=np.full(work.shape, np.inf), where=slack > 0)
    return np.asarray(np.where((work == 0) & (slack >= 0), 0.0, shares))


def least_max_shares(fixed: Floats, work: Floats) -> tuple[float, Floats]:
    """The least time in which all can end, and (N,) shares for it.

    The shares that a time needs add up to a falling convex function of it, so Newton's steps from a time that is too
    short never pass the time where they add up to 1.

    >>> least_max_shares(np.array([0.0, 1.0]), np.array([1.0, 1.0]))[0].__round__(6)
    2.618034
    """
    idle = float(fixed.max(initial=0.0))
    busy = work > 0
    if not busy.any():
        return idle, np.zeros(len(work))
    some_fixed, some_work = fixed[busy], work[busy]
    until = float((some_fixed + some_work).max())
    for _ in range(_ROUNDS):
        shares = some_work / (until - some_fixed)
        excess = float(shares.sum()) - 1
        if excess <= _SAME:
            break
        until += excess / float((shares / (until - some_fixed)).sum())
    found = np.zeros(len(work))
    found[busy] = shares / max(shares.sum(), 1.0)
    return max(until, idle), found


def least_energy_clock_hz(least_hz: float, cycles: float, slack_s: float) -> float:
    """The slowest clock that keeps a deadline, max(f_min, cycles / slack): energy grows with the square of the clock.

    >>> least_energy_clock_hz(1e8, 3e8, 2.0), least_energy_clock_hz(1e9, 3e8, 2.0)
    (150000000.0, 1000000000.0)
    """
    return max(least_hz, cycles / slack_s) if slack_s > 0 else float("inf")


def tandem_rates(rates_per_s: Floats, work: Floats) -> Floats:
    """(K,) services per second of M/M/1 stations on one resource with the least sum of rate x sojourn.

    mu_k = rate_k + sqrt(rate_k / work_k) (1 - sum work rate) / sum sqrt(rate work); station k has the share
    work_k mu_k. Stations without work get inf.
    """
    busy = work > 0
    left = 1 - float((work * rates_per_s)[busy].sum())
    roots = np.sqrt(rates_per_s[busy] * work[busy])
    found = np.full(len(work), np.inf)
    found[busy] = rates_per_s[busy] + np.sqrt(rates_per_s[busy] / work[busy]) * left / roots.sum()
    return found


def units_to_the_worst(took_s: Callable[[int, int], float], users: int, units: int) -> list[int]:
    """Whole units of a resource, each in turn to the user that is slowest: the least maximum where more never hurts.

    Args:
        took_s: (user, units) -> seconds.
        users: how many.
        units: how many there are.
    """
    held = [0] * users
    for _ in range(units if users else 0):
        worst = max(range(users), key=lambda user: (took_s(user, held[user]), -user))
        held[worst] += 1
    return held
