"""A bound of the latency of graphs that become narrow again and again, as layers of a transformer do.

Everything between two places where a single tensor passes is computed between the times at which these two are made, so
what these parts take adds up. The units of a part that count are either all on the node of the last one, which computes
them one after the other; or one of them is on another node, from where something has to come.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hocket.graph.topology import blocks
from hocket.solvers.additive import Additive
from hocket.solvers.layout import Floats
from hocket.solvers.period import fluid_period

_LESS = 1 - 1e-12


class _Part(NamedTuple):
    """Units between two tensors that pass alone: those that read the first, if only through others, and that the last
    one depends on."""

    alone: Floats
    """(D,) seconds of all of them on one host."""
    path: float
    """Seconds of the shortest among the longest paths through each of them but the last, each unit at its best."""
    fluid: float
    """Seconds of all of them if work could be divided at will."""
    inner: Floats
    """(D, D) least seconds from one host to another by tensors between them."""


def narrow_bound(additive: Additive) -> float:
    """Seconds before which no plan has the answers; 0 where the graph is nowhere narrow.

    Args:
        additive: sequential costs.
    """
    search = _Search(additive)
    return search.bound() * _LESS if search.passing else 0.0


class _Search:
    def __init__(self, additive: Additive) -> None:
        self.layout, self.ways = additive.layout, additive.costs.of_nets
        self.hosts = np.array(self.layout.hosts, dtype=np.int64)
        self.seconds, self.call_s = self.layout.seconds[:, self.hosts], self.layout.call_s[self.hosts]
        self.passing = self._passing()

    def _passing(self) -> list[int]:
        """Nets that pass alone from one block to the next, in order."""
        by_name = {net.tensor: number for number, net in enumerate(self.layout.nets)}
        names = (name for block in blocks(self.layout.graph)[1:] for name in block.inputs[:1])
        return list(dict.fromkeys(by_name[name] for name in names))

    def bound(self) -> float:
        """Seconds of the slowest answer."""
        nets = self.layout.nets
        ready = self._begun(nets[self.passing[0]].maker)
        for before, number in pairwise(self.passing):
            part = self._part(before, nets[number].maker)
            if part is None:
                return 0.0  # the tensor does not depend on the one before it: their times do not add up
            ready = self._after(part, self._arrived(before, ready), float(ready.min()))
        longest, before = 0.0, self.passing[-1]
        for number, net in enumerate(nets):
            if net.maker < 0 or not net.sinks:
                continue
            part = self._part(before, net.maker)
            if part is not None:
                made = self._after(part, self._arrived(before, ready), float(ready.min()))
            elif number == before:
                made = ready
            else:
                continue
            longest = max([longest, *(float(self._sent(number, made, sink).min()) for sink in net.sinks)])
        return longest

    def _begun(self, last: int) -> Floats:
        """(D,) when a unit of the beginning has been computed on each host, after each of the inputs it waits for."""
        ready = np.zeros(len(self.hosts))
        for number, net in enumerate(self.layout.nets):
            part = self._part(number, last) if net.home >= 0 else None
            if part is not None:
                arrived = np.where(self.hosts == net.home, 0.0, self.ways[number, net.home, self.hosts]) + self.call_s
                ready = np.maximum(ready, self._after(part, arrived, 0.0))
        return ready

    def _part(self, before: int, last: int) -> _Part | None:
        """What is computed after a net has been made for a unit to finish; None if the unit does not depend on it."""
        reads, nets = self.layout.reads, self.layout.nets
        reached: set[int] = set()
        for unit in range(nets[before].maker + 1, last + 1):
            if before in reads[unit] or any(nets[number].maker in reached for number in reads[unit]):
                reached.add(unit)
        if last not in reached:
            return None
        wanted, open_ = {last}, [last]
        while open_:
            makers = {nets[number].maker for number in reads[open_.pop()]} & reached - wanted
            wanted |= makers
            open_ += makers
        units = sorted(wanted)
        joins = [(number, nets[number].maker, unit) for unit in units for number in reads[unit]
                 if nets[number].maker in wanted]  # fmt: skip
        seconds = self.seconds[units]
        fluid = fluid_period(seconds, np.zeros(len(self.hosts)))
        return _Part(seconds.sum(axis=0), self._path(units, joins), fluid, self._inner(joins))

    def _path(self, units: list[int], joins: list[tuple[int, int, int]]) -> float:
        least = dict(zip(units, self.seconds[units].min(axis=1).tolist(), strict=True))
        head, tail = dict(least), dict(least)
        for _, maker, reader in joins:
            head[reader] = max(head[reader], head[maker] + least[reader])
        for _, maker, reader in reversed(joins):
            tail[maker] = max(tail[maker], tail[reader] + least[maker])
        return min((head[unit] + tail[unit] - least[unit] for unit in units[:-1]), default=np.inf)

    def _inner(self, joins: list[tuple[int, int, int]]) -> Floats:
        size = len(self.hosts)
        inner = np.full((size, size), np.inf)
        if joins:
            numbers = sorted({number for number, _, _ in joins})
            inner = self.ways[numbers][:, self.hosts][:, :, self.hosts].min(axis=0) + self.call_s
        np.fill_diagonal(inner, 0.0)
        for between in range(size):
            inner = np.minimum(inner, inner[:, [between]] + inner[[between], :])
        return inner

    def _arrived(self, number: int, made: Floats) -> Floats:
        """(D,) when a net can be read on each host, from when it is made there."""
        ways = made[:, None] + self.ways[number][np.ix_(self.hosts, self.hosts)]
        np.fill_diagonal(ways, np.inf)
        return np.asarray(np.minimum(made, ways.min(axis=0) + self.call_s))

    def _after(self, part: _Part, arrived: Floats, first: float) -> Floats:
        """(D,) when the last unit of a part has been computed on each host.

        Args:
            part: its units.
            arrived: (D,) when what it begins with can be read on each host.
            first: when that is made.
        """
        reached = (arrived[:, None] + part.inner).min(axis=0)
        away = reached[:, None] + part.inner
        np.fill_diagonal(away, np.inf)
        divided = np.maximum(away.min(axis=0) + part.path, first + part.fluid)
        return np.asarray(np.minimum(arrived + part.alone, divided))

    def _sent(self, number: int, made: Floats, sink: int) -> Floats:
        """(D,) when a net is on a node at the earliest, for each host where it is made."""
        return np.asarray(made + np.where(self.hosts == sink, 0.0, self.ways[number, self.hosts, sink]))
