"""One cut by a scan of predicted times or mobile energy, under the load of the server.

Solves    one task whose source can compute, and a server
Answer    the cut of least latency without the way back, or of least energy of the device: the method's own sums, not
          the judge's; of several servers the one with the best cut; cuts that break a constraint are passed over
Time      O(D (U + M)); U = units, M = tensors, D = servers
Source    Kang, Hauswald, Gao, Rovinski, Mudge, Mars, Tang: Neurosurgeon, ASPLOS 2017, pp. 615-629
Departs   layer times come from the profile, measured or predicted, not from the paper's own regressions; a DAG is cut
          in one topological order and sends all tensors of the cut; the load factor is an option, not a ping
Cards     neurosurgeon
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import CutTable, best_cut, refuses_pair, tables_of
from hocket.solvers.layout import Floats
from hocket.solvers.linear_scan import cut_costs
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Neurosurgeon:
    """See the module."""

    name: ClassVar[str] = "neurosurgeon"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    mode: Literal["auto", "latency", "energy"] = "auto"
    """What is minimised; auto = energy where the objective is energy, else latency."""
    load: float = 1.0
    """How many times longer the server takes now than when it is idle (the paper's K)."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The cut of least latency or mobile energy."""
        require(self, problem)
        tables = tables_of(problem)
        energy = self.mode == "energy" or (self.mode == "auto" and problem.objective.metric == "energy")
        values = [mobile_j(table) if energy else self._latency_s(table) for table in tables]
        return best_cut(problem, tables, values, "all cuts of one topological order")

    def _latency_s(self, table: CutTable) -> Floats:
        """(C,) sum of TM + D / B + K times the sum of TC."""
        return np.asarray(table.first_s + table.across_s + self.load * table.second_s)


def mobile_j(table: CutTable) -> Floats:
    """(C,) joules of the device: its computing, and its radio while the cut tensors are sent."""
    layout, additive = table.additive.layout, table.additive
    device, server = table.first, table.second
    node = layout.problem.cluster.nodes[device]
    nets = tuple(net._replace(sinks=()) for net in layout.nets)
    sending = np.zeros((len(nets), len(layout.nodes), len(layout.nodes)))
    sizes = np.array([net.nbytes for net in nets], dtype=np.float64)
    order = np.argsort(sizes, kind="stable")
    names = layout.nodes[device], layout.nodes[server]
    if layout.problem.cluster.reachable(*names):
        for piece, way in additive.ways.pieces(*names, sizes[order]):
            sending[order[piece], device, server] = sizes[order[piece]] * way.seconds_per_byte
    free = additive.costs._replace(
        of_units=np.zeros_like(additive.costs.of_units), of_nets=sending * node.transmit_w, nets=nets
    )
    radio_j = cut_costs(free, device, server)[list(table.borders)]
    reachable = np.where(np.isfinite(table.across_s), 0.0, np.inf)
    return np.asarray(table.first_s * node.active_w() + radio_j + reachable)
