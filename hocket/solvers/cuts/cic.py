"""The minimum cut on a graph that was compressed beforehand.

Solves    one task whose source can compute, and a server
Answer    the best division in which only answers come back, by the sum of device, way and server, as on the whole graph
Time      once per model and pair of nodes O(U (U + M)) and a maximum flow per region; then one on the smaller graph for
          each state of the network
Source    Yang, Li, He, Zhang: DNN real-time collaborative inference acceleration with mobile edge computing, IJCNN 2022
Departs   [standard] the rules of merging; they merge only where the server is no slower on what would move and all
          answers would be made there anyway, so that the cut stays exact without that assumption for the whole model
Cards     cic
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.checks import require
from hocket.solvers.cuts.compression import Compression, compressed_cut
from hocket.solvers.cuts.construction import two_sided
from hocket.solvers.cuts.scan import costs_now, first_allowed, refuses_pair, sequential, servers_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Cic:
    """See the module."""

    name: ClassVar[str] = "cic"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    pairs: bool = True
    """Merge a unit into its only reader where cutting between them never pays."""
    regions: bool = True
    """Merge regions of branches that never pay to cut."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The minimum cut.

        Raises:
            InfeasibleError: it breaks a constraint, as do those that leave everything on one side.
        """
        require(self, problem)
        plans = sorted(self._divisions(problem), key=lambda found: found[0])
        return first_allowed(problem, plans, "the minimum cuts and both nodes alone")

    def _divisions(self, problem: Problem) -> Iterator[tuple[float, str, Plan]]:
        additive, device = sequential(problem), problem.cluster.index[problem.task.source]
        costs, layout = costs_now(additive), additive.layout
        for server in servers_of(problem, problem.task):
            compressed = Compression(layout, device, server).run(pairs=self.pairs, regions=self.regions)
            network = two_sided(costs, device, server)
            size = len(layout.units)
            for places in (compressed_cut(costs, compressed, device, server), [device] * size, [server] * size):
                label = (
                    f"{places.count(device)} units on {layout.nodes[device]}; {size} units in {compressed.size} groups"
                )
                yield network.value(places), label, additive.plan(places)
