"""Two machines in a row, the device and its uplink: Johnson's order, and jobs that are cut in two ways."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hocket.solvers.layout import Floats


def johnson(first_s: Sequence[float], second_s: Sequence[float]) -> list[int]:
    """The order of least makespan: jobs with a shorter first step by it, rising; the others by the second, falling.

    >>> johnson([3.0, 1.0, 2.0], [2.0, 4.0, 2.5])
    [1, 2, 0]
    """
    jobs = range(len(first_s))
    rising = sorted((job for job in jobs if first_s[job] < second_s[job]), key=lambda job: (first_s[job], job))
    falling = sorted((job for job in jobs if first_s[job] >= second_s[job]), key=lambda job: (-second_s[job], job))
    return rising + falling


def makespan_s(first_s: Sequence[float], second_s: Sequence[float], order: Sequence[int]) -> float:
    """When the last job of an order leaves the second machine.

    >>> makespan_s([1.0, 2.0], [4.0, 1.0], [0, 1])
    6.0
    """
    done, sent = 0.0, 0.0
    for job in order:
        done += first_s[job]
        sent = max(done, sent) + second_s[job]
    return sent


class Mix(NamedTuple):
    """Jobs of two kinds in the order in which they go, and their makespan."""

    first: int
    """Cut of the jobs that go first."""
    second: int
    ahead: int
    """How many jobs go first."""
    makespan_s: float


def candidates(first_s: Floats, second_s: Floats) -> list[int]:
    """Cuts that no other one is at least as good as in both steps, by their first step rising."""
    order = sorted(range(len(first_s)), key=lambda cut: (first_s[cut], second_s[cut], cut))
    kept, least = [], np.inf
    for cut in order:
        if second_s[cut] < least:
            kept.append(cut)
            least = float(second_s[cut])
    return kept


def best_mix(first_s: Floats, second_s: Floats, jobs: int, cuts: Sequence[int]) -> Mix | None:
    """The two cuts of least makespan, and how many jobs take which; they may be the same.

    Args:
        first_s: (C,) seconds of the first step of each cut.
        second_s: (C,) of the second.
        jobs: how many there are.
        cuts: those to choose from; None where there are none.
    """
    if not len(cuts):
        return None
    f, g = np.asarray(first_s)[list(cuts)], np.asarray(second_s)[list(cuts)]
    counts = np.arange(jobs + 1)[None, None, :]
    fa, ga, fb, gb = f[:, None, None], g[:, None, None], f[None, :, None], g[None, :, None]
    left = jobs - counts
    # Equal jobs in a row: the first step of one, the second of one, and the longer of both for each of the others.
    sent = np.where(counts > 0, fa + ga + (counts - 1) * np.maximum(fa, ga), 0.0)
    later = np.maximum(sent + left * gb, counts * fa + fb + gb + (left - 1) * np.maximum(fb, gb))
    makespan = np.where(left > 0, later, sent)
    # Johnson's rule tells which kind goes first; the other order of the same two cuts is another entry.
    a, b, count = (int(number) for number in np.unravel_index(makespan.argmin(), makespan.shape))
    return Mix(cuts[a], cuts[b], count, float(makespan[a, b, count]))


def around_crossing(first_s: Floats, second_s: Floats, cuts: Sequence[int]) -> list[int]:
    """The two cuts between which the first step overtakes the second, found by bisection.

    Args:
        first_s: (C,) seconds of the first step of each cut.
        second_s: (C,) of the second.
        cuts: as `candidates` gives them: along these the first step rises and the second falls.
    """
    low, high = 0, len(cuts)
    while low < high:
        middle = (low + high) // 2
        if first_s[cuts[middle]] < second_s[cuts[middle]]:
            low = middle + 1
        else:
            high = middle
    return list(cuts[max(low - 1, 0) : low + 1])
