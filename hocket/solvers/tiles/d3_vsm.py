"""Device, edge and cloud by a greedy rule (HPA); what the edge gets is computed in tiles by all edge nodes (D3: VSM).

Solves    one task that begins with feature maps, born at a node that can compute, with an edge and a cloud besides
Answer    each unit, in the order of its depth, goes to the tier where it takes least with what it reads, never before
          a tier that it reads from; greedy, and the way of the answer is not counted; layers of maps on the edge are
          fused and divided into one tile for each edge node
Time      O(U R) for U units and R rounds among siblings, then O(L) for each tile
Source    Zhang, Xiang, Zhang, Li, Zhu, Gu: Dynamic DNN decomposition for lossless synergistic inference, ICDCS 2021,
          arXiv:2101.05952
Departs   the device is the source; the cloud is the fastest other node unless it is named; the edge is the rest, and
          the rule counts on its fastest node; [standard] siblings are looked at again with what the others already
          brought to a tier for free; nothing is adjusted while it runs
Cards     d3_vsm
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from hocket.cost import Problem
from hocket.cost.trust import confined
from hocket.plan import Split
from hocket.plan.cuts import shared
from hocket.plan.placement import Place, plan_for
from hocket.solvers.layout import Layout, Net
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.maps import COLUMNS, ROWS, Maps, refuses_maps, require_maps

_DEVICE, _EDGE, _CLOUD = 0, 1, 2
_NAMES = ("device", "edge", "cloud")


@dataclass(frozen=True, slots=True, kw_only=True)
class D3Vsm:
    """See the module."""

    name: ClassVar[str] = "d3_vsm"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    cloud: str = ""
    """A node; empty = the fastest one besides the source."""
    edge: tuple[str, ...] = ()
    """Nodes; () = all but the source and the cloud."""

    def refuses(self, problem: Problem) -> str | None:
        """Nothing to divide, or no three tiers."""
        reason = refuses_maps(problem)
        if reason:
            return reason
        task = problem.task
        able = confined(problem, task).profile.nodes
        hosts = [node.name for node in problem.cluster.nodes if node.name in able]
        if task.source not in hosts:
            return f"its device is the source, and {task.source!r} cannot compute"
        if len(hosts) < 3:
            return f"it divides over device, edge and cloud, and {len(hosts)} nodes are two tiers"
        unknown = [name for name in (self.cloud, *self.edge) if name and (name not in hosts or name == task.source)]
        if unknown:
            return f"the edge and the cloud are other nodes that can compute, and {unknown[0]!r} is none"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Tiers, then tiles."""
        maps = require_maps(self, problem)
        cloud, edge = self._tiers(maps)
        layout, index = Layout(problem, problem.task), problem.cluster.index
        nodes = (maps.task.source, maps.hosts[edge[0]], maps.hosts[cloud])
        tiers = hpa(layout, tuple(index[name] for name in nodes))
        places: list[Place] = [nodes[tiers[unit]] for unit in layout.unit_of]
        for first, last in _runs(maps, [tiers[unit] == _EDGE for unit in layout.unit_of]):
            place = vsm(maps, last, edge)
            for cell in maps.cells.cells[first : last + 1]:
                for name in cell.operators:
                    places[maps.graph.index[name]] = place
        runs = plan_for(maps.task.name, maps.graph, places).entries[0].where
        counts = ", ".join(f"{name} {tiers.count(tier)}" for tier, name in enumerate(_NAMES))
        return maps.propose(self, runs, after=len(maps.cells.cells), notes={"units": counts})

    def _tiers(self, maps: Maps) -> tuple[int, list[int]]:
        """The cloud, and the edge with its fastest node first."""
        order = [host for host in maps.order if maps.hosts[host] != maps.task.source]
        cloud = next((host for host in order if maps.hosts[host] == self.cloud), None)
        if cloud is None:
            cloud = next((host for host in order if maps.hosts[host] not in self.edge), order[0])
        edge = [host for host in order if host != cloud and (not self.edge or maps.hosts[host] in self.edge)]
        return cloud, edge or [host for host in order if host != cloud]


