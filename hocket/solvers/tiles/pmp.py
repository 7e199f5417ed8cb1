"""Pieces of each layer levelled against each other, then matched to nodes along the critical path (PMP).

Solves    one task that begins with feature maps, on two or more nodes that can compute
Answer    a local optimum: the critical path of the pieces does not get shorter if two pieces change nodes or one moves
Time      O(L D log H) pieces to level, then O(R D^2) critical paths of O(L D^2); R = rounds
Source    Liao, Zhang, He, Tang: PMP: a partition-match parallel mechanism for DNN inference acceleration in cloud-edge
          collaborative environments, Journal of Network and Computer Applications 218, 2023
Departs   [standard] levelling moves rows from the piece that takes longest to the one that takes least; a piece is the
          same strip of all layers, so that it stays with its data; fully connected layers stay with the owner
Cards     pmp
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, pairwise
from typing import ClassVar

from hocket.cost import Problem
from hocket.graph.regions import Interval
from hocket.plan import Split
from hocket.plan.cuts import shared
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tiles.maps import ROWS, Maps, refuses_maps, require_maps

Points = tuple[int, ...]
"""Between the pieces of one layer, its two ends included."""
_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pmp:
    """See the module."""

    name: ClassVar[str] = "pmp"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Of computing, of sending, and of what pieces need of each other, while they are levelled."""

    def refuses(self, problem: Problem) -> str | None:
        """Nothing to divide, or nobody to divide it among."""
        return refuses_maps(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Partition, then match."""
        maps = require_maps(self, problem)
        pieces = Pieces(maps, self.weights)
        points = pieces.partition()
        hosts, seconds = pieces.match(points, stop)
        runs = [maps.run(layer, layer, _place(maps, each, hosts)) for layer, each in enumerate(points)]
        words = ", ".join(maps.hosts[host] for host in hosts)
        return maps.propose(self, runs, after=maps.count, notes={"pieces": words, "critical_path_s": f"{seconds:.6g}"})


class Pieces:
    """Strips of the rows of every layer, as many as hosts, the largest for the fastest.

    Args:
        maps: what is divided.
        weights: of computing, sending and dependence.
    """

    def __init__(self, maps: Maps, weights: tuple[float, float, float]) -> None:
        self.maps, self.weights = maps, weights
        hosts = range(len(maps.hosts))
        self._spb = [[maps.seconds_per_byte(a, b) for b in hosts] for a in hosts]
        self._input_spb = [
            maps.way_s(maps.task.source, host, maps.graph.inputs[0].nbytes) / maps.graph.inputs[0].nbytes
            for host in maps.hosts
        ]

    # ------------------------------------------------------------ partition

    def partition(self) -> list[Points]:
        """The points of every layer, each levelled from where the points of the layer before it fall."""
        found: list[Points] = []
        speeds = [float(self.maps.speeds[host]) for host in self.maps.order]
        for layer in range(self.maps.count):
            rows = self.maps.size(layer)[0]
            if found:
                before = self.maps.size(layer - 1)[0]
                start = tuple(round(point * rows / before) for point in found[-1])
            else:
                start = (0, *accumulate(shared(speeds, rows)))
            found.append(self._levelled(layer, start, found[-1] if found else None))
        return found

    def _levelled(self, layer: int, points: Points, before: Points | None) -> Points:
        """Rows go from the piece that takes longest to the one that takes least, while the objective falls."""
        step = max(self.maps.size(layer)[0] // 8, 1)
        times = self.loads(layer, points, before)
        while step:
            longest = max(range(len(times)), key=lambda piece: (sum(times[piece][:2]), piece))
            shortest = min(range(len(times)), key=lambda piece: (sum(times[piece][:2]), piece))
            moved = shifted(points, longest, shortest, step)
            if moved is not None:
                found = self.loads(layer, moved, before)
                if self.objective(found) < self.objective(times) * (1 - 1e-12):
                    points, times = moved, found
                    continue
            step //= 2
        return points

    def loads(self, layer: int, points: Points, before: Points | None) -> list[tuple[float, float, float]]:
        """For each piece seconds of computing, seconds of sending to it, and seconds of what other pieces send."""
        maps, found = self.maps, []
        row_bytes = self._row_bytes(layer - 1)
        for piece, (lo, hi) in enumerate(pairwise(points)):
            host = maps.order[piece]
            if lo >= hi:
                found.append((0.0, 0.0, 0.0))
                continue
            need = maps.need(layer, maps.strip(layer, ROWS, (lo, hi)))
            rows = need.tile[0] if need.tile else (0, 0)
            sending = depending = 0.0
            if before is None:
                sending = (rows[1] - rows[0]) * row_bytes * self._input_spb[host]
            else:
                for other, each in enumerate(pairwise(before)):
                    if other != piece:
                        seconds = _overlap(rows, each) * row_bytes * self._spb[maps.order[other]][host]
                        sending, depending = sending + seconds, max(depending, seconds)
            found.append((float(need.seconds[host] + maps.calls[host]), sending, depending))
        return found

    def objective(self, times: Sequence[tuple[float, float, float]]) -> float:
        """The weighted sum of the largest of each kind."""
        columns = zip(*times, strict=True)
        return float(sum(weight * max(column) for weight, column in zip(self.weights, columns, strict=True)))

    def _row_bytes(self, layer: int) -> float:
        tensor = self.maps.graph.tensor[self.maps.cells.tensor(layer + 1)]
        return float(tensor.nbytes / tensor.shape[ROWS])

    # ------------------------------------------------------------ match

    def match(self, points: Sequence[Points], stop: Stop | None) -> tuple[tuple[int, ...], float]:
        """Host of each piece, and the critical path: swaps and moves as long as it gets shorter."""
        hosts = tuple(self.maps.order)
        best = self.critical_path_s(points, hosts)
        for _ in range(_ROUNDS):
            found = min((self.critical_path_s(points, other), other) for other in _near(hosts, len(self.maps.hosts)))
            if found[0] >= best * (1 - 1e-12) or (stop is not None and stop(best)):
                break
            best, hosts = found
        return hosts, best

    def critical_path_s(self, points: Sequence[Points], hosts: Sequence[int]) -> float:
        """The longest way through the pieces: computing, sending, and waiting for a node that has several.

        Args:
            points: of every layer.
            hosts: of every piece.
        """
        maps = self.maps
        free = [0.0] * len(maps.hosts)
        ends: list[float] = []
        for layer, each in enumerate(points):
            row_bytes, found = self._row_bytes(layer - 1), []
            for piece, (lo, hi) in enumerate(pairwise(each)):
                if lo >= hi:
                    found.append(0.0)
                    continue
                host = hosts[piece]
                need = maps.need(layer, maps.strip(layer, ROWS, (lo, hi)))
                rows = need.tile[0] if need.tile else (0, 0)
                if layer == 0:
                    ready = (rows[1] - rows[0]) * row_bytes * self._input_spb[host]
                else:
                    ready = max(
                        (
                            ends[other] + overlap * row_bytes * self._spb[hosts[other]][host]
                            for other, held in enumerate(pairwise(points[layer - 1]))
                            if (overlap := _overlap(rows, held))
                        ),
                        default=0.0,
                    )
                free[host] = max(free[host], ready) + float(need.seconds[host] + maps.calls[host])
                found.append(free[host])
            ends = found
        row_bytes = self._row_bytes(maps.count - 1)
        last = pairwise(points[-1])
        return max(
            end + (hi - lo) * row_bytes * self._spb[host][maps.owner] if hi > lo else 0.0
            for end, (lo, hi), host in zip(ends, last, hosts, strict=True)
        )


def shifted(points: Points, source: int, target: int, rows: int) -> Points | None:
    """Points with some rows taken from one piece and given to another, those between pushed along; None if it has not
    so many.

    >>> shifted((0, 4, 6, 8), 0, 2, 1), shifted((0, 4, 6, 8), 2, 0, 1), shifted((0, 1, 8), 0, 1, 2)
    ((0, 3, 5, 8), (0, 5, 7, 8), None)
    """
    if source == target or points[source + 1] - points[source] < rows:
        return None
    found = list(points)
    if source < target:
        for place in range(source + 1, target + 1):
            found[place] -= rows
    else:
        for place in range(target + 1, source + 1):
            found[place] += rows
    return tuple(found)


def _near(hosts: tuple[int, ...], count: int) -> Iterator[tuple[int, ...]]:
    """Two pieces change hosts, or one piece moves to another of so many hosts."""
    for piece, host in enumerate(hosts):
        for other in range(count):
            if other != host:
                yield (*hosts[:piece], other, *hosts[piece + 1 :])
    for first, second in combinations(range(len(hosts)), 2):
        if hosts[first] != hosts[second]:
            changed = list(hosts)
            changed[first], changed[second] = changed[second], changed[first]
            yield tuple(changed)


def _overlap(first: Interval, second: Interval) -> int:
    return max(min(first[1], second[1]) - max(first[0], second[0]), 0)


def _place(maps: Maps, points: Points, hosts: Sequence[int]) -> str | Split:
    """The strips of a layer; neighbours on one node become one."""
    names: list[str] = []
    stops: list[int] = []
    for (lo, hi), host in zip(pairwise(points), hosts, strict=True):
        if lo >= hi:
            continue
        if names and names[-1] == maps.hosts[host]:
            stops[-1] = hi
        else:
            names.append(maps.hosts[host])
            stops.append(hi)
    if len(names) == 1:
        return names[0]
    return Split(axis=ROWS, parts=tuple(names), cuts=tuple(stops[:-1]), border="exchange")
