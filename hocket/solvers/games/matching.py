"""Matchings with quotas: deferred acceptance, then exchanges until no two want to change places.

The rules of each side are functions of what that side knows alone, so that they can run as messages between devices:
`choose` of one who asks, `keep` of one who is asked, `agree` of all who are part of an exchange.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hocket.solvers.layout import Floats
from hocket.solvers.stop import Stop

Delay = Callable[[int, Sequence[int]], float]
"""(asker, place of every asker) -> what that asker's place costs it; it may depend on where the others are."""
_SAME = 1e-9


class Matching(NamedTuple):
    """Who is where."""

    places: tuple[int, ...]
    swaps: int
    stable: bool
    """Whether no exchange is left that harms none of those involved, helps one of them and lowers the sum of delays."""


def choose(delays: Sequence[float], refused: Sequence[bool]) -> int | None:
    """Whom one who asks asks next: the best place that has not refused it; None = there is none.

    >>> choose([3.0, 1.0, 2.0], [False, True, False])
    2
    """
    open_places = [place for place, no in enumerate(refused) if not no and np.isfinite(delays[place])]
    return min(open_places, key=lambda place: (delays[place], place), default=None)


def keep(askers: Sequence[int], costs: Sequence[float], quota: int) -> list[int]:
    """Whom one who is asked keeps: as many as it can take, those that cost it least.

    >>> keep([4, 7, 9], [3.0, 1.0, 2.0], 2)
    [7, 9]
    """
    ranked = sorted(zip(costs, askers, strict=True))
    return sorted(asker for _, asker in ranked[:quota])


def agree(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether those involved in an exchange accept it: nobody is worse off and somebody is better off.

    >>> agree([2.0, 1.0], [1.0, 1.0]), agree([2.0, 1.0], [1.0, 1.5]), agree([1.0], [1.0])
    (True, False, False)
    """
    slack = [
        _SAME * max(abs(old), abs(new)) if np.isfinite(old) else 0.0 for old, new in zip(before, after, strict=True)
    ]
    return all(new <= old + s for old, new, s in zip(before, after, slack, strict=True)) and any(
        new < old - s for old, new, s in zip(before, after, slack, strict=True)
    )


def deferred_acceptance(delays: Floats, costs: Floats, quotas: Sequence[int]) -> list[int]:
    """Gale and Shapley's matching, best for those who ask.

    Args:
        delays: (A, P) what each place costs each asker, by which it orders its wishes.
        costs: (A, P) what each asker costs each place.
        quotas: (P,) how many each place takes.

    Returns:
        (A,) place of each asker; -1 = all places refused it.
    """
    refused = np.zeros(delays.shape, dtype=bool)
    places = [-1] * len(delays)
    free = list(range(len(delays)))
    while free:
        asker = free.pop(0)
        place = choose(delays[asker].tolist(), refused[asker].tolist())
        if place is None:
            continue
        asking = [*(other for other, where in enumerate(places) if where == place), asker]
        kept = keep(asking, [float(costs[other, place]) for other in asking], quotas[place])
        for other in set(asking) - set(kept):
            refused[other, place] = True
            places[other] = -1
            free.append(other)
        for other in kept:
            places[other] = place
    return places


def exchange(
    delay: Delay, costs: Floats, quotas: Sequence[int], start: Sequence[int], *, stop: Stop | None = None
) -> Matching:
    """Exchanges and moves to free places until none is left on which those involved agree.

    In an exchange two askers and two places are involved; in a move to a free place the asker decides alone. Where
    delays depend on the whole matching, others may lose by it; then it has to lower the sum of all delays besides, for
    else it could go on for ever.

    Args:
        delay: of an asker in a matching.
        costs: (A, P) what each asker costs each place.
        quotas: (P,) how many each place takes.
        start: place of each asker.
        stop: asked once per exchange with the sum of all delays.
    """

    def total(matching: Sequence[int]) -> float:
        return sum(delay(asker, matching) for asker in range(len(matching)))

    def wanted(matching: Sequence[int], now: float) -> tuple[float, tuple[int, ...]] | None:
        found = ((total(new), new) for new in blocking(delay, costs, quotas, matching))
        return next((pair for pair in found if agree([now], [pair[0]])), None)

    places, swaps = tuple(start), 0
    here = total(places)
    while (better := wanted(places, here)) is not None:
        if stop is not None and stop(here):
            break
        here, places = better
        swaps += 1
    return Matching(places, swaps, stable=better is None)


def blocking(delay: Delay, costs: Floats, quotas: Sequence[int], places: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every matching, one exchange or move away, on which those involved agree: none if it is exchange-stable."""
    now = [delay(asker, places) for asker in range(len(places))]
    taken = [sum(where == place for where in places) for place in range(len(quotas))]
    for asker, home in enumerate(places):
        for place, quota in enumerate(quotas):
            if place != home and taken[place] < quota:
                moved = (*places[:asker], place, *places[asker + 1 :])
                if agree([now[asker]], [delay(asker, moved)]):
                    yield moved
        for other in range(asker + 1, len(places)):
            there = places[other]
            if there == home:
                continue
            swapped = list(places)
            swapped[asker], swapped[other] = there, home
            before = [now[asker], now[other], float(costs[asker, home]), float(costs[other, there])]
            after = [
                delay(asker, swapped),
                delay(other, swapped),
                float(costs[other, home]),
                float(costs[asker, there]),
            ]
            if agree(before, after):
                yield tuple(swapped)
