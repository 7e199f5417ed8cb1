"""The Vickrey-Clarke-Groves auction of two resources: each bidder gets at most one of the bundles that it bids for.

The winners are those of greatest total value (a multiple-choice knapsack in two dimensions, solved exactly by dynamic
programming over whole units), and each pays what the others lose by its being there (Clarke's pivot rule). Then it is
best to bid one's true values, nobody pays more than it bids, and nobody is paid.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hocket.solvers.layout import Floats


class Bid(NamedTuple):
    """A bundle and what it is worth to the bidder."""

    first: int
    """Units of the first resource."""
    second: int
    value: float
    """Above 0."""


class Award(NamedTuple):
    """The outcome of an auction."""

    won: tuple[int | None, ...]
    """Of each bidder the number of the bid that it wins."""
    payments: tuple[float, ...]
    welfare: float
    """Sum of the values of the bids that win."""


def auction(bidders: Sequence[Sequence[Bid]], units: tuple[int, int]) -> Award:
    """Who gets what, and what it pays.

    Args:
        bidders: the bids of each; it wins at most one of them.
        units: what there is of the two resources.

    Returns:
        The award; time and memory grow with bidders x bids x units x units.

    Two bidders want all there is; the one that values it more wins, and pays what the other would have had:

    >>> auction([[Bid(1, 0, 5.0)], [Bid(1, 0, 3.0)]], (1, 0))
    Award(won=(0, None), payments=(3.0, 0.0), welfare=5.0)
    """
    before, after = _tables(bidders, units), _tables(bidders[::-1], units)[::-1]
    won = _winners(bidders, before)
    values = [bids[number].value if number is not None else 0.0 for bids, number in zip(bidders, won, strict=True)]
    welfare = float(before[-1][units])
    payments = []
    for bidder, value in enumerate(values):
        without = float((before[bidder] + after[bidder + 1][::-1, ::-1]).max())
        others = sum(values) - value
        payments.append(max(without - others, 0.0) if won[bidder] is not None else 0.0)
    return Award(tuple(won), tuple(payments), welfare)


def _tables(bidders: Sequence[Sequence[Bid]], units: tuple[int, int]) -> list[Floats]:
    """(n + 1) tables: the greatest value of the first 0, 1, ... bidders with each number of units."""
    tables = [np.zeros((units[0] + 1, units[1] + 1))]
    for bids in bidders:
        table = tables[-1].copy()
        for bid in bids:
            if bid.first <= units[0] and bid.second <= units[1]:
                rest = tables[-1][: units[0] + 1 - bid.first, : units[1] + 1 - bid.second]
                part = table[bid.first :, bid.second :]
                np.maximum(part, rest + bid.value, out=part)
        tables.append(table)
    return tables


def _winners(bidders: Sequence[Sequence[Bid]], tables: Sequence[Floats]) -> list[int | None]:
    """Go back through the tables; of equal choices none, then the first bid."""
    left = (tables[0].shape[0] - 1, tables[0].shape[1] - 1)
    won: list[int | None] = []
    for bids, before, after in zip(bidders[::-1], tables[-2::-1], tables[:0:-1], strict=True):
        choice = None
        if after[left] != before[left]:
            choice = next(
                number
                for number, bid in enumerate(bids)
                if bid.first <= left[0]
                and bid.second <= left[1]
                and before[left[0] - bid.first, left[1] - bid.second] + bid.value == after[left]
            )
            left = (left[0] - bids[choice].first, left[1] - bids[choice].second)
        won.append(choice)
    return won[::-1]
