"""Greedy and dichotomy: units in a fixed order, each takes the longest prefix that a stage time allows."""

from collections.abc import Iterator

import numpy as np

from hocket.solvers.linearised import Linear
from hocket.solvers.stages import Runs, Stage

_EQUAL = 1 + 1e-12
_CLOSE = 1e-6


def orders_of(linear: Linear) -> Iterator[list[int]]:
    """Orders of hosts: the fastest first, the source first, and from the source along the fastest links; each of these
    without its slowest hosts, one after the other."""
    slow = linear.slowness()
    by_speed = np.argsort(slow, kind="stable").tolist()
    base = [by_speed]
    if linear.source is not None:
        base.append(sorted(by_speed, key=lambda host: host != linear.source))
        base.append(_along_links(linear, linear.source))
    seen: set[tuple[int, ...]] = set()
    for order in base:
        for count in range(len(order), 0, -1):
            kept = set(by_speed[:count])
            some = [host for host in order if host in kept]
            if tuple(some) not in seen:
                seen.add(tuple(some))
                yield some


def _along_links(linear: Linear, first: int) -> list[int]:
    order, steps = [first], linear.runs.steps.mean(axis=0) if linear.runs.length else np.zeros((0, 0))
    left = [host for host in range(linear.runs.width) if host != first]
    while left:
        here = order[-1]
        nearest = min(left, key=lambda host: (float(steps[here, host]) if steps.size else 0.0, host))
        left.remove(nearest)
        order.append(nearest)
    return order


def shortest_stage(runs: Runs, order: list[int]) -> list[Stage] | None:
    """The division of least longest stage that longest prefixes find; None if none can be done at all.

    Args:
        runs: the chain; memory is not looked at.
        order: hosts; the first so many are used, each for at least one block.
    """
    if not runs.length:
        return []
    found = prefixes(runs, order, np.inf)
    if found is None:
        return None
    low, high = 0.0, runs.busiest(found)
    while high > low * _EQUAL:
        close = high - low < _CLOSE * high
        middle = high * (2 - _EQUAL**2) if close else (low + high) / 2
        if not low < middle < high:
            break
        better = prefixes(runs, order, middle)
        if better is not None:
            found, high = better, min(runs.busiest(better), middle)
        elif close:
            break
        else:
            low = middle
    return found


def prefixes(runs: Runs, order: list[int], stage_s: float) -> list[Stage] | None:
    """Each host in turn takes the most blocks whose computing and way out take at most a time; None if some are left.

    Args:
        runs: the chain.
        order: hosts.
        stage_s: the most that a stage may take.
    """
    most, start, stages = stage_s * _EQUAL, 0, list[Stage]()
    if runs.enter[order[0]] > most:
        return None
    for place, host in enumerate(order):
        work = runs.call_s[host] + runs.before[start + 1 :, host] - runs.before[start, host]
        if work[-1] <= most and runs.leave[host] <= most and np.isfinite(runs.leave[host]):
            return [*stages, Stage(start, runs.length, host)]
        if place + 1 == len(order):
            return None
        way = runs.steps[start + 1 :, host, order[place + 1]]
        able = np.flatnonzero((work[:-1] <= most) & (way <= most) & np.isfinite(way))
        if not len(able):
            return None
        stop = start + 1 + int(able[-1])
        stages.append(Stage(start, stop, host))
        start = stop
    return None
