"""Contiguous parts in proportion to speed, then boundaries shifted while the longest stage gets shorter.

Solves    one task whose source can compute; any number of further nodes
Answer    a division into runs of units, one per node, that no shift of one boundary by one unit improves, by the
          longest stage of computing or sending
Time      O(K (U + M) D); K = shifts, D = nodes
Source    Miao, Zeng, Wei, Li, Jiang, Zhang: Adaptive DNN partition in edge computing environments, ICPADS 2020,
          pp. 685-690
Departs   [standard] the start and the rule of shifting; the source has the first part and the other nodes follow in the
          cluster's order; times of units come from the profile
Cards     miao_adaptive
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.additive import Additive
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import first_allowed, refuses_pair, runs, sequential, servers_of
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_SAME = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class MiaoAdaptive:
    """See the module."""

    name: ClassVar[str] = "miao_adaptive"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    shift: bool = True
    """Shift boundaries after the start; else the parts in proportion to speed stay."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no other node."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Balanced parts.

        Raises:
            InfeasibleError: the parts break a constraint, as does every division that the shifts went through.
        """
        require(self, problem)
        additive = sequential(problem)
        layout = additive.layout
        order = [problem.cluster.index[problem.task.source], *servers_of(problem, problem.task)]
        cuts = proportional(layout, order)
        passed = [cuts, *(shifts(additive, order, cuts) if self.shift else ())]
        plans = [
            (longest(additive, order, some), f"boundaries at {some}", additive.plan(runs(layout, order, some)))
            for some in reversed(passed)
        ]
        return first_allowed(problem, plans, "the divisions that shifts of boundaries passed through")


def proportional(layout: Layout, order: Sequence[int]) -> tuple[int, ...]:
    """Boundaries that give each node a part of the work in proportion to its speed on the whole model."""
    total_s = np.maximum(layout.seconds[:, list(order)].sum(axis=0), 1e-300)
    share = (1 / total_s) / (1 / total_s).sum()
    work = (layout.seconds[:, list(order)] / total_s).mean(axis=1)
    done = np.concatenate([[0.0], np.cumsum(work)])
    return tuple(int(np.abs(done - limit * done[-1]).argmin()) for limit in np.cumsum(share)[:-1])


def stages_s(additive: Additive, order: Sequence[int], cuts: Sequence[int]) -> Floats:
    """Seconds of each part, and of what crosses to the node of each part."""
    layout = additive.layout
    edges = [0, *cuts, len(layout.units)]
    computing = [
        float(layout.seconds[start:stop, node].sum())
        for node, (start, stop) in zip(order, pairwise(edges), strict=True)
    ]
    crossing = np.zeros(len(layout.nodes))
    places = runs(layout, order, cuts)
    for number, net in enumerate(layout.nets):
        origin = net.home if net.maker < 0 else places[net.maker]
        for target in {*(places[reader] for reader in net.readers), *net.sinks} - {origin}:
            crossing[target] += additive.costs.of_nets[number, origin, target]
    return np.array([*computing, *crossing])


def longest(additive: Additive, order: Sequence[int], cuts: Sequence[int]) -> float:
    """Seconds of the longest stage."""
    return float(stages_s(additive, order, cuts).max())


def shifts(additive: Additive, order: Sequence[int], cuts: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The boundaries after each shift that made the longest stage shorter, the best shift each time."""
    size = len(additive.layout.units)
    passed: list[tuple[int, ...]] = []
    best = longest(additive, order, cuts)
    while True:
        tried = []
        for number, by in ((number, by) for number in range(len(cuts)) for by in (-1, 1)):
            moved = [*cuts]
            moved[number] += by
            # Empty parts in the way are pushed along.
            moved = [min(cut, moved[number]) if at < number else max(cut, moved[number]) if at > number else cut
                     for at, cut in enumerate(moved)]  # fmt: skip
            if moved[0] >= 0 and moved[-1] <= size:
                tried.append((longest(additive, order, moved), tuple(moved)))
        found = min(tried, default=(np.inf, cuts))
        if not found[0] < best * (1 - _SAME) and not (np.isinf(best) and np.isfinite(found[0])):
            return passed
        best, cuts = found
        passed.append(cuts)
