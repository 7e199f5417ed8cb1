"""Placements to start a search from: each node alone, the best cuts, and list schedules."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from hocket.solvers.additive import Additive
from hocket.solvers.chain import Chain
from hocket.solvers.chain_dp import shortest
from hocket.solvers.cut import best_swap
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.linear_scan import cut_costs

_MOST_PAIRS = 28


def starts(additive: Additive) -> Iterator[list[int]]:
    """Placements that are good for one reason or another; those that take longest to find come last."""
    layout = additive.layout
    size = len(layout.units)
    whole = [[host] * size for host in layout.hosts]
    if len(layout.hosts) > 1:
        chain = Chain(additive)
        yield chain.places(shortest(chain, layout.call_s[chain.hosts])[1])
        yield from _cut_in_two(additive)
        sequential = Additive(layout, {"sequential": 1.0})
        yield from (list_schedule(sequential, caution) for caution in (1.0, 0.5, 2.0))
        yield in_a_row(layout)
    yield from whole
    if len(layout.hosts) > 1:
        yield from _swapped(additive, whole)


def _swapped(additive: Additive, whole: list[list[int]]) -> Iterator[list[int]]:
    """From each node alone, the best division between two nodes again and again, until no pair gives less."""
    pairs = list(combinations(additive.layout.hosts, 2))[:_MOST_PAIRS]
    costs = additive.costs
    begins = sorted((costs.value(places), places) for places in whole)
    for value, begin in begins[:2]:
        best, places, again = value, begin, True
        while again:
            again = False
            for first, second in pairs:
                swapped = best_swap(costs, places, first, second)
                found = costs.value(swapped)
                if found < best * (1 - 1e-9) or (np.isinf(best) and np.isfinite(found)):
                    best, places, again = found, swapped, True
        yield places


def _cut_in_two(additive: Additive) -> Iterator[list[int]]:
    """The best cut of the topological order between the first inputs' node and each other one."""
    layout = additive.layout
    source = layout.problem.cluster.index[layout.task.source]
    if source in layout.hosts:
        for other in layout.hosts:
            if other != source:
                cut = int(cut_costs(additive.costs, source, other).argmin())
                yield [source] * cut + [other] * (len(layout.units) - cut)


def list_schedule(additive: Additive, caution: float) -> list[int]:
    """Units by their distance to the end, each where it would be finished first (HEFT).

    Args:
        additive: sequential costs.
        caution: factor on the seconds of ways.
    """
    layout, costs = additive.layout, additive.costs
    hosts = list(layout.hosts)
    rank = _ranks(layout, costs.of_nets[:, hosts][:, :, hosts])
    order = sorted(range(len(layout.units)), key=lambda unit: (-rank[unit], unit))
    free = np.zeros(len(layout.nodes))
    finish, places = np.zeros(len(layout.units)), [hosts[0]] * len(layout.units)
    for unit in order:
        ready = np.zeros(len(layout.nodes))
        for number in layout.reads[unit]:
            net = costs.nets[number]
            origin = net.home if net.maker < 0 else places[net.maker]
            done = 0.0 if net.maker < 0 else finish[net.maker]
            ready = np.maximum(ready, done + caution * costs.of_nets[number, origin])
        ends = np.maximum(ready, free) + layout.seconds[unit]
        back = [caution * costs.of_nets[number][:, sink] for number in layout.makes[unit]
                for sink in costs.nets[number].sinks]  # fmt: skip
        chosen = min(hosts, key=lambda host: (ends[host] + sum(way[host] for way in back), host))
        places[unit] = chosen
        finish[unit] = free[chosen] = ends[chosen]
    return places


def _ranks(layout: Layout, between: Floats) -> Floats:
    """(U,) mean seconds from the start of each unit to the end; a unit is always before its readers."""
    finite = np.where(np.isfinite(between), between, 0.0)
    mean_way = finite.mean(axis=(1, 2)) if finite.size else np.zeros(len(between))
    mean_s = layout.seconds[:, list(layout.hosts)].mean(axis=1)
    rank = np.zeros(len(layout.units))
    for unit in range(len(rank) - 1, -1, -1):
        after = [
            mean_way[number] + rank[reader] for number in layout.makes[unit] for reader in layout.nets[number].readers
        ]
        rank[unit] = mean_s[unit] + max(after, default=0.0)
    return rank


def in_a_row(layout: Layout) -> list[int]:
    """Consecutive units shared out by speed, the source first: a start for the period."""
    hosts = sorted(layout.hosts, key=lambda host: layout.nodes[host] != layout.task.source)
    total = layout.seconds[:, hosts].sum(axis=0)
    share = 1 / np.maximum(total, 1e-300)
    limits = np.cumsum(share / share.sum())
    mean = layout.seconds[:, hosts] / np.maximum(total, 1e-300)
    done = np.cumsum(mean.mean(axis=1)) - mean.mean(axis=1) / 2
    return [hosts[min(int(np.searchsorted(limits, part)), len(hosts) - 1)] for part in done]
