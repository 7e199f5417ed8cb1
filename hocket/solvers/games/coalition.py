"""Coalitions: players go where they are better off, each in one coalition, or with pieces of theirs in several."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.solvers.stop import Stop

Cost = Callable[[int, Sequence[int]], float]
"""(player, coalition of every player) -> its cost."""
Pieces = NDArray[np.int64]
"""(P, K) pieces that each player has in each coalition."""
_SAME = 1e-9


class Partition(NamedTuple):
    """Who is with whom."""

    coalitions: tuple[int, ...]
    """Of each player."""
    switches: int
    stable: bool
    """Whether no player (for `social`, no single switch) would gain: Nash-stable."""


def switching(
    cost: Cost, count: int, start: Sequence[int], *, social: bool = False, stop: Stop | None = None
) -> Partition:
    """Switch operations until none is left: a player leaves one coalition for another in which it is better off.

    A partition that was there before does not come back (the history set), so it ends in any game.

    Args:
        cost: of a player in a partition.
        count: number of coalitions; some may be empty.
        start: coalition of each player.
        social: a switch is made if the sum of all costs falls, not that of the mover.
        stop: asked once per round over all players, with the number of switches.
    """
    now, seen, switches = tuple(start), {tuple(start)}, 0
    while stop is None or not stop(float(switches)):
        before = switches
        for player in range(len(now)):
            wanted = [new for _, new in _gains(cost, count, now, player, social=social) if new not in seen]
            if wanted:
                now, switches = wanted[0], switches + 1
                seen.add(now)
        if switches == before:
            break
    stable = not any(True for player in range(len(now)) for _ in _gains(cost, count, now, player, social=social))
    return Partition(now, switches, stable)


def _gains(
    cost: Cost, count: int, now: tuple[int, ...], player: int, *, social: bool
) -> list[tuple[float, tuple[int, ...]]]:
    """The switches of a player that help, the best first."""

    def value(partition: tuple[int, ...]) -> float:
        return sum(cost(other, partition) for other in range(len(now))) if social else cost(player, partition)

    here = value(now)
    found = []
    for coalition in range(count):
        if coalition != now[player]:
            moved = (*now[:player], coalition, *now[player + 1 :])
            there = value(moved)
            if _lower(there, here):
                found.append((there, moved))
    return sorted(found)


def _lower(new: float, old: float) -> bool:
    return new < old and (not np.isfinite(old) or old - new > _SAME * max(abs(old), abs(new)))


class Overlap(NamedTuple):
    """Players with pieces in several coalitions."""

    pieces: Pieces
    moves: int
    stable: bool
    """Whether moving no single piece would lower the system's cost."""


def overlapping(
    cost: Callable[[Pieces], float], start: Pieces, allowed: NDArray[np.bool_], *, stop: Stop | None = None
) -> Overlap:
    """Move single pieces between coalitions while that lowers the cost of the whole system.

    A player joins a coalition with its first piece there and leaves it with its last one. The cost falls with every
    move, so it ends.

    Args:
        cost: of the system.
        start: (P, K) pieces.
        allowed: (P, K) where a player may be.
        stop: asked once per round with the cost.
    """
    pieces, moves = start.copy(), 0
    here = cost(pieces)
    while stop is None or not stop(here):
        before = moves
        for player in range(len(pieces)):
            found = min(_moved(cost, pieces, allowed, player), key=lambda move: move[0], default=None)
            if found is not None and _lower(found[0], here):
                here, pieces, moves = found[0], found[1], moves + 1
        if moves == before:
            return Overlap(pieces, moves, stable=True)
    left = (there for player in range(len(pieces)) for there, _ in _moved(cost, pieces, allowed, player))
    return Overlap(pieces, moves, stable=not any(_lower(there, here) for there in left))


def _moved(
    cost: Callable[[Pieces], float], pieces: Pieces, allowed: NDArray[np.bool_], player: int
) -> Iterator[tuple[float, Pieces]]:
    for origin in np.flatnonzero(pieces[player]):
        for target in np.flatnonzero(allowed[player]):
            if target != origin:
                new = pieces.copy()
                new[player, origin] -= 1
                new[player, target] += 1
                yield cost(new), new
