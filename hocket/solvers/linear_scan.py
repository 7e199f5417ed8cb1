"""One cut: the source computes the first units, another node the rest.

Solves    every metric of one task whose source can compute
Answer    the best cut of one topological order between the source and any other node, with exact sets of tensors
Time      O(D (U + M)) for sums; for the others as many judgements as are below the best value, at most U + 1 per node;
          U = units, M = tensors, D = nodes
Source    Kang, Hauswald, Gao, Rovinski, Mudge, Mars, Tang: Neurosurgeon, ASPLOS 2017, pp. 615-629
Departs   any DAG and any other node, not a chain and one server; the answer comes back and is paid; the load of a
          server is in its profile, not a factor
Cards     neurosurgeon
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.additive import Additive, Costs, additive_of, weights_of
from hocket.solvers.batch import bounds_of
from hocket.solvers.bound import lower_bound
from hocket.solvers.checks import infeasible, refuses_tasks, require
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats, Net
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearScan:
    """See the module."""

    name: ClassVar[str] = "linear_scan"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or a source that cannot compute."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        if problem.task.source not in problem.task.profile.nodes:
            return f"the inputs are on {problem.task.source!r}, of which the profile knows nothing"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best cut."""
        require(self, problem)
        best: tuple[float, Plan] | None = None
        sentence = "no way leads from the source to another node and back"
        for bound, plan in _cuts(problem):
            if best is not None and bound >= best[0]:
                break
            cost = judged(problem, plan)
            if cost is not None and cost.feasible and (best is None or cost.value < best[0]):
                best = (cost.value, plan)
            if cost is not None and cost.violations:
                sentence = cost.violations[0].sentence
            if stop is not None and stop(np.inf if best is None else best[0]):
                break
        if best is None:
            raise infeasible(problem, "all cuts of one topological order", sentence)
        return Proposal(plan=best[1], bound=lower_bound(problem))


def _cuts(problem: Problem) -> Iterator[tuple[float, Plan]]:
    """Every cut with a lower bound of its value, the least first."""
    additive = additive_of(problem)
    source, size = problem.cluster.index[problem.task.source], len(additive.layout.units)
    others = [host for host in additive.layout.hosts if host != source]
    # The cut after the last unit leaves nothing for the other node and is listed once.
    values = np.stack(_values(problem, additive, source, others) or [np.zeros(size + 1)])
    values[1:, size] = np.inf
    for choice in np.argsort(values, axis=None, kind="stable").tolist():
        row, cut = divmod(choice, size + 1)
        if np.isfinite(values[row, cut]) and (others or cut == size):
            other = others[row] if others else source
            yield float(values[row, cut]), additive.plan([source] * cut + [other] * (size - cut))


def _values(problem: Problem, additive: Additive, source: int, others: Sequence[int]) -> list[Floats]:
    """(U + 1,) for each other node, what its cuts cost at least; exactly so much where that adds up."""
    if weights_of(problem) is not None:
        return [cut_costs(additive.costs, source, other) for other in others]
    bounds, size = bounds_of(problem, additive.layout), len(additive.layout.units)
    stays = np.arange(size) < np.arange(size + 1)[:, None]
    return [bounds(np.where(stays, source, other)) for other in others]


def cut_costs(costs: Costs, first: int, second: int) -> Floats:
    """(U + 1,) cost of having the units before each cut on one node and those after it on another.

    >>> two = Costs(np.array([[1.0, 9.0], [1.0, 9.0]]), np.zeros((0, 2, 2)), ())
    >>> cut_costs(two, 0, 1).tolist()
    [18.0, 10.0, 2.0]
    """
    size = len(costs.of_units)
    before = np.concatenate([[0.0], np.cumsum(costs.of_units[:, first])])
    after = np.concatenate([np.cumsum(costs.of_units[::-1, second])[::-1], [0.0]])
    extra = np.zeros(size + 1)
    for number, net in enumerate(costs.nets):
        for start, stop, cost in _charges(costs.of_nets[number], net, first, second, size):
            extra[start:stop] += cost
    return np.asarray(before + after + extra)


def _charges(cost: Floats, net: Net, first: int, second: int, size: int) -> Iterator[tuple[int, int, float]]:
    """For which cuts (half-open) a tensor costs what, each node that wants it once."""
    least, most = (net.readers[0], net.readers[-1]) if net.readers else (size, -1)
    if net.maker < 0:
        origins = [(0, size + 1, net.home)]
    else:
        origins = [(0, net.maker + 1, second), (net.maker + 1, size + 1, first)]
    for start, stop, origin in origins:
        for target in {first, second, *net.sinks} - {origin}:
            if target in net.sinks:
                yield start, stop, float(cost[origin, target])
            elif target == second:  # a reader is on the second node for cuts up to the last reader
                yield start, max(start, min(stop, most + 1)), float(cost[origin, target])
            else:  # and on the first for cuts beyond the first reader
                yield max(start, min(least + 1, stop)), stop, float(cost[origin, target])
