"""A minimum cut whose first and last layers may not leave nodes that are trusted.

Solves    one task whose source can compute, and a server
Answer    optimal by the sum of device, way and server over all divisions between the source and a server where the
          protected units stay on the source, unless the server is trusted as much; data may go both ways
Time      one maximum flow per server
Source    Ching, Lin, Chang, Yao, Kuo: Model partition defense against GAN attacks on collaborative learning via mobile
          edge computing, GLOBECOM 2020
Departs   inference only: forward times and activations, where the paper minimises the time of training and sends
          gradients back; a server is trusted where `Node.trust` is at least that of the source; which layers are
          protected is an option, by their distance from the inputs and from the answers; [standard] infinite
          capacities pin them
Cards     gan_defense
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.additive import Costs
from hocket.solvers.checks import require
from hocket.solvers.cut import least_cut
from hocket.solvers.cuts.scan import costs_now, first_allowed, refuses_pair, sequential, servers_of
from hocket.solvers.layout import Layout
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class GanDefense:
    """See the module."""

    name: ClassVar[str] = "gan_defense"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    first: int = 1
    """Units that are fewer steps than this from an input are protected."""
    last: int = 1
    """Units that are fewer steps than this from an answer are protected."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The fastest division that keeps the protected units.

        Raises:
            InfeasibleError: it breaks a constraint, as does the source alone.
        """
        require(self, problem)
        plans = sorted(self._divisions(problem), key=lambda found: found[0])
        return first_allowed(problem, plans, "the minimum cuts that protect layers, and the source alone")

    def _divisions(self, problem: Problem) -> Iterator[tuple[float, str, Plan]]:
        additive, device = sequential(problem), problem.cluster.index[problem.task.source]
        layout, costs, nodes = additive.layout, costs_now(additive), problem.cluster.nodes
        guarded = sorted(protected(layout, self.first, self.last))
        alone = [device] * len(layout.units)
        yield costs.value(alone), f"all on {layout.nodes[device]}", additive.plan(alone)
        for server in servers_of(problem, problem.task):
            trusted = nodes[server].trust >= nodes[device].trust
            places = least_cut(costs if trusted else pinned(costs, guarded, server), device, server)
            label = f"{places.count(device)} units on {layout.nodes[device]}, the rest on {layout.nodes[server]}"
            yield costs.value(places), label, additive.plan(places)


def pinned(costs: Costs, guarded: list[int], server: int) -> Costs:
    """The costs where some units may not be on a node."""
    of_units = costs.of_units.copy()
    of_units[guarded, server] = np.inf
    return costs._replace(of_units=of_units)


def protected(layout: Layout, first: int, last: int) -> set[int]:
    """Units that are fewer than so many steps from an input, or from an answer."""
    size = len(layout.units)
    begin, end = np.full(size, np.inf), np.full(size, np.inf)
    for unit in range(size):
        for number in layout.reads[unit]:
            maker = layout.nets[number].maker
            begin[unit] = min(begin[unit], 0.0 if maker < 0 else begin[maker] + 1)
    for unit in range(size - 1, -1, -1):
        for number in layout.makes[unit]:
            net = layout.nets[number]
            steps = [end[reader] + 1 for reader in net.readers] + [0.0] * bool(net.sinks)
            end[unit] = min([end[unit], *steps])
    return {unit for unit in range(size) if begin[unit] < first or end[unit] < last}
