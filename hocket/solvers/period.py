"""A lower bound of the period: work as a fluid, but in lumps that no link can divide in time."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hocket.solvers.holds import holds
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.ways import Ways

Bools = NDArray[np.bool_]
_STEPS = 100
_LESS = 1 - 1e-12


def period_bound(layout: Layout, held: Floats | None = None) -> float:
    """Seconds of the busiest node or link that no plan can beat which sends its tensors as they are.

    Take any time h. Either some tensor of the plan holds a link for h or longer, and the period is at least h. Or none
    does; then no unit is where what it reads cannot come, or where what it makes cannot go, in less than h; units are
    on one node if the tensor between them takes h or longer between any two where they may be; and the period is at
    least that of the best fluid division of these lumps over the nodes that each may be on. So the lesser of h and that
    fluid period is a bound, for every h. As h grows the lumps fall apart and the fluid period falls: the best h is
    found by halving among the times for which tensors hold links.

    Args:
        layout: units and nets.
        held: (M, N, N) as `holds` gives it; absent = it is worked out.
    """
    hosts = list(layout.hosts)
    seconds, calls = layout.seconds[:, hosts], layout.call_s[hosts]
    best = fluid_period(seconds, calls)
    if len(hosts) == 0 or not layout.nets:
        return best * _LESS
    if held is None:
        held = holds(layout, Ways(layout.problem.cluster))
    times = np.unique(held[np.isfinite(held) & (held > best)])
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        fluid = fluid_period(*_lumps(layout, held, float(times[middle])))
        best = max(best, min(fluid, float(times[middle])))
        low, high = (middle + 1, high) if fluid > times[middle] else (low, middle)
    return best * _LESS


def _lumps(layout: Layout, held: Floats, most_s: float) -> tuple[Floats, Floats]:
    """(L, D) seconds of what stays together on each host, and (D,) of a call, where no tensor holds a link so long."""
    hosts = list(layout.hosts)
    fast = (held[:, hosts][:, :, hosts] < most_s) | np.eye(len(hosts), dtype=bool)
    allowed = _allowed(layout, held < most_s, fast)
    apart = fast & ~np.eye(len(hosts), dtype=bool)
    pairs = [
        (net.maker, reader)
        for number, net in enumerate(layout.nets)
        if net.maker >= 0
        for reader in net.readers
        if not (apart[number] & allowed[net.maker][:, None] & allowed[reader]).any()
    ]
    lump = _joined(len(layout.units), pairs)
    seconds = np.zeros((max(lump, default=-1) + 1, len(hosts)))
    np.add.at(seconds, lump, np.where(allowed, layout.seconds[:, hosts], np.inf))
    return seconds, layout.call_s[hosts]


def _allowed(layout: Layout, quick: Bools, fast: Bools) -> Bools:
    """(U, D) whether each unit may be on each host: its inputs have a way there, and its answers and readers from it.

    Args:
        layout: units and nets.
        quick: (M, N, N) whether each tensor may go from one node to another.
        fast: (M, D, D) the same between hosts, where it may also stay.
    """
    hosts = list(layout.hosts)
    allowed = np.isfinite(layout.seconds[:, hosts])
    for number, net in enumerate(layout.nets):
        if net.maker < 0:
            for reader in net.readers:
                allowed[reader] &= quick[number, net.home, hosts] | (np.array(hosts) == net.home)
        for sink in net.sinks if net.maker >= 0 else ():
            allowed[net.maker] &= quick[number, hosts, sink] | (np.array(hosts) == sink)
    joins = [(number, net.maker, reader) for number, net in enumerate(layout.nets) if net.maker >= 0
             for reader in net.readers]  # fmt: skip
    for number, maker, reader in joins:
        allowed[reader] &= allowed[maker] @ fast[number]
    for number, maker, reader in reversed(joins):
        allowed[maker] &= fast[number] @ allowed[reader]
    return allowed


def _joined(size: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The number of the group of each of some things, of which these pairs are together."""
    parent = list(range(size))

    def root(thing: int) -> int:
        while parent[thing] != thing:
            parent[thing] = parent[parent[thing]]
            thing = parent[thing]
        return thing

    for one, other in pairs:
        parent[root(one)] = root(other)
    number: dict[int, int] = {}
    return [number.setdefault(root(thing), len(number)) for thing in range(size)]


def fluid_period(seconds: Floats, calls: Floats) -> float:
    """The period if work could be divided at will, and at least that of the longest lump on its best host with a call.

    For any weights w >= 0 of the hosts that sum to 1, the period is at least sum_l min_d w_d t_ld; weights that make
    it large are found by shifting weight towards hosts that would get too much.

    Args:
        seconds: (L, D) of each lump on each host; inf = it cannot be there.
        calls: (D,) of a call on each host.
    """
    if not seconds.size:
        return 0.0
    best = float((seconds + calls).min(axis=1).max())
    if not np.isfinite(best):
        return np.inf
    # An impossible place is a very slow one: the sum only gets smaller.
    seconds = np.where(np.isfinite(seconds), seconds, 1e3 * (best + _finite_sum(seconds)))
    weights = 1 / np.maximum(seconds.sum(axis=0), 1e-300)
    weights = weights / weights.sum()
    for step in range(_STEPS):
        scaled = seconds * weights
        chosen = scaled.argmin(axis=1)
        best = max(best, float(scaled.min(axis=1).sum()))
        loads = np.bincount(chosen, weights=seconds[np.arange(len(chosen)), chosen], minlength=len(weights))
        mean = float(weights @ loads)
        if mean <= 0:
            break
        weights = weights * np.exp(np.clip(loads / mean - 1, -3, 3) / (step + 2))
        weights = weights / weights.sum()
    return best


def _finite_sum(seconds: NDArray[np.float64]) -> float:
    return float(seconds[np.isfinite(seconds)].sum())
