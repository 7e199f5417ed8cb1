"""The flow network of a division between two nodes: cut capacity = cost of the placement."""

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
    arcs, most = network(costs, places, first, second)
    pair = (first, second)
    if most <= 0:
        best = min(pair, key=lambda node: _value_of(costs, places, pair, node))
        return [best if node in pair else node for node in places]
    side = source_side(arcs, _A, _B, most)
    return [(first if side[unit + 2] else second) if node in pair else node for unit, node in enumerate(places)]


def network(costs: Costs, places: Places, first: int, second: int) -> tuple[Arcs, float]:
    """The flow network of such a division, and the value of some cut of it (of all on one node, if that is possible).

    Vertex 0 is the first node, 1 the second, u + 2 is unit u, those after it are tensors.
    """
    pair = (first, second)
    units = np.array([unit for unit, node in enumerate(places) if node in pair], dtype=np.int64)
    arcs = Arcs(len(places) + 2)
    arcs.many(np.zeros_like(units) + _A, units + 2, costs.of_units[units, second])
    arcs.many(units + 2, np.zeros_like(units) + _B, costs.of_units[units, first])
    touched = set(units.tolist())
    for number, net in enumerate(costs.nets):
        if net.maker in touched or not touched.isdisjoint(net.readers):
            _add_net(arcs, costs.of_nets[number].tolist(), net, places, pair)
    most = min(_value_of(costs, places, pair, node) for node in pair) if len(units) else 0.0
    if not np.isfinite(most):
        most = float(sum(capacity for capacity in arcs.capacities if np.isfinite(capacity)))
    return arcs, most


def _value_of(costs: Costs, places: Places, pair: tuple[int, int], moved: int) -> float:
    return costs.value([moved if node in pair else node for node in places])


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
