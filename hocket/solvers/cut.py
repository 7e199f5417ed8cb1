"""The flow network of a division between two nodes: cut capacity = cost of the placement."""

from collections.abc import Sequence

import numpy as np

from hocket.solvers.additive import Costs
from hocket.solvers.flow import Arcs, source_side
from hocket.solvers.layout import Net, Places

_A, _B = 0, 1  # the terminals of the flow network; unit u is vertex u + 2


def least_cut(costs: Costs, first: int, second: int) -> list[int]:
    """The best placement on two nodes."""
    return best_swap(costs, [first] * len(costs.of_units), first, second)


def best_swap(costs: Costs, places: Places, first: int, second: int) -> list[int]:
    """The best way to divide between two nodes all units that are on either; the others stay where they are.

    Args:
        costs: of units and nets.
        places: node of each unit.
        first: one node; of equally good answers the one with fewest units on it is chosen.
        second: the other one.
    """
    movable = [unit for unit, node in enumerate(places) if node in (first, second)]
    arcs = Arcs(len(places) + 2)
    units = np.array(movable, dtype=np.int64)
    on_first, on_second = costs.of_units[units, first], costs.of_units[units, second]
    arcs.many(np.zeros_like(units) + _A, units + 2, on_second)
    arcs.many(units + 2, np.zeros_like(units) + _B, on_first)
    touched = set(movable)
    pair = (first, second)
    for number, net in enumerate(costs.nets):
        if net.maker in touched or not touched.isdisjoint(net.readers):
            _add_net(arcs, costs.of_nets[number].tolist(), net, places, pair)
    values = [_value_of(costs, places, movable, node) for node in pair]
    most = min(values)
    if most <= 0 or not movable:
        return [pair[values.index(most)] if node in pair else node for node in places]
    if not np.isfinite(most):
        most = float(sum(capacity for capacity in arcs.capacities if np.isfinite(capacity)))
    side = source_side(arcs, _A, _B, most)
    divided = list(places)
    for unit in movable:
        divided[unit] = first if side[unit + 2] else second
    return divided


def _value_of(costs: Costs, places: Places, movable: Sequence[int], node: int) -> float:
    moved = list(places)
    for unit in movable:
        moved[unit] = node
    return costs.value(moved)


def _add_net(arcs: Arcs, cost: list[list[float]], net: Net, places: Places, pair: tuple[int, int]) -> None:
    """The arcs that charge one tensor once for each node that it goes to."""
    first, second = pair
    readers = [reader + 2 for reader in net.readers if places[reader] in pair]
    fixed = {*(places[reader] for reader in net.readers), *net.sinks} - set(pair)
    pinned = set(net.sinks) & set(pair)
    if net.maker >= 0 and places[net.maker] in pair:
        maker = net.maker + 2
        for node in sorted(fixed):
            arcs.add(maker, _B, cost[first][node])
            arcs.add(_A, maker, cost[second][node])
        _forth(arcs, maker, [_B] if second in pinned else readers, cost[first][second])
        _back(arcs, maker, [_A] if first in pinned else readers, cost[second][first])
        return
    home = net.home if net.maker < 0 else places[net.maker]
    # What is already paid because an answer is needed there does not depend on the cut.
    if home != second and second not in pinned:
        _forth(arcs, _A, readers, cost[home][second])
    if home != first and first not in pinned:
        _back(arcs, _B, readers, cost[home][first])


def _forth(arcs: Arcs, maker: int, readers: list[int], cost: float) -> None:
    """Charge a cost if the maker is on the first node and some reader on the second."""
    if len(readers) == 1:
        arcs.add(maker, readers[0], cost)
    elif readers:
        vertex = arcs.vertex()
        arcs.add(maker, vertex, cost)
        for reader in readers:
            arcs.add(vertex, reader, np.inf)


def _back(arcs: Arcs, maker: int, readers: list[int], cost: float) -> None:
    """Charge a cost if the maker is on the second node and some reader on the first."""
    if len(readers) == 1:
        arcs.add(readers[0], maker, cost)
    elif readers:
        vertex = arcs.vertex()
        arcs.add(vertex, maker, cost)
        for reader in readers:
            arcs.add(reader, vertex, np.inf)
