"""Non-cooperative games with finitely many strategies: players improve in turn until none can.

A game is a function: the cost of each strategy of one player while the others keep theirs.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from hocket.solvers.layout import Floats
from hocket.solvers.stop import Stop

Costs = Callable[[int, Sequence[int]], Floats]
"""(player, strategy of every player) -> (S,) cost of each strategy of this player; inf = not allowed."""
Potential = Callable[[Sequence[int]], float]
_SAME = 1e-9


class Equilibrium(NamedTuple):
    """Where a game came to rest."""

    strategies: tuple[int, ...]
    moves: int
    """Changes of strategy."""
    stable: bool
    """Whether no player can improve alone; False = the rounds ran out, or it was stopped."""


def best_response(costs: Costs, start: Sequence[int], *, rounds: int = 1000, stop: Stop | None = None) -> Equilibrium:
    """Each player in turn takes its best strategy, until a whole round passes without an improvement.

    Args:
        costs: the game.
        start: strategy of every player.
        rounds: most rounds; a game without a potential may go on for ever.
        stop: asked once per round with the number of moves so far.

    Two drivers, two roads; each pays the number of drivers on its road:

    >>> def crowded(player, chosen):
    ...     return np.array([1.0 + (chosen[1 - player] == road) for road in (0, 1)])
    >>> best_response(crowded, [0, 0])
    Equilibrium(strategies=(1, 0), moves=1, stable=True)
    """
    chosen, moves = list(start), 0
    for _ in range(rounds):
        if stop is not None and stop(float(moves)):
            break
        before = moves
        for player in range(len(chosen)):
            answer = reply(costs(player, chosen), chosen[player])
            if answer != chosen[player]:
                chosen[player] = answer
                moves += 1
        if moves == before:
            return Equilibrium(tuple(chosen), moves, stable=True)
    return Equilibrium(tuple(chosen), moves, stable=not any(improvements(costs, chosen)))


def reply(costs: Floats, current: int) -> int:
    """The best strategy, by the costs of one player's strategies; the current one unless another is really better.

    >>> reply(np.array([2.0, 1.0, 1.0]), 0), reply(np.array([1.0, 1.0]), 1)
    (1, 1)
    """
    best = int(np.argmin(costs))
    return best if _lower(float(costs[best]), float(costs[current])) else current


def _lower(new: float, old: float) -> bool:
    # Rounding must not make a player change for ever.
    return new < old and (not np.isfinite(old) or old - new > _SAME * max(abs(old), abs(new)))


def improvements(costs: Costs, chosen: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Every (player, strategy) with which a player would do better alone: none in a Nash equilibrium."""
    for player, current in enumerate(chosen):
        own = costs(player, chosen)
        for strategy, cost in enumerate(own):
            if _lower(float(cost), float(own[current])):
                yield player, strategy


def fault(costs: Costs, potential: Potential, sizes: Sequence[int], *, exact: bool = True) -> str | None:
    """Why a function is no potential of a small game: the first change that it gets wrong; None if it is one.

    Args:
        costs: the game.
        potential: the function.
        sizes: number of strategies of each player; all combinations are looked at.
        exact: it changes by as much as the cost of the one who moves; else it has only the same sign.
    """
    for chosen in product(*(range(size) for size in sizes)):
        here = potential(chosen)
        for player in range(len(chosen)):
            own = costs(player, chosen)
            for strategy, cost in enumerate(own):
                moved = (*chosen[:player], strategy, *chosen[player + 1 :])
                rise, owned = potential(moved) - here, float(cost - own[chosen[player]])
                scale = _SAME * max(abs(here), abs(float(cost)), abs(float(own[chosen[player]])), 1e-300)
                same = abs(rise - owned) <= 10 * scale
                if not same and (exact or (owned < -scale) != (rise < -scale) or (owned > scale) != (rise > scale)):
                    return f"player {player} goes from {chosen} to {strategy}: {owned:.6g} for it, {rise:.6g} for all"
    return None


class Rest(NamedTuple):
    """A point that answers itself, or where the search for one ended."""

    point: Floats
    rounds: int
    converged: bool


def damped(
    answer: Callable[[Floats], Floats],
    start: Floats,
    *,
    damping: float = 0.5,
    tolerance: float = 1e-9,
    rounds: int = 200,
) -> Rest:
    """Continuous strategies: all players go part of the way to their answers, until these stay where they are.

    Args:
        answer: (P,) strategies -> (P,) best answers.
        start: (P,) strategies.
        damping: part of the way that is not gone; without it, strong answers swing for ever.
        tolerance: relative.
        rounds: most.

    >>> swing = lambda x: 2.0 - x  # undamped: 0, 2, 0, 2, ...
    >>> damped(swing, np.array([0.0])).point.tolist(), damped(swing, np.array([0.0]), damping=0.0).converged
    ([1.0], False)
    """
    point = np.asarray(start, dtype=np.float64)
    for number in range(rounds):
        wanted = answer(point)
        if bool(np.all(np.abs(wanted - point) <= tolerance * np.maximum(np.abs(wanted), np.abs(point)))):
            return Rest(np.asarray(wanted), number, converged=True)
        point = damping * point + (1 - damping) * wanted
    return Rest(point, rounds, converged=False)
