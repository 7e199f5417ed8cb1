"""Lower bounds of many placements at once, for searches that judge the promising ones first."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hocket.cost import Problem
from hocket.solvers.additive import SUMS, Additive, Costs
from hocket.solvers.layout import Floats, Layout

Placements = NDArray[np.int64]
"""(K, U) node of each unit in each placement."""


def bounds_of(problem: Problem, layout: Layout) -> Callable[[Placements], Floats]:
    """A function from placements to values of the objective that they cannot beat; exact where it adds up.

    inf = a host or a way that is not there.
    """
    metric = problem.objective.metric
    if metric != "weighted":
        return _bound(layout, metric)
    parts = [
        (_bound(layout, name), weight / (problem.references[name] or 1.0))
        for name, weight in sorted(problem.objective.weights.items())
        if weight
    ]

    def weighted(placements: Placements) -> Floats:
        total = np.zeros(len(placements))
        for bound, weight in parts:
            total += weight * bound(placements)
        return total

    return weighted


def _bound(layout: Layout, metric: str) -> Callable[[Placements], Floats]:
    if metric in SUMS:
        costs = Additive(layout, {metric: 1.0}).costs
        return lambda placements: sums(costs, placements)
    if metric == "period":
        return lambda placements: loads(layout, placements)
    costs = Additive(layout, {"sequential": 1.0}).costs
    return lambda placements: np.maximum(loads(layout, placements), paths(layout, costs, placements))


def sums(costs: Costs, placements: Placements) -> Floats:
    """(K,) additive cost of each placement."""
    total: Floats = costs.of_units[np.arange(placements.shape[1]), placements].sum(axis=1)
    nodes = range(costs.of_units.shape[1])
    for number, net in enumerate(costs.nets):
        origin = placements[:, net.maker] if net.maker >= 0 else np.full(len(placements), net.home)
        for target in nodes:
            wanted = (placements[:, net.readers] == target).any(axis=1) | (target in net.sinks)
            total = total + np.where(wanted & (origin != target), costs.of_nets[number, origin, target], 0.0)
    return total


def loads(layout: Layout, placements: Placements) -> Floats:
    """(K,) seconds of the busiest node, one call each."""
    seconds = layout.seconds[np.arange(placements.shape[1]), placements]
    busiest = np.zeros(len(placements))
    for host in layout.hosts:
        there = placements == host
        busiest = np.maximum(
            busiest, np.where(there, seconds, 0.0).sum(axis=1) + layout.call_s[host] * there.any(axis=1)
        )
    return busiest * (1 - 1e-12)


def paths(layout: Layout, costs: Costs, placements: Placements) -> Floats:
    """(K,) seconds of the slowest chain of units and ways of each placement, calls included."""
    count = len(placements)
    finish = np.zeros((layout.seconds.shape[0], count))
    longest = np.zeros(count)
    for unit in range(len(finish)):
        here = placements[:, unit]
        ready = np.zeros(count) if layout.reads[unit] else layout.call_s[here]
        for number in layout.reads[unit]:
            net = costs.nets[number]
            if net.maker < 0:
                came = np.where(here == net.home, 0.0, costs.of_nets[number, net.home, here]) + layout.call_s[here]
            else:
                origin = placements[:, net.maker]
                step = costs.of_nets[number, origin, here] + layout.call_s[here]
                came = finish[net.maker] + np.where(here == origin, 0.0, step)
            ready = np.maximum(ready, came)
        finish[unit] = ready + layout.seconds[unit, here]
        longest = np.maximum(longest, finish[unit])
        for number in layout.makes[unit]:
            for sink in costs.nets[number].sinks:
                sent = np.where(here == sink, 0.0, costs.of_nets[number, here, sink])
                longest = np.maximum(longest, finish[unit] + sent)
    return longest * (1 - 1e-12)
