"""Variables for where units are placed and which tensors cross, shared by every program over placements.

A tensor is paid for once for each node that it goes to. For each of its readers there is a variable for every pair of
nodes (where it is made, where it is read) whose sums over either side are the placements of the two units: with
fractions this is the local marginal polytope, which for one reader is the earthmover relaxation of the multiway cut.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from hocket.solvers.additive import Additive
from hocket.solvers.exact.linear import Columns, Linear
from hocket.solvers.layout import Floats, Layout, Net


class Crossing(NamedTuple):
    """A way that a tensor may take, and the variable that says whether it does."""

    net: int
    source: int
    """Node."""
    target: int
    column: int
    """-1 = it does in any case."""


class Crossings:
    """Placements of the units of one task as variables of a linear program; nodes are counted as in the cluster."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.linear = Linear()
        self.additive = Additive(layout, {"sequential": 1.0})
        self.hosts = np.array(layout.hosts, dtype=np.int64)
        self.column = {host: number for number, host in enumerate(layout.hosts)}
        self.places: Columns = self.linear.variables(len(layout.units), len(self.hosts), whole=True)
        """(U, D) whether a unit is on a host."""
        self.linear.rows(self.places, 1.0, 1.0, 1.0)
        self.found: list[Crossing] = []
        self.pairs: dict[tuple[int, int], Columns] = {}
        """(net, reader) -> (D, D) whether it is made on one host and read on another."""
        self.arrives: dict[tuple[int, int], Columns] = {}
        """(net, host) -> variables whose sum is 1 if some unit there reads it and it comes from elsewhere."""
        for number, net in enumerate(layout.nets):
            if net.maker < 0:
                self._entering(number, net)
            else:
                self._made(number, net)

    @cached_property
    def used(self) -> Columns:
        """(D,) at least 1 where some unit is."""
        used = self.linear.variables(len(self.hosts))
        for places in self.places:
            self.linear.rows(np.stack([used, places], axis=1), [1.0, -1.0], low=0.0)
        return used

    def cost(self, of_units: Floats, of_nets: Floats) -> tuple[Floats, float]:
        """A sum over units and crossings as (C,) coefficients and a constant.

        Args:
            of_units: (U, N) of each unit on each node.
            of_nets: (M, N, N) of each tensor from one node to another.
        """
        constant = 0.0
        cost = np.zeros(len(self.linear.upper))
        cost[self.places] = of_units[:, self.hosts]
        for net, source, target, column in self.found:
            value = of_nets[net, source, target]
            if not np.isfinite(value):
                continue  # forbidden
            if column < 0:
                constant += value
            else:
                cost[column] += value
        return cost, float(constant)

    def placement(self, values: Floats) -> list[int]:
        """The node of each unit, from the values of the variables."""
        return [int(self.hosts[row.argmax()]) for row in values[self.places]]

    def exclude(self, places: list[int]) -> None:
        """Leave out one placement."""
        columns = self.places[np.arange(len(places)), [self.column[place] for place in places]]
        self.linear.rows(columns[None, :], 1.0, high=len(places) - 1.0)

    def _entering(self, number: int, net: Net) -> None:
        """An input: it goes to each node where it is read or needed."""
        self.found += [Crossing(number, net.home, sink, -1) for sink in net.sinks if sink != net.home]
        for at, host in enumerate(self.layout.hosts):
            columns = self._any(self.places[list(net.readers), at])
            if columns is None:
                continue
            self.arrives[number, host] = np.array([columns])
            if host != net.home and host not in net.sinks:
                self._crosses(number, net.home, host, columns)

    def _made(self, number: int, net: Net) -> None:
        """A tensor that a unit makes."""
        for sink in net.sinks:
            for at, host in enumerate(self.layout.hosts):
                if host != sink:
                    self._crosses(number, host, sink, int(self.places[net.maker, at]))
        for reader in net.readers:
            self._pair(number, net.maker, reader)
        size = len(self.hosts)
        for b, target in enumerate(self.layout.hosts):
            if target in net.sinks or not net.readers:
                continue
            chosen = []
            for a in range(size):
                if a != b:
                    column = self._any(np.array([self.pairs[number, reader][a, b] for reader in net.readers]))
                    if column is not None:
                        chosen.append(column)
                        self._crosses(number, self.layout.hosts[a], target, column)
            self.arrives[number, target] = np.array(chosen, dtype=np.int64)

    def _pair(self, number: int, maker: int, reader: int) -> None:
        size = len(self.hosts)
        pairs = self.linear.variables(size, size)
        self.pairs[number, reader] = pairs
        self.linear.rows(np.hstack([pairs, self.places[maker][:, None]]), [1.0] * size + [-1.0], 0.0, 0.0)
        self.linear.rows(np.hstack([pairs.T, self.places[reader][:, None]]), [1.0] * size + [-1.0], 0.0, 0.0)
        ways = self.additive.costs.of_nets[number][np.ix_(self.hosts, self.hosts)]
        self.linear.forbid(pairs[np.isinf(ways)])

    def _any(self, columns: Columns) -> int | None:
        """A variable that is at least each of some; None if there are none."""
        if len(columns) < 2:
            return int(columns[0]) if len(columns) else None
        most = int(self.linear.variables(1)[0])
        self.linear.rows(np.stack([np.full(len(columns), most), columns], axis=1), [1.0, -1.0], low=0.0)
        return most

    def _crosses(self, number: int, source: int, target: int, column: int) -> None:
        if np.isinf(self.additive.costs.of_nets[number, source, target]):
            self.linear.forbid(np.array([column]))
        self.found.append(Crossing(number, source, target, column))
