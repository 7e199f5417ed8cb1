"""Values that no plan can beat, for every metric.

They hold for every plan that computes each operator on one node and sends activations as they are, inputs raw or in
one of the task's lossless codecs. What they leave out: sequential, energy and price let units be on several nodes in
parts (of large problems: see the nodes as two groups); the period does too, or sees work as a fluid and links one
tensor at a time; latency sees one path, or what lies between tensors that pass alone one after the other, each part on
one node or with the best of several; no queues before links.
"""

from functools import partial

import numpy as np

from hocket.cost import Problem, Task
from hocket.solvers.additive import SUMS, Additive, Costs
from hocket.solvers.cut import least_cut
from hocket.solvers.exact.relaxation import relaxed_bound
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.narrow import narrow_bound
from hocket.solvers.period import period_bound

_KEPT = "kept lower_bound"


def lower_bound(problem: Problem) -> float:
    """A value of the objective that no plan can beat, in the metric's SI unit; it is worked out once per problem.

    Where a task may be refused no bound but 0 is known.
    """
    if _KEPT not in problem.__dict__:
        problem.__dict__[_KEPT] = _of_objective(problem)
    bound: float = problem.__dict__[_KEPT]
    return bound


def _of_objective(problem: Problem) -> float:
    objective = problem.objective
    if any(task.refusal_cost is not None for task in problem.tasks):
        return 0.0  # what a refused task costs is not counted here
    if objective.metric != "weighted":
        return metric_bound(problem, objective.metric)
    return sum(
        weight * metric_bound(problem, metric) / (problem.references[metric] or 1.0)
        for metric, weight in sorted(objective.weights.items())
        if weight
    )


def metric_bound(problem: Problem, metric: str) -> float:
    """A value of one metric that no plan can beat; of several tasks together as the judge puts them together."""
    bounds = [_of_task(problem, task, metric) for task in problem.tasks]
    if metric in ("energy", "price"):
        return sum(bounds)
    return max(bounds) if metric == "period" else problem.together(bounds)


def _of_task(problem: Problem, task: Task, metric: str) -> float:
    layout = Layout(problem, task)
    if not layout.units:
        return 0.0
    if metric == "period":
        bound = period_bound(layout)
        return max(bound, relaxed_bound(layout, metric, bound)) if len(layout.hosts) > 1 else bound
    additive = Additive(layout, {metric if metric in SUMS else "sequential": 1.0})
    if metric == "latency":
        return max(path_bound(additive, calls=True), narrow_bound(additive), period_bound(layout))
    bound = sum_bound(additive)
    if len(layout.hosts) > 2:
        bound = max(bound, relaxed_bound(layout, metric, bound))
    return max(bound, path_bound(additive, calls=False)) if metric == "sequential" else bound


def path_bound(additive: Additive, *, calls: bool) -> float:
    """Seconds of the slowest chain of units and ways, each unit where it suits that chain best.

    Args:
        additive: sequential costs.
        calls: count the fixed time of a call on each node that the chain enters.
    """
    layout, costs = additive.layout, additive.costs
    size = len(layout.nodes)
    entering = layout.call_s if calls else np.zeros(size)
    there = np.full((len(costs.nets), size), np.inf)
    """Least seconds until the tensor of a net can be read on each node."""
    longest = 0.0
    at = partial(_arrival, costs, entering)
    made = layout.makes
    for number, net in enumerate(costs.nets):
        if net.home >= 0:
            born = np.full(size, np.inf)
            born[net.home] = 0.0
            there[number], longest = at(number, born, longest, born=True)
    for unit in range(len(layout.units)):
        ready = np.max([there[number] for number in layout.reads[unit]], axis=0, initial=0.0)
        if not layout.reads[unit]:
            ready = entering.copy()
        finish = np.maximum(ready, 0.0) + costs.of_units[unit]
        longest = max(longest, float(finish.min()))
        for number in made[unit]:
            there[number], longest = at(number, finish, longest, born=False)
    return longest * (1 - 1e-12)


def _arrival(
    costs: Costs, entering: Floats, number: int, finish: Floats, longest: float, *, born: bool
) -> tuple[Floats, float]:
    """When a tensor can be read on each node, and the longest chain so far with its answers."""
    away = finish[:, None] + costs.of_nets[number]
    np.fill_diagonal(away, np.inf)
    for sink in costs.nets[number].sinks:
        longest = max(longest, float(min(finish[sink], away[:, sink].min())))
    stays = finish + entering if born else finish
    return np.minimum(stays, away.min(axis=0) + entering), longest


def sum_bound(additive: Additive) -> float:
    """The best cut between one node and all the others taken together, for the node where that says most."""
    layout = additive.layout
    best = float(additive.costs.of_units.min(axis=1).sum())
    for host in layout.hosts if len(layout.hosts) > 1 else ():
        merged, first, second = _merged(additive, host)
        best = max(best, merged.value(least_cut(merged, first, second)))
        if len(layout.hosts) == 2:
            break
    if len(layout.hosts) == 1:
        best = max(best, additive.costs.value([layout.hosts[0]] * len(layout.units)))
    return best * (1 - 1e-12)


def _merged(additive: Additive, host: int) -> tuple[Costs, int, int]:
    """The costs with all hosts but one taken together, each time the cheapest of them."""
    layout, costs = additive.layout, additive.costs
    others = [node for node in layout.hosts if node != host]
    group = dict.fromkeys(others, others[0])
    kept = [node for node in range(len(layout.nodes)) if group.get(node, node) == node]
    at = {node: kept.index(group.get(node, node)) for node in range(len(layout.nodes))}
    members = [[node for node in at if at[node] == number] for number in range(len(kept))]
    of_units = np.stack([costs.of_units[:, nodes].min(axis=1) for nodes in members], axis=1)
    of_nets = np.zeros((len(costs.nets), len(kept), len(kept)))
    for a, sources in enumerate(members):
        for b, ends in enumerate(members):
            if a != b:
                of_nets[:, a, b] = costs.of_nets[:, sources][:, :, ends].min(axis=(1, 2), initial=np.inf)
    nets = tuple(
        net._replace(home=at.get(net.home, -1), sinks=tuple(sorted({at[sink] for sink in net.sinks})))
        for net in costs.nets
    )
    return Costs(of_units, of_nets, nets), at[host], at[others[0]]
