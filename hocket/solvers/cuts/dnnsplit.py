"""Up to three cuts for tiers that get faster and cheaper, tried at the few boundaries that can be the best.

Solves    one task whose source can compute, and up to three further tiers
Answer    the least latency, the least price, or where those are two plans the least sum of both, each divided by its
          least; by the method's own sums, over runs of blocks from tier to tier; optimal over such runs where each tier
          is at least as fast and as cheap as the one before it
Time      O(C^T (U + M)); C = candidates, a handful; T = further tiers, at most 3
Source    Kayal, Leon-Garcia: DNNSplit: latency and cost-efficient split point identification for multi-tier DNN
          partitioning, IEEE Access 12, 2024, pp. 80047-80061
Departs   tiers are the source and then the other nodes from the slowest to the fastest, unless an option names them;
          [standard] the trade-off; where the price of every plan is 0 it falls back to latency
Cards     dnnsplit
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.solvers.additive import Additive
from hocket.solvers.batch import sums
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import (
    borders,
    costs_now,
    first_allowed,
    refuses_pair,
    runs,
    sequential,
    servers_of,
)
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_MOST_TIERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DnnSplit:
    """See the module."""

    name: ClassVar[str] = "dnnsplit"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    aim: Literal["auto", "latency", "price", "both"] = "auto"
    """auto = latency or price if that is the objective, else both."""
    tiers: str = ""
    """Nodes after the source, in the order in which they get parts, such as `edge, cloud`; empty = all others, the
    slowest first."""
    filter: bool = True
    """Try only boundaries whose tensor is smaller than all before it."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, no further tier or more than three."""
        reason = refuses_pair(problem)
        if reason:
            return reason
        names = {problem.cluster.nodes[server].name for server in servers_of(problem, problem.task)}
        unknown = [name for name in self._named if name not in names]
        if unknown:
            return f"a tier is another node that can compute, and {unknown[0]!r} is none"
        count = 1 + (len(self._named) or len(names))
        return None if count <= _MOST_TIERS else f"it divides over at most {_MOST_TIERS} tiers, and here are {count}"

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best tuple of cuts.

        Raises:
            InfeasibleError: no tuple of candidates keeps the constraints.
        """
        require(self, problem)
        additive = sequential(problem)
        layout = additive.layout
        order = self._order(problem, layout)
        points = candidates(layout) if self.filter else borders(layout, "blocks")
        tuples = list(combinations_with_replacement(points, len(order) - 1))
        placements = np.array([runs(layout, order, cuts) for cuts in tuples], dtype=np.int64).reshape(len(tuples), -1)
        latency_s = sums(costs_now(additive), placements)
        price_usd = sums(Additive(layout, {"price": 1.0}).costs, placements)
        value = self._value(problem, latency_s, price_usd)
        plans = (
            (float(value[number]), _label(layout, order, tuples[number]), additive.plan(placements[number].tolist()))
            for number in np.argsort(value, kind="stable")
            if np.isfinite(value[number])
        )
        return first_allowed(problem, plans, f"cuts at {len(points)} candidate boundaries")

    @property
    def _named(self) -> tuple[str, ...]:
        """The tiers that the option names, each once."""
        return tuple(dict.fromkeys(name for part in self.tiers.split(",") if (name := part.strip())))

    def _order(self, problem: Problem, layout: Layout) -> list[int]:
        index = problem.cluster.index
        if self._named:
            return [index[problem.task.source], *(index[name] for name in self._named)]
        total_s = layout.seconds.sum(axis=0)
        return [index[problem.task.source],
                *sorted(servers_of(problem, problem.task), key=lambda server: -total_s[server])]  # fmt: skip

    def _value(self, problem: Problem, latency_s: Floats, price_usd: Floats) -> Floats:
        metric = problem.objective.metric
        aim = self.aim
        if aim == "auto":
            aim = "price" if metric == "price" else "latency" if metric in ("latency", "sequential") else "both"
        if aim == "latency" or (aim == "both" and not 0 < price_usd.min() < np.inf) or not 0 < latency_s.min() < np.inf:
            return latency_s
        if aim == "price":
            return price_usd
        # The plan that is the best in both, if there is one, has the value 2 and is the best of the sum.
        return np.asarray(latency_s / latency_s.min() + price_usd / price_usd.min())


def candidates(layout: Layout) -> tuple[int, ...]:
    """Units before each boundary that can be the best: its tensor is smaller than the inputs and all boundaries' before
    it; and all units, for tiers that are left out at the end."""
    found, least = [], np.inf
    size = len(layout.units)
    for border in borders(layout, "blocks")[:-1]:
        nbytes = sum(net.nbytes for net in layout.nets if net.maker < border <= max(net.readers, default=-1))
        if nbytes < least:
            found.append(border)
            least = nbytes
    return (*found, size)


def _label(layout: Layout, order: Sequence[int], cuts: Sequence[int]) -> str:
    edges = [0, *cuts, len(layout.units)]
    return ", ".join(
        f"{stop - start} units on {layout.nodes[node]}"
        for node, (start, stop) in zip(order, pairwise(edges), strict=True)
    )
