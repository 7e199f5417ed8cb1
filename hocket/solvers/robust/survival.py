"""What a request needs of the cluster, how likely that is there, and copies of runs in plans."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from hocket.cost import Problem, Task
from hocket.cost.replicas import replicated_reliability, way_of
from hocket.errors import ClusterError
from hocket.plan import Copies, Plan
from hocket.plan.placement import plan_for
from hocket.solvers.layout import Layout

Item = TypeVar("Item")
Replicas = tuple[int, ...]
"""Nodes that all compute the same, rising, as positions in the cluster."""


def failures(problem: Problem) -> dict[str, float]:
    """Name of each node and link -> probability that it fails during a request."""
    cluster = problem.cluster
    nodes = {node.name: node.failure_probability for node in cluster.nodes}
    links = {way_of(link.between)[-1]: link.failure_probability for link in cluster.links}
    return nodes | links


def needs_of(problem: Problem, task: Task, node: str) -> frozenset[str] | None:
    """Nodes and links that a task needs when it runs whole on a node; None = a way is missing."""
    cluster, needed = problem.cluster, set[str]()
    try:
        for tensor, home in task.inputs.items():
            needed |= {*way_of(cluster.path(home, node, task.graph.tensor[tensor].nbytes))}
        for tensor, sink in task.outputs.items():
            needed |= {*way_of(cluster.path(node, sink, task.graph.tensor[tensor].nbytes))}
    except ClusterError:
        return None
    return frozenset(needed)


def takes_copies(task: Task) -> bool:
    """Whether answers of copies can be taken: the nodes that need them choose among them, so they compute."""
    return all(node in task.profile.nodes for node in task.outputs.values())


def survives(problem: Problem, replicas: Iterable[Iterable[str]]) -> float:
    """Probability that at least one of several replicas has all that it needs."""
    return replicated_reliability([list(replicas)], failures(problem))


def floor_of(problem: Problem, task: Task) -> float:
    """The least reliability that a task needs, by its own floor or by a limit of the objective; 0 = none."""
    return max(task.reliability_floor or 0.0, problem.objective.limits.get("reliability", 0.0))


def replicated_plan(layout: Layout, of_units: Sequence[Replicas]) -> Plan:
    """The plan in which each unit runs on all of its nodes, the first answer wins; one node is no copy."""
    names = [
        layout.nodes[nodes[0]] if len(nodes) == 1 else Copies(nodes=tuple(layout.nodes[node] for node in nodes))
        for nodes in (of_units[unit] for unit in layout.unit_of)
    ]
    return plan_for(layout.task.name, layout.graph, names)


def greedy(
    items: Sequence[Item],
    worth: Callable[[tuple[Item, ...]], float],
    may: Callable[[tuple[Item, ...], Item], bool],
) -> tuple[Item, ...]:
    """Items, each time the one that adds most to the worth of those before it; it ends where none adds anything.

    For a worth that is monotone and submodular it is at least 1 - 1/e of the best where any `count` items may be
    chosen (Nemhauser, Wolsey, Fisher 1978), and at least 1/2 under a matroid.

    Args:
        items: of those that add equally much the first is taken.
        worth: of some items.
        may: whether an item may be added to some.

    >>> covers = {0: {1, 2}, 1: {2, 3}, 2: {3, 4, 5}}
    >>> def worth(chosen):
    ...     return float(len({each for item in chosen for each in covers[item]}))
    >>> greedy([0, 1, 2], worth, lambda chosen, item: len(chosen) < 2)
    (2, 0)
    """
    chosen: tuple[Item, ...] = ()
    have = worth(chosen)
    while True:
        gains = [
            (worth((*chosen, item)) - have, -place)
            for place, item in enumerate(items)
            if item not in chosen and may(chosen, item)
        ]
        gain, place = max(gains, default=(0.0, 0))
        if gain <= 0:
            return chosen
        chosen = (*chosen, items[-place])
        have = worth(chosen)
