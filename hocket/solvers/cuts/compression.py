"""A smaller graph with the same least cut, made once for a model and a pair of nodes, whatever the network does.

Take a boundary where one tensor alone passes (or the only input enters), and a unit v after it. If whatever is after
the boundary is no slower on the server, and v's result is not smaller than that tensor, no division needs to cut
between v and its only reader w: it could leave everything after the boundary to the server and send that tensor
instead. The same goes for a region between two boundaries of which every inside cut sends as much as its entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hocket.solvers.additive import Costs
from hocket.solvers.cut import least_cut
from hocket.solvers.cuts.construction import two_sided
from hocket.solvers.layout import Layout, Net


@dataclass(frozen=True, slots=True)
class Compressed:
    """Units in groups that no best division separates."""

    group_of: tuple[int, ...]
    """Group of each unit."""

    @property
    def size(self) -> int:
        """Number of groups."""
        return max(self.group_of, default=-1) + 1

    def costs(self, costs: Costs) -> Costs:
        """The costs of groups, from those of units."""
        of_units = np.zeros((self.size, costs.of_units.shape[1]))
        np.add.at(of_units, list(self.group_of), costs.of_units)
        kept = [(number, self._net(net)) for number, net in enumerate(costs.nets)]
        kept = [(number, net) for number, net in kept if net.readers or net.sinks]
        return Costs(of_units, costs.of_nets[[number for number, _ in kept]], tuple(net for _, net in kept))

    def _net(self, net: Net) -> Net:
        maker = self.group_of[net.maker] if net.maker >= 0 else -1
        return net._replace(maker=maker, readers=tuple(sorted({self.group_of[r] for r in net.readers} - {maker})))

    def places(self, of_groups: Sequence[int]) -> list[int]:
        """Node of each unit, from that of each group."""
        return [of_groups[group] for group in self.group_of]


class Compression:
    """Finds the groups.

    Args:
        layout: units and nets.
        device: the node of the first part.
        server: the node of the second part.
    """

    def __init__(self, layout: Layout, device: int, server: int) -> None:
        self._layout, self._device, self._server = layout, device, server
        self._size = len(layout.units)
        self._parent = list(range(self._size))
        self._slower = [unit for unit in range(self._size)
                        if layout.seconds[unit, server] > layout.seconds[unit, device]]  # fmt: skip
        self._after = _descendants(layout)
        # An input that enters elsewhere costs what its own way does, whatever its size.
        self._gates = [gate for gate in _gates(layout) if gate[1].maker >= 0 or gate[1].home == device]

    def run(self, *, pairs: bool = True, regions: bool = True) -> Compressed:
        """The groups.

        Args:
            pairs: merge a unit into its only reader.
            regions: merge regions between two boundaries.
        """
        if pairs:
            self._merge_pairs()
        if regions:
            self._merge_regions()
        roots = [self._root(unit) for unit in range(self._size)]
        number: dict[int, int] = {}
        return Compressed(tuple(number.setdefault(root, len(number)) for root in roots))

    def _merge_pairs(self) -> None:
        for net in self._layout.nets:
            if net.maker < 0 or len(net.readers) != 1 or net.sinks:
                continue
            least = min(((gate.nbytes, border) for border, gate in self._gates if border <= net.maker), default=None)
            if least is None or least[0] > net.nbytes:
                continue
            if self._may_move(least[1], net.readers[0]):
                self._join(net.maker, net.readers[0])

    def _merge_regions(self) -> None:
        for (start, entry), (stop, leaving) in zip(self._gates, self._gates[1:], strict=False):
            exit_unit = leaving.maker
            inside = range(start, stop)
            # Whatever is on the server has the last unit with it only if that unit depends on all of the region.
            closed = all(exit_unit == unit or exit_unit in self._after[unit] for unit in inside)
            if (
                len(inside) > 1
                and closed
                and self._may_move(start, exit_unit)
                and self._narrowest(inside, entry, exit_unit)
            ):
                for unit in inside:
                    self._join(unit, exit_unit)

    def _may_move(self, border: int, reader: int) -> bool:
        """Whether everything from a border on may go to the server if the reader is there: nothing gets slower, and
        all answers are made there already."""
        server_side = self._after[reader] | {reader}
        if any(unit >= border and unit not in server_side for unit in self._slower):
            return False
        moved = (net for net in self._layout.nets if net.sinks and net.maker >= border)
        return all(net.maker in server_side for net in moved)

    def _narrowest(self, inside: range, entry: Net, exit_unit: int) -> bool:
        """Whether every division of a region sends at least as many bytes as its entry."""
        layout = self._layout
        within = [net for net in layout.nets if net.maker in inside and net.readers and net.maker != exit_unit]
        of_units = np.zeros((len(inside), 2))
        of_units[exit_unit - inside.start, 0] = np.inf
        for reader in entry.readers:
            if reader == exit_unit:
                return True  # the entry itself crosses whenever the last unit is on the server
            of_units[reader - inside.start, 1] = np.inf
        shifted = tuple(
            Net(net.tensor, net.nbytes, net.maker - inside.start, -1,
                tuple(reader - inside.start for reader in net.readers), ())
            for net in within
        )  # fmt: skip
        bytes_of = np.array([[[0.0, net.nbytes], [np.inf, 0.0]] for net in within]).reshape(len(within), 2, 2)
        costs = Costs(of_units, bytes_of, shifted)
        return costs.value(least_cut(costs, 0, 1)) >= entry.nbytes

    def _join(self, one: int, other: int) -> None:
        self._parent[self._root(one)] = self._root(other)

    def _root(self, unit: int) -> int:
        while self._parent[unit] != unit:
            self._parent[unit] = self._parent[self._parent[unit]]
            unit = self._parent[unit]
        return unit


def compressed_cut(costs: Costs, compressed: Compressed, device: int, server: int) -> list[int]:
    """Node of each unit in the best division in which only answers come back, found on the groups."""
    return compressed.places(least_cut(two_sided(compressed.costs(costs), device, server), device, server))


def _gates(layout: Layout) -> list[tuple[int, Net]]:
    """Borders of the units where exactly one tensor passes, with that tensor, rising; the last unit's end is none."""
    size = len(layout.units)
    count = np.zeros(size + 2, dtype=np.int64)
    for net in layout.nets:
        for change, border in _span(net):
            count[border] += change
    alive = np.cumsum(count)[:size]
    single = {border for border in range(size) if alive[border] == 1}
    gates: dict[int, Net] = {}
    for net in layout.nets:
        (_, start), (_, stop) = _span(net) or ((0, 0), (0, 0))
        gates |= {border: net for border in range(start, stop) if border in single}
    return sorted(gates.items(), key=lambda found: found[0])


def _span(net: Net) -> tuple[tuple[int, int], ...]:
    """From which border on a tensor passes, and until which: (+1, start), (-1, stop)."""
    if not net.readers:
        return ()
    return (1, net.maker + 1), (-1, net.readers[-1] + 1)


def _descendants(layout: Layout) -> list[set[int]]:
    after: list[set[int]] = [set() for _ in layout.units]
    for unit in range(len(layout.units) - 1, -1, -1):
        for number in layout.makes[unit]:
            for reader in layout.nets[number].readers:
                after[unit] |= after[reader] | {reader}
    return after
