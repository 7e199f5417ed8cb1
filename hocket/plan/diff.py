"""What a switch from one plan to another moves."""

from collections.abc import Mapping

from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.nouns import Value
from hocket.plan.check_places import nodes_of
from hocket.plan.placement import placement
from hocket.plan.plan import Plan

_Key = tuple[str, str]
"""(model, weight): tasks with one model file share their weights."""


class Change(Value, frozen=True):
    """What one node must get, and may drop."""

    node: str
    weights: tuple[str, ...]
    """Names of weights that it lacks, sorted; in front of each `task:` where there are several tasks."""
    nbytes: int
    """Bytes of those weights: what a link to the node has to carry before the switch."""
    dropped_bytes: int
    """Bytes of weights that it holds and no longer needs."""


def diff(before: Plan | None, after: Plan, graphs: Mapping[str, Graph]) -> tuple[Change, ...]:
    """Compare what the nodes hold under one plan with what they need under another.

    A part of a split operator counts as its whole weights: an upper bound, exact for rows and positions.

    Args:
        before: the plan that is in force; None = the nodes hold nothing yet.
        after: the plan that shall be.
        graphs: task -> its model.

    Returns:
        A change for every node that either plan uses, by name; with no bytes for those that stay as they are.

    Raises:
        PlanError: a plan that does not fit its graphs (C1).
    """
    held = _weights(before, graphs) if before is not None else {}
    needed = _weights(after, graphs)
    sizes = {(_model(task, graph), name): n for task, graph in graphs.items() for name, n in graph.weights.items()}
    changes = []
    for node in sorted(held.keys() | needed.keys()):
        had, wants = held.get(node, {}), needed.get(node, {})
        lacks = wants.keys() - had.keys()
        changes.append(
            Change(
                node=node,
                weights=tuple(sorted(_shown(wants[key], key[1], graphs) for key in lacks)),
                nbytes=sum(sizes[key] for key in lacks),
                dropped_bytes=sum(sizes[key] for key in had.keys() - wants.keys()),
            )
        )
    return tuple(changes)


def _model(task: str, graph: Graph) -> str:
    return graph.source.sha256 if graph.source else task


def _shown(task: str, weight: str, graphs: Mapping[str, Graph]) -> str:
    return weight if len(graphs) == 1 else f"{task}:{weight}"


def _weights(plan: Plan, graphs: Mapping[str, Graph]) -> dict[str, dict[_Key, str]]:
    """Node -> the weights that it needs, each with the first task that needs it."""
    found: dict[str, dict[_Key, str]] = {}
    for entry in plan.entries:
        if entry.task not in graphs:
            raise PlanError(
                f"C1: an entry serves a task, and {entry.task!r} is none of {', '.join(graphs)}; correct its task"
            )
        graph = graphs[entry.task]
        for operator, place in zip(graph.operators, placement(graph, entry), strict=True):
            for node in nodes_of(place):
                keys = found.setdefault(node, {})
                for name in operator.weights:
                    keys.setdefault((_model(entry.task, graph), name), entry.task)
    return found
