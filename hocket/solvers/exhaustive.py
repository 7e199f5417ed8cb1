"""Every placement: the oracle that the other solvers are checked against.

Solves    every metric and constraint of one task, if there are few placements
Answer    optimal over all placements of units (or of blocks, or with one run of blocks per node)
Time      D^U bounds, as many judgements as are below the best value; D = nodes, U = units
Source    -
Departs   placements are judged in the order of a lower bound, until no bound is below the best value
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Cost, Problem
from hocket.plan import Plan
from hocket.solvers.additive import additive_of
from hocket.solvers.batch import Placements, bounds_of
from hocket.solvers.bound import lower_bound
from hocket.solvers.chain import Chain
from hocket.solvers.checks import infeasible, refuses_tasks, require
from hocket.solvers.fixed import judged
from hocket.solvers.solver import SPACES, Proposal, Space
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhaustive:
    """See the module."""

    name: ClassVar[str] = "exhaustive"
    exact_for: ClassVar[frozenset[str]] = frozenset({"latency", "sequential", "period", "energy", "price", "weighted"})

    most: int = 20_000
    """Most placements that are tried."""
    over: Space = "units"
    """Which placements."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or too many placements."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        layout = additive_of(problem).layout
        parts = len(layout.units) if self.over == "units" else len(Chain(additive_of(problem)).blocks)
        hosts = len(layout.hosts)
        if hosts**parts > self.most:
            return f"{parts} {self.over or 'units'} on {hosts} nodes are more than {self.most} placements"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best of all placements."""
        require(self, problem)
        additive = additive_of(problem)
        placements = _placements(Chain(additive), self.over)
        bounds = bounds_of(problem, additive.layout)(placements)
        best: tuple[float, Plan] | None = None
        nearest: Cost | None = None
        for number in np.argsort(bounds, kind="stable"):
            if not np.isfinite(bounds[number]) or (best is not None and bounds[number] >= best[0]):
                break
            plan = additive.plan(placements[number].tolist())
            cost = judged(problem, plan)
            if cost is None:
                continue
            if cost.feasible and (best is None or cost.value < best[0]):
                best = (cost.value, plan)
            if nearest is None or len(cost.violations) < len(nearest.violations):
                nearest = cost
        if best is None:
            sentence = nearest.violations[0].sentence if nearest else "no way leads from the inputs to the answers"
            raise infeasible(problem, SPACES[self.over or "units"], sentence)
        bound = best[0] if self.over == "units" else lower_bound(problem)
        return Proposal(plan=best[1], bound=bound, over=self.over, notes={"placements": str(len(placements))})


def _placements(chain: Chain, over: Space) -> Placements:
    """(K, U) every placement of the space."""
    hosts = np.array(chain.layout.hosts)
    parts = len(chain.layout.units) if over == "units" else len(chain.blocks)
    choices = np.arange(len(hosts) ** parts)
    digits = np.stack([choices // len(hosts) ** part % len(hosts) for part in range(parts)], axis=1)
    if over == "stages":
        digits = digits[[_is_staged(row) for row in digits.tolist()]]
    if over != "units":
        digits = digits[:, chain.block_of]
    return np.asarray(hosts[digits], dtype=np.int64)


def _is_staged(hosts: list[int]) -> bool:
    """Whether no host comes back."""
    runs = [host for number, host in enumerate(hosts) if number == 0 or hosts[number - 1] != host]
    return len(runs) == len(set(runs))
