"""AdaMEC: from the plan of yesterday to the best plan near it, over neighbours in the graph of configurations.

Solves    every metric of one task on a device and edge devices
Answer    a plan that keeps the constraints and that no neighbour improves, from the plan in use: a local optimum
Time      `most_vertices` configurations at most, each judged once
Source    Pang, Liu, Wang, Guo, Wang, Wang, Sheng, Wang, Yu: AdaMEC, ACM TOSN 20(1):21, 2023
Departs   [standard] best first with an open list of a given width; the judge takes the place of the paper's latency
          predictor; units take the place of operators; it starts with everything at the source, or at the first node
          that computes, if it is not told which plan is in use
Cards     adamec
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from hocket.cost import Problem
from hocket.cost.evaluate import entry_of
from hocket.errors import PlanError
from hocket.plan import Plan
from hocket.plan.placement import placement
from hocket.solvers.additive import additive_of
from hocket.solvers.bound import lower_bound
from hocket.solvers.chains.rows import NO_WAY, none_allowed, refuses_row
from hocket.solvers.checks import require
from hocket.solvers.descent import excess
from hocket.solvers.fixed import judged
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

Places = tuple[int, ...]
_Rank = tuple[float, float]
_EQUAL = 1 - 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaMec:
    """See the module."""

    name: ClassVar[str] = "adamec"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    current: str = ""
    """The plan in use as JSON, each unit on one node; "" = everything at the source."""
    width: int = 4
    """How many configurations stay open; 1 = hill climbing."""
    most_vertices: int = 400
    """Most configurations that are judged."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that computes."""
        return refuses_row(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best plan near the one in use."""
        require(self, problem)
        search = NeighbourSearch(problem, self.width, self.most_vertices, stop)
        start = self._start(problem, search)
        best = search.run(start)
        if best is None:
            raise none_allowed(problem, "the neighbours of the plan in use", search.complaint)
        notes = {"judged": str(len(search.known)), "steps": str(search.expanded)}
        return Proposal(plan=search.plan(best), bound=lower_bound(problem), notes=notes)

    def _start(self, problem: Problem, search: "NeighbourSearch") -> Places:
        layout, index = search.layout, problem.cluster.index
        if not self.current:
            source = index[problem.task.source]
            return tuple([source if source in layout.hosts else layout.hosts[0]] * len(layout.units))
        nodes = placement(problem.task.graph, entry_of(Plan.from_json(self.current), problem.task))
        places = []
        for unit in layout.units:
            node = nodes[unit.operators[0]]
            if not isinstance(node, str) or node not in index or index[node] not in layout.hosts:
                raise PlanError(
                    f"the plan in use has each unit on one node that computes, got {node}; start from another"
                )
            places.append(index[node])
        return tuple(places)


class NeighbourSearch:
    """Best first over configurations: an open list of the best, a set of all that were judged."""

    def __init__(self, problem: Problem, width: int, most_vertices: int, stop: Stop | None = None) -> None:
        self.problem, self.width, self.most_vertices, self.stop = problem, width, most_vertices, stop
        self.additive = additive_of(problem)
        self.layout = self.additive.layout
        self.known: dict[Places, _Rank] = {}
        self.expanded = 0
        self.complaint = NO_WAY

    def plan(self, places: Places) -> Plan:
        """The plan of a configuration."""
        codecs = self.additive.codecs if self.layout.task.input_codecs else {}
        return self.layout.plan(places, codecs)

    def run(self, start: Places) -> Places | None:
        """The best configuration when none that is open has a better neighbour; None if none keeps the constraints."""
        best, rank = start, self.rank(start)
        opened = [(rank, start)]
        while opened:
            rank, places = heapq.heappop(opened)
            self.expanded += 1
            found: list[tuple[_Rank, Places]] = []
            for neighbour in neighbours(places, self.layout.hosts):
                if neighbour in self.known:
                    continue
                if len(self.known) >= self.most_vertices or (self.stop is not None and self.stop(self.known[best][1])):
                    opened, found = [], []
                    break
                found.append((self.rank(neighbour), neighbour))
                if found[-1][0] < self.known[best]:
                    best = neighbour
            better = [some for some in found if some[0] < (rank[0], rank[1] * _EQUAL)]
            opened = heapq.nsmallest(self.width, [*opened, *better])
            heapq.heapify(opened)
        return best if self.known[best][0] == 0 else None

    def rank(self, places: Places) -> _Rank:
        """How far constraints are broken, then the value."""
        cost = judged(self.problem, self.plan(places))
        if cost is None:
            self.known[places] = (float("inf"), float("inf"))
        else:
            self.known[places] = (excess(self.problem, cost), cost.value)
            if cost.violations:
                self.complaint = cost.violations[0].sentence
        return self.known[places]


def neighbours(places: Places, hosts: tuple[int, ...]) -> Iterator[Places]:
    """Configurations one step away: an atom at the end of a segment on another device, which moves a boundary or makes
    a new one, or a whole segment on another device.

    >>> sorted(neighbours((0, 0), (0, 1)))
    [(0, 1), (1, 0), (1, 1)]
    """
    seen = {places}
    edges = [0, *(unit for unit in range(1, len(places)) if places[unit] != places[unit - 1]), len(places)]
    for start, stop in pairwise(edges):
        for first, last in ((start, start + 1), (stop - 1, stop), (start, stop)):
            for host in hosts:
                moved = (*places[:first], *([host] * (last - first)), *places[last:])
                if moved not in seen:
                    seen.add(moved)
                    yield moved
