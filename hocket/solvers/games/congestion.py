"""Who goes where, if those who share something divide it by the square roots of their loads: bound and local search.

A choice of player i costs at + (its load) x (all loads at the same place), for one place of each of two kinds, because
sum w_i t_i / f_i with sum f_i = 1 is least for f_i = sqrt(w_i t_i) / sum sqrt(w_j t_j), and then (sum sqrt(w_j t_j))^2.
All together cost

    sum at + sum over places of (sum of loads there)^2,

which is convex if players may divide themselves among choices. The least value of that is a lower bound.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.solvers.layout import Floats

Ints = NDArray[np.int64]
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Congestion:
    """The choices of all players, padded with choices that cost inf."""

    at: Floats
    """(P, J) cost of each choice without what is shared."""
    loads: tuple[Floats, Floats]
    """(P, J) of each kind."""
    places: tuple[Ints, Ints]
    """(P, J) of each kind; -1 = none, where the load is 0."""
    counts: tuple[int, int]
    """Number of places of each kind."""

    def sums(self, chosen: Ints) -> tuple[Floats, Floats]:
        """The loads of each place of each kind together."""
        players = np.arange(len(chosen))
        first, second = (
            np.bincount(places[players, chosen] + 1, loads[players, chosen], minlength=count + 1)[1:]
            for loads, places, count in zip(self.loads, self.places, self.counts, strict=True)
        )
        return np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)

    def value(self, chosen: Ints) -> float:
        """What all together cost."""
        alone = float(self.at[np.arange(len(chosen)), chosen].sum())
        return alone + sum(float((total**2).sum()) for total in self.sums(chosen))

    def priced(self, sums: tuple[Floats, Floats]) -> Floats:
        """(P, J) cost of each choice if a unit of load costs twice what is there."""
        costs = self.at.copy()
        for loads, places, total in zip(self.loads, self.places, sums, strict=True):
            # The last place stands for none.
            costs += 2 * loads * np.concatenate([total, [0.0]])[places]
        return costs


class Bound(NamedTuple):
    """A value that no choice can beat."""

    value: float
    sums: tuple[Floats, Floats]
    """Loads of the places in the relaxed optimum, up to its accuracy."""
    rounds: int


def lower_bound(game: Congestion, *, rounds: int = 2000, accuracy: float = 1e-3) -> Bound:
    """The best bound of a Frank-Wolfe search on the relaxation.

    At prices of twice the loads X each player takes its cheapest choice; by convexity nothing costs less than the sum
    of these minus sum X^2. Then the loads go towards those of the choices, as far as is best.

    Args:
        game: choices and loads.
        rounds: most.
        accuracy: stop when the relaxed value is so near to the bound, relative.
    """
    players = np.arange(len(game.at))
    chosen = game.at.argmin(axis=1)
    alone, sums = float(game.at[players, chosen].sum()), game.sums(chosen)
    best, best_sums = -np.inf, sums
    for number in range(rounds):
        costs = game.priced(sums)
        chosen = costs.argmin(axis=1)
        square = sum(float((total**2).sum()) for total in sums)
        bound = float(costs[players, chosen].sum()) - square
        if bound > best:
            best, best_sums = bound, sums
        if alone + square - best <= accuracy * abs(best):
            return Bound(best, best_sums, number)
        new, target = float(game.at[players, chosen].sum()), game.sums(chosen)
        steps = [there - here for there, here in zip(target, sums, strict=True)]
        slope = new - alone + 2 * sum(float(here @ step) for here, step in zip(sums, steps, strict=True))
        curve = sum(float(step @ step) for step in steps)
        part = min(max(-slope / (2 * curve), 0.0), 1.0) if curve > 0 else 1.0
        alone += part * (new - alone)
        sums = (sums[0] + part * steps[0], sums[1] + part * steps[1])
    return Bound(best, best_sums, rounds)


def local_search(game: Congestion, start: Ints, *, rounds: int = 100) -> Ints:
    """Each player in turn takes the choice with which all together cost least, until nobody changes.

    Args:
        game: choices and loads.
        start: choice of each player.
        rounds: most.
    """
    chosen = start.copy()
    sums = [np.concatenate([total, [0.0]]) for total in game.sums(chosen)]
    for _ in range(rounds):
        changed = False
        for player, current in enumerate(chosen):
            costs = game.at[player].copy()
            for loads, places, total in zip(game.loads, game.places, sums, strict=True):
                own = loads[player]
                total[places[player, current]] -= own[current]
                costs += own * (own + 2 * total[places[player]])
            best = int(costs.argmin())
            if costs[best] < costs[current] * (1 - _SAME):
                chosen[player], changed = best, True
            for loads, places, total in zip(game.loads, game.places, sums, strict=True):
                total[places[player, chosen[player]]] += loads[player, chosen[player]]
        if not changed:
            break
    return chosen
