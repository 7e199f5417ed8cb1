"""Lower bounds of many placements at once, for searches that judge the promising ones first."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hocket.cost import Problem
from hocket.solvers.additive import SUMS, Additive, Costs
from hocket.solvers.layout import Floats, Layout

Placements = NDArray[np.int64]
"""(K, U) node of each unit in each placement."""
_MOST_NUMBERS = 4_000_000  # in one array


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
    if not costs.nets:
        return total
    sizes = [len(net.readers) for net in costs.nets]
    at = np.repeat(np.arange(len(sizes)), sizes)
    readers = np.array([reader for net in costs.nets for reader in net.readers], dtype=np.int64)
    makers = np.array([net.maker for net in costs.nets])
    homes = np.array([net.home for net in costs.nets])
    sinks = [(number, sink) for number, net in enumerate(costs.nets) for sink in net.sinks]
    rows = max(_MOST_NUMBERS // costs.of_nets[:, 0].size, 1)
    for start in range(0, len(placements), rows):
        some = placements[start : start + rows]
        # Each tensor is paid once for each node that wants it, and its own node costs nothing.
        wanted = np.zeros((len(some), len(sizes), costs.of_units.shape[1]), dtype=bool)
        wanted[np.arange(len(some))[:, None], at, some[:, readers]] = True
        for number, sink in sinks:
            wanted[:, number, sink] = True
        origins = np.where(makers >= 0, some[:, makers], homes)
        paid = costs.of_nets[np.arange(len(sizes)), origins]
        total[start : start + rows] += np.where(wanted, paid, 0.0).sum(axis=(1, 2))
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
    units = layout.seconds.shape[0]
    edges = [(unit, number) for unit in range(units) for number in layout.reads[unit]]
    steps = iter(_steps(layout, costs, placements, edges))
    took = layout.seconds[np.arange(units), placements].T
    calls = layout.call_s[placements].T
    finish = np.zeros((units, len(placements)))
    longest = np.zeros(len(placements))
    for unit in range(units):
        ready = np.zeros(len(placements)) if layout.reads[unit] else calls[unit]
        for number in layout.reads[unit]:
            maker = costs.nets[number].maker
            ready = np.maximum(ready, next(steps) if maker < 0 else finish[maker] + next(steps))
        np.add(ready, took[unit], out=finish[unit])
        for number in layout.makes[unit]:
            here = placements[:, unit]
            for sink in costs.nets[number].sinks:
                sent = np.where(here == sink, 0.0, costs.of_nets[number, here, sink])
                longest = np.maximum(longest, finish[unit] + sent)
    return np.asarray(np.maximum(longest, finish.max(axis=0, initial=0.0)) * (1 - 1e-12))


def _steps(layout: Layout, costs: Costs, placements: Placements, edges: list[tuple[int, int]]) -> Floats:
    """(E, K) seconds from when a tensor is made until the unit that reads it may begin."""
    if not edges:
        return np.zeros((0, len(placements)))
    readers, numbers = (np.array(column) for column in zip(*edges, strict=True))
    makers = np.array([net.maker for net in costs.nets])[numbers][:, None]
    homes = np.array([net.home for net in costs.nets])[numbers][:, None]
    here = placements.T[readers]
    origins = np.where(makers >= 0, placements.T[makers[:, 0]], homes)
    away = here != origins
    ways = np.where(away, costs.of_nets[numbers[:, None], origins, here], 0.0)
    # What comes from another unit on the same node needs no new call.
    return np.asarray(ways + np.where(away | (makers < 0), layout.call_s[here], 0.0))


def overfull(layout: Layout) -> Callable[[Placements], NDArray[np.bool_]]:
    """A function from placements to (K,) whether the weights alone are more than some node has room for."""
    problem, graph = layout.problem, layout.graph
    rooms = [problem.cluster.nodes[host].memory_bytes for host in layout.hosts]
    room = np.array([np.inf if nbytes is None else float(nbytes) for nbytes in rooms])
    seen: set[str] = set()
    sizes = np.zeros(len(layout.units))
    # What several units read is counted where the first of them is, so no node seems fuller than it is.
    for number, unit in enumerate(layout.units):
        names = {name for position in unit.operators for name in graph.operators[position].weights} - seen
        sizes[number] = sum(graph.weights[name] for name in names)
        seen |= names

    def over(placements: Placements) -> NDArray[np.bool_]:
        found = np.zeros(len(placements), dtype=bool)
        for host, most in zip(layout.hosts, room, strict=True):
            if np.isfinite(most):
                there = placements == host
                need = there.any(axis=1) * float(graph.weight_bytes) if problem.whole_model else there @ sizes
                found |= need > most
        return found

    return over
