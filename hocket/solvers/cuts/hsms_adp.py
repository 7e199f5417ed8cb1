"""A fast device that passes edge servers: the best cut that is done before the server is out of reach.

Solves    one task whose source can compute, and edge servers that are there for a time (`available` of nodes and links)
Answer    of all edges in reach at the start the boundary of least latency that is done in time, or all on the device;
          where no edge is done in time, the device alone or a hand-over of the rest to the next edge, whichever is
          faster; by the method's own sums
Time      O(D L) per decision, O(D^2 L^2) where it hands over; L = blocks, D = edges
Source    He, Liu, Kou, Dong, Li, Liu: HSMS-ADP: adaptive DNNs partitioning for end-edge collaborative inference in
          high-speed mobile scenarios, ICPADS 2023, pp. 1015-1022
Departs   [standard] the body of the method; dwell times are windows that the problem gives, not predictions from
          positions; one decision at time 0, while the paper decides again as rates change
Cards     hsms_adp
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.additive import Additive
from hocket.solvers.batch import sums
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import CutTable, cut_table, first_allowed, refuses_pair, sequential, servers_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


class Dwell(NamedTuple):
    """When an edge is in reach."""

    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HsmsAdp:
    """See the module."""

    name: ClassVar[str] = "hsms_adp"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no edge server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The fastest division that is done in time.

        Raises:
            InfeasibleError: none keeps the constraints.
        """
        require(self, problem)
        still = without_windows(problem)
        additive, device = sequential(still), problem.cluster.index[problem.task.source]
        servers = servers_of(problem, problem.task)
        dwells = {server: dwell(problem, server) for server in servers}
        tables = {server: cut_table(additive, device, server, "blocks") for server in servers}
        plans = list(_in_time(tables, dwells))
        if not plans:
            plans = list(_handed_over(additive, tables, dwells))
        alone = tables[servers[0]]
        last = len(alone.borders) - 1
        plans.append((float(alone.total_s()[last]), alone.label(last), alone.plan(last)))
        return first_allowed(problem, sorted(plans, key=lambda some: some[0]), "cuts that are done within dwell times")


def without_windows(problem: Problem) -> Problem:
    """The problem with every node and link there all the time, at the rate that it has within its windows."""
    cluster = problem.cluster
    nodes = tuple(node.replace(available=()) for node in cluster.nodes)
    links = tuple(link.replace(available=()) for link in cluster.links)
    return problem.replace(cluster=cluster.replace(nodes=nodes, links=links))


def dwell(problem: Problem, server: int) -> Dwell:
    """The first time for which a server and its link with the source, if it has one, are there together."""
    cluster = problem.cluster
    node = cluster.nodes[server]
    link = cluster.link.get((problem.task.source, node.name))
    always = ((0.0, np.inf),)
    both = (
        Dwell(max(a, c), min(b, d))
        for a, b in node.available or always
        for c, d in (link.available if link and link.available else always)
    )
    return min((window for window in both if window.until_s > window.from_s), default=Dwell(np.inf, np.inf))


def _in_time(tables: dict[int, CutTable], dwells: dict[int, Dwell]) -> Iterator[tuple[float, str, Plan]]:
    """Cuts with an edge that is in reach at the start and until they are done."""
    for server, table in tables.items():
        total_s = table.total_s()
        for cut in range(len(table.borders) - 1):
            if dwells[server].from_s <= 0 and total_s[cut] <= dwells[server].until_s and np.isfinite(total_s[cut]):
                yield float(total_s[cut]), table.label(cut), table.plan(cut)


def _handed_over(
    additive: Additive, tables: dict[int, CutTable], dwells: dict[int, Dwell]
) -> Iterator[tuple[float, str, Plan]]:
    """Divisions whose middle one edge computes while it is in reach, and the rest the edge that comes next."""
    nodes = additive.layout.nodes
    for first, table in tables.items():
        before = table.first_s + table.across_s
        for following, other in tables.items():
            if following == first or dwells[first].from_s > 0 or dwells[following].until_s <= dwells[first].until_s:
                continue
            last, middle_s = len(table.borders) - 1, table.second_s
            pairs = [
                (start, stop)
                for start in range(last)
                for stop in range(start + 1, last)
                if before[start] + middle_s[start] - middle_s[stop] <= dwells[first].until_s
            ]
            if not pairs:
                continue
            places = [_three(table, start, stop, following) for start, stop in pairs]
            total_s = sums(additive.costs, np.array(places, dtype=np.int64))
            waits_s = max(dwells[following].from_s, 0.0) + other.second_s + other.answer_s
            for (_, stop), whole_s, division in zip(pairs, total_s, places, strict=True):
                done_s = max(float(whole_s), float(waits_s[stop]))
                if done_s <= dwells[following].until_s:
                    label = f"from {nodes[first]} to {nodes[following]} after unit {table.borders[stop]}"
                    yield done_s, label, additive.plan(division)


def _three(table: CutTable, start: int, stop: int, following: int) -> list[int]:
    """Node of each unit: device, first edge, next edge."""
    edges = table.borders[start], table.borders[stop], table.borders[-1]
    middle = [table.second] * (edges[1] - edges[0])
    return [table.first] * edges[0] + middle + [following] * (edges[2] - edges[1])
