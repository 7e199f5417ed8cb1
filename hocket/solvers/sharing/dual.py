"""Cuts and shares together by prices: each thing has a price, each user takes what costs it least.

At prices p a user that counts w takes of each thing the share k sqrt(work / p), and with S = sum sqrt(work p) its least
cost is a closed form:

- least sum: w (fixed + S / k) + S k, with k = max(sqrt(w), S / (deadline - fixed));
- in time T: S^2 / (T - fixed) is the least that its shares can cost, with k = S / (T - fixed).

The sum over users of the least of these over ways, less what all the things cost, is a lower bound for any prices; it
is concave in them, and the gap to the best choice of whole ways shrinks with the number of users (Shapley-Folkman).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hocket.solvers.sharing.users import Choice, Floats, Users

_SAFE = 1 - 1e-9
_NEVER = 1e300


class Offer(NamedTuple):
    """What users choose among."""

    fixed: Floats
    """(N, W) seconds."""
    work: Floats
    """(N, W, R) seconds of each thing."""
    weights: Floats
    deadlines_s: Floats

    def only(self, choice: Choice) -> "Offer":
        """The same where each user has one way."""
        rows, columns = np.arange(len(self.fixed)), np.asarray(choice)
        return self._replace(fixed=self.fixed[rows, columns][:, None], work=self.work[rows, columns][:, None, :])


def offer_of(users: Users) -> Offer:
    """What the users of a problem choose among."""
    return Offer(users.fixed, users.work, users.weights, users.deadlines_s)


class Answer(NamedTuple):
    """What users do at some prices."""

    bound: float
    """No choice with shares that add up to 1 has a lower sum; in time: above 0 if the time is too short for all."""
    choice: tuple[int, ...]
    shares: Floats
    """(N, R) that they would like; they may add up to more or less than 1."""


def answer_for_sum(offer: Offer, prices: Floats) -> Answer:
    """The ways and shares that cost each user least at (R,) prices, for the weighted sum of latencies."""
    weights = offer.weights[:, None]
    spent = np.sqrt(offer.work * prices).sum(axis=2)
    slack = (offer.deadlines_s * _SAFE)[:, None] - offer.fixed
    late = ~np.isfinite(offer.fixed) | np.where(spent > 0, slack <= 0, offer.fixed > offer.deadlines_s[:, None])
    hurry = np.divide(spent, slack, out=np.zeros_like(spent), where=(spent > 0) & (slack > 0))
    pace = np.maximum(np.sqrt(weights), hurry)
    took = np.divide(spent, pace, out=np.zeros_like(spent), where=pace > 0)
    costs = np.where(late, _NEVER, weights * (np.where(late, 0.0, offer.fixed) + took) + spent * pace)
    return _answer(offer, prices, costs, pace)


def answer_in_time(offer: Offer, prices: Floats, until_s: float) -> Answer:
    """The ways and shares with which each user ends in time at the least cost."""
    spent = np.sqrt(offer.work * prices).sum(axis=2)
    slack = np.minimum(until_s, offer.deadlines_s * _SAFE)[:, None] - offer.fixed
    late = np.where(spent > 0, slack <= 0, offer.fixed > np.minimum(until_s, offer.deadlines_s)[:, None])
    pace = np.divide(spent, slack, out=np.zeros_like(spent), where=(spent > 0) & (slack > 0))
    costs = np.where(late, _NEVER, spent * pace)
    return _answer(offer, prices, costs, pace)


def _answer(offer: Offer, prices: Floats, costs: Floats, pace: Floats) -> Answer:
    rows = np.arange(len(costs))
    choice = costs.argmin(axis=1)
    paid = costs[rows, choice]
    total = np.inf if (paid >= _NEVER).any() else float(paid.sum() - prices.sum())
    work = offer.work[rows, choice]
    shares = np.sqrt(work / np.maximum(prices, 1e-300)) * pace[rows, choice][:, None]
    return Answer(total, tuple(choice.tolist()), shares)


def climb(ask: Callable[[Floats], Answer], prices: Floats, rounds: int, enough: Callable[[Answer], bool]) -> float:
    """The greatest bound met while prices rise and fall with demand.

    Args:
        ask: prices -> what users do.
        prices: (R,) to begin with.
        rounds: at most.
        enough: sees each answer; True = stop.
    """
    best = -np.inf
    for number in range(rounds if len(prices) else 1):
        found = ask(prices)
        best = max(best, found.bound)
        if enough(found) or not np.isfinite(found.bound):
            break
        # Where each user has one way and no deadline the whole step leads to the best prices at once.
        wanted = np.clip(found.shares.sum(axis=0), 1e-3, 1e3)
        prices = np.clip(prices * wanted ** (2 / (1 + 0.15 * number)), 1e-150, 1e150)
    return best


def first_prices(offer: Offer) -> Floats:
    """(R,) prices at which users who take their typical ways share each thing rightly."""
    roots = np.sqrt(offer.weights[:, None] * np.median(offer.work, axis=1)).sum(axis=0)
    most = np.sqrt(offer.weights[:, None] * offer.work.max(axis=1)).sum(axis=0)
    return np.asarray(np.maximum(roots, 0.1 * most) ** 2 + 1e-12)


def shares_for_sum(offer: Offer, choice: Choice, rounds: int = 60) -> Floats:
    """(N, R) shares with the least weighted sum for one choice; they add up to 1 where a thing is used."""
    alone = offer.only(choice)
    prices = (np.sqrt(offer.weights[:, None] * alone.work[:, 0]).sum(axis=0)) ** 2
    last: list[Floats] = []

    def enough(found: Answer) -> bool:
        last[:] = [found.shares]
        return bool(np.abs(found.shares.sum(axis=0)[prices > 0] - 1).max(initial=0.0) < 1e-12)

    climb(lambda p: answer_for_sum(alone, p), prices, rounds, enough)
    return filled(last[0])


def shares_in_time(offer: Offer, choice: Choice, rounds: int = 60) -> tuple[float, Floats]:
    """The least time in which all can end that chose so, and (N, R) shares for it: bisection on the time."""
    alone = offer.only(choice)
    low = float(alone.fixed.max())
    equal = filled((alone.work[:, 0] > 0).astype(float))
    high = float((alone.fixed[:, 0] + _took(alone.work[:, 0], equal).sum(axis=1)).max())
    best = equal
    prices = first_prices(alone)
    for _ in range(50):
        middle = (low + high) / 2
        if high - low <= 1e-9 * high:
            break
        fitting: list[Floats] = []

        def enough(found: Answer, fitting: list[Floats] = fitting) -> bool:
            if found.bound > 0:
                return True
            if (found.shares.sum(axis=0) <= 1).all():
                fitting[:] = [found.shares]
            return bool(fitting)

        climb(lambda p, t=middle: answer_in_time(alone, p, t), prices, rounds, enough)  # type: ignore[misc]
        if fitting:
            high, best = middle, fitting[0]
        else:
            low = middle
    best = filled(best)
    return float((alone.fixed[:, 0] + _took(alone.work[:, 0], best).sum(axis=1)).max()), best


def _took(work: Floats, shares: Floats) -> Floats:
    return np.divide(work, shares, out=np.zeros_like(work), where=work > 0)


def filled(shares: Floats) -> Floats:
    """Shares in the same proportions that add up to 1 where a thing is used."""
    total = shares.sum(axis=0)
    return np.asarray(shares / np.where(total > 0, total, 1.0))