def hpa(layout: Layout, nodes: tuple[int, ...]) -> list[int]:
    """The tier of each unit.

    Args:
        layout: units and the tensors between them.
        nodes: position in the cluster of the device, the edge and the cloud.
    """
    depth = depths(layout)
    tiers = [-1] * len(layout.units)
    for level in range(max(depth, default=-1) + 1):
        siblings = [unit for unit, each in enumerate(depth) if each == level]
        for unit in siblings:
            tiers[unit] = _best(layout, nodes, tiers, unit)
        for _ in siblings:  # what a sibling brings to a tier is there for the others too
            before = list(tiers)
            for unit in siblings:
                tiers[unit] = _best(layout, nodes, tiers, unit)
            if tiers == before:
                break
    return tiers


def depths(layout: Layout) -> list[int]:
    """Longest way from an input to each unit, in units."""
    found = [0] * len(layout.units)
    for unit, reads in enumerate(layout.reads):
        makers = [layout.nets[net].maker for net in reads]
        found[unit] = max((found[maker] + 1 for maker in makers if maker >= 0), default=0)
    return found


def _best(layout: Layout, nodes: tuple[int, ...], tiers: Sequence[int], unit: int) -> int:
    """The tier that takes least: computing, and what has to be brought there."""
    reads = [layout.nets[net] for net in layout.reads[unit]]
    first = max((tiers[net.maker] for net in reads if net.maker >= 0), default=_DEVICE)

    def seconds(tier: int) -> float:
        brought = sum(_brought_s(layout, nodes, tiers, net, tier, unit) for net in reads)
        return float(layout.seconds[unit, nodes[tier]]) + brought

    return min(range(first, _CLOUD + 1), key=seconds)


def _brought_s(layout: Layout, nodes: tuple[int, ...], tiers: Sequence[int], net: Net, tier: int, unit: int) -> float:
    """Seconds to bring a tensor to a tier; 0 if it is made there, or another unit there reads it."""
    home = tiers[net.maker] if net.maker >= 0 else _DEVICE
    if tier == home or any(tiers[other] == tier for other in net.readers if other != unit):
        return 0.0
    names = layout.nodes
    cluster, source, target = layout.problem.cluster, names[nodes[home]], names[nodes[tier]]
    return cluster.transfer_s(source, target, net.nbytes) if cluster.reachable(source, target) else float("inf")


def grid_of(count: int) -> tuple[int, int]:
    """Rows and columns of as many tiles, as square as can be.

    >>> grid_of(6), grid_of(4), grid_of(3)
    ((2, 3), (2, 2), (1, 3))
    """
    rows = max(number for number in range(1, count + 1) if number * number <= count and count % number == 0)
    return rows, count // rows


def vsm(maps: Maps, last: int, edge: Sequence[int]) -> Place:
    """Equal tiles of a layer's result, one for each edge node."""
    rows, columns = grid_of(len(edge))
    names = [maps.hosts[host] for host in edge]
    if len(names) == 1:
        return names[0]
    height, width = maps.size(last)
    across = tuple(
        Split(axis=COLUMNS, parts=tuple(names[row * columns : (row + 1) * columns]), cuts=_points(width, columns))
        for row in range(rows)
    )
    return across[0] if rows == 1 else Split(axis=ROWS, parts=across, cuts=_points(height, rows))


def _points(length: int, count: int) -> tuple[int, ...]:
    sizes = shared([1.0] * count, length)
    return tuple(sum(sizes[: number + 1]) for number in range(count - 1))


def _runs(maps: Maps, on_edge: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last layer of each longest run of layers of maps that are wholly on the edge."""
    whole = [all(on_edge[maps.graph.index[name]] for name in cell.operators) for cell in maps.cells.cells[: maps.count]]
    borders = [number for number, (a, b) in enumerate(pairwise([False, *whole, False])) if a != b]
    return [(start, stop - 1) for start, stop in zip(borders[::2], borders[1::2], strict=True)]
