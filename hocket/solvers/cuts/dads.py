"""DNN surgery: the minimum cut of a DAG under light load, the least busy stage under heavy load.

Solves    one task whose source can compute, and a server
Answer    light load: the best division in which only answers come back, by the sum of device, way and server; heavy
          load: the least of the longest of the three that weighted minimum cuts find, at most 3 times the best such
          division
Time      light: one maximum flow per server; heavy: one per step and server
Source    Hu, Bao, Wang, Liu: Dynamic adaptive DNN surgery for inference acceleration on the edge (DADS), INFOCOM 2019,
          pp. 1423-1431
Departs   inputs are pinned to the device, a tensor is paid once, and the server may not feed the device: the published
          network lacks these, and each can be switched off; the answer's way back is paid; [standard] heavy load by
          subgradient steps on the weights of the three stages
Cards     dads
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.additive import Costs
from hocket.solvers.checks import require
from hocket.solvers.cuts.construction import Repairs, Stages, stages, two_sided, weighted, weighted_cut
from hocket.solvers.cuts.scan import costs_now, first_allowed, refuses_pair, sequential, servers_of
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_STEP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Dads:
    """See the module."""

    name: ClassVar[str] = "dads"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    load: Literal["auto", "light", "heavy"] = "auto"
    """auto = heavy where the objective is the period, or where the task has a rate and the light cut's longest stage
    does not keep up with it."""
    steps: int = 30
    """Subgradient steps under heavy load."""
    pinned_inputs: bool = True
    """Repair: sending an input up is charged."""
    once: bool = True
    """Repair: a tensor is paid once, however many read it."""
    one_way: bool = True
    """Repair: the server may not feed the device."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The division for the load.

        Raises:
            InfeasibleError: it breaks a constraint, as do those that leave everything on one side.
        """
        require(self, problem)
        plans = sorted(self._divisions(problem), key=lambda found: found[0])
        return first_allowed(problem, plans, "the minimum cuts and both nodes alone")

    def _divisions(self, problem: Problem) -> Iterator[tuple[float, str, Plan]]:
        additive, device = sequential(problem), problem.cluster.index[problem.task.source]
        costs = costs_now(additive)
        for server in servers_of(problem, problem.task):
            network = two_sided(costs, device, server, Repairs(self.pinned_inputs, self.once, self.one_way))
            light = weighted_cut(network, device, server)
            heavy = self._is_heavy(problem, stages(network, light, device, server))
            found = [light, [device] * len(light), [server] * len(light)]
            label = "light load"
            if heavy:
                cuts = list(surgery(network, device, server, self.steps))
                found += [places for places, _ in cuts]
                label = f"heavy load, no division with a longest stage below {max(bound for _, bound in cuts):.6g} s"
            for places in {tuple(places): places for places in found}.values():
                parts = stages(network, places, device, server)
                value = max(parts) if heavy else sum(parts)
                where = f"{places.count(device)} units on {additive.layout.nodes[device]}"
                if np.isfinite(value):
                    yield value, f"{where}; {label}", additive.plan(places)

    def _is_heavy(self, problem: Problem, light: Stages) -> bool:
        if self.load != "auto":
            return self.load == "heavy"
        return problem.objective.metric == "period" or max(light) * problem.task.rate_per_s >= 1


def surgery(network: Costs, device: int, server: int, steps: int) -> Iterator[tuple[list[int], float]]:
    """Minimum cuts under weights that shift towards the longest stage, the equal weights first.

    Args:
        network: `two_sided` costs.
        device: the node of the first part.
        server: the node of the second part.
        steps: how many cuts.

    Yields:
        Node of each unit, and a value that the longest stage of no division of the two nodes beats.
    """
    weights = np.full(3, 1 / 3)
    for step in range(max(steps, 1)):
        three = Stages(*weights.tolist())
        places = weighted_cut(network, device, server, three)
        yield places, weighted(network, device, server, three).value(places)
        parts = np.array(stages(network, places, device, server))
        longest = float(parts.max())
        if not np.isfinite(longest) or longest <= 0:
            return
        weights = _simplex(weights + _STEP / np.sqrt(step + 1) * parts / longest)


def _simplex(point: Floats) -> Floats:
    """The nearest point whose coordinates are not negative and sum to 1.

    >>> _simplex(np.array([1.0, 1.0, -3.0])).tolist()
    [0.5, 0.5, 0.0]
    """
    falling = np.sort(point)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(point) + 1)
    return np.asarray(np.maximum(point - excess[np.flatnonzero(falling > excess)[-1]], 0.0))
