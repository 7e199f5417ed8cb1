"""Who holds what of one tensor, and how long it takes until everybody has what it needs of it."""

from collections.abc import Iterable, Sequence
from itertools import permutations

import numpy as np

from hocket.cost import Problem
from hocket.graph.regions import Box, intersect, missing, volume
from hocket.solvers.ways import Way, Ways

Held = tuple[Box | None, ...]
"""For each node of the cluster the box of a tensor that it holds, or needs."""
_TYPICAL_BYTES = 1e5


class Moving:
    """Seconds of exchanges, the busiest resource counted, everything at once.

    Args:
        problem: its cluster.
    """

    def __init__(self, problem: Problem) -> None:
        ways = Ways(problem.cluster)
        names = [node.name for node in problem.cluster.nodes]
        self._ways: dict[tuple[int, int], Way] = {}
        for source, target in permutations(range(len(names)), 2):
            if problem.cluster.reachable(names[source], names[target]):
                _, way = next(ways.pieces(names[source], names[target], np.array([_TYPICAL_BYTES])))
                self._ways[source, target] = way
        self._near = [
            sorted(
                (source for source in range(len(names)) if (source, target) in self._ways),
                key=lambda source: (self._ways[source, target].seconds_per_byte, source),
            )
            for target in range(len(names))
        ]
        entries = [entry for task in problem.tasks for entry in task.profile.entries]
        self._message_s = max((entry.message_s for entry in entries), default=0.0)
        self._known: dict[tuple[Held, Held, int], float] = {}

    def seconds(self, held: Held, needed: Held, itemsize: int) -> float:
        """Until every node has what it needs; infinite where no way leads.

        Args:
            held: who has what.
            needed: who needs what.
            itemsize: bytes of an element.
        """
        key = (held, needed, itemsize)
        if key not in self._known:
            self._known[key] = self._seconds(held, needed, itemsize)
        return self._known[key]

    def latency_s(self, source: int, target: int) -> float:
        """Of an empty message; infinite where no way leads, 0 on one node."""
        if source == target:
            return 0.0
        way = self._ways.get((source, target))
        return way.latency_s if way else float("inf")

    def sums(self, makers: Sequence[int], needed: Held, nbytes: int, full: Box, itemsize: int) -> float:
        """Until every node has its box of a sum whose parts are with some nodes, each of the whole tensor.

        Either all that a node needs comes to it from every maker, or each maker adds up its share and passes it on.

        Args:
            makers: nodes that have a partial result.
            needed: who needs what of the sum.
            nbytes: of the whole tensor.
            full: its box.
            itemsize: bytes of an element.
        """
        wanted = [(target, volume(box) * itemsize) for target, box in enumerate(needed) if box is not None]
        direct = self._together((source, target, size) for target, size in wanted for source in makers)
        share = nbytes / len(makers)
        scatter = self._together((source, target, share) for target in makers for source in makers)
        gather = self._together(
            (source, target, share * size / (volume(full) * itemsize)) for target, size in wanted for source in makers
        )
        return min(direct, scatter + gather)

    def _seconds(self, held: Held, needed: Held, itemsize: int) -> float:
        flows = []
        for target, wanted in enumerate(needed):
            own = held[target]
            if wanted is None or own == wanted:
                continue
            rest: Sequence[Box] = missing([wanted], [own] if own is not None else [])
            for source in self._near[target]:
                box = held[source]
                if not rest or box is None:
                    continue
                size = sum(volume(intersect(piece, box)) for piece in rest)
                if size:
                    flows.append((source, target, float(size * itemsize)))
                    rest = missing(rest, [box])
            if rest:
                return float("inf")
        return self._together(flows)

    def _together(self, flows: Iterable[tuple[int, int, float]]) -> float:
        """All at once: as long as the longest of them, or as the busiest resource."""
        busy: dict[str, float] = {}
        longest = 0.0
        for source, target, nbytes in flows:
            if source == target or not nbytes:
                continue
            way = self._ways.get((source, target))
            if way is None:
                return float("inf")
            longest = max(longest, way.latency_s + self._message_s + nbytes * way.seconds_per_byte)
            for name, seconds in way.holds.items():
                busy[name] = busy.get(name, 0.0) + nbytes * seconds
        return max(longest, max(busy.values(), default=0.0))
