"""What a switch from one plan to another moves."""

from collections.abc import Mapping

from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.nouns import Value
from hocket.plan.holding import weights_of
from hocket.plan.pieces import pieces_of
from hocket.plan.plan import Plan
from hocket.program import Region

_Key = tuple[str, str, Region | None]
"""(model, weight, region of it): tasks with one model file share their weights."""


class Change(Value, frozen=True):
    """What one node must get, and may drop."""

    node: str
    weights: tuple[str, ...]
    """Names of weights that it lacks, sorted; in front of each `task:` where there are several tasks, behind it the
    region where only a part is needed."""
    nbytes: int
    """Bytes of those weights: what a link to the node has to carry before the switch."""
    dropped_bytes: int
    """Bytes of weights that it holds and no longer needs."""


def diff(before: Plan | None, after: Plan, graphs: Mapping[str, Graph]) -> tuple[Change, ...]:
    """Compare what the nodes hold under one plan with what they need under another.

    A part of a weight is known by its region, as the nodes know it by its hash: another region is sent whole.

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
    changes = []
    for node in sorted(held.keys() | needed.keys()):
        had, wants = held.get(node, {}), needed.get(node, {})
        lacks = wants.keys() - had.keys()
        changes.append(
            Change(
                node=node,
                weights=tuple(sorted(_shown(wants[key][0], key, graphs) for key in lacks)),
                nbytes=sum(wants[key][1] for key in lacks),
                dropped_bytes=sum(had[key][1] for key in had.keys() - wants.keys()),
            )
        )
    return tuple(changes)


def _model(task: str, graph: Graph) -> str:
    return graph.source.sha256 if graph.source else task


def _shown(task: str, key: _Key, graphs: Mapping[str, Graph]) -> str:
    name = key[1] if key[2] is None else f"{key[1]}[{','.join(f'{lo}:{hi}' for lo, hi in key[2])}]"
    return name if len(graphs) == 1 else f"{task}:{name}"


def _weights(plan: Plan, graphs: Mapping[str, Graph]) -> dict[str, dict[_Key, tuple[str, int]]]:
    """Node -> the weights that it needs, each with the first task that needs it, and its bytes."""
    found: dict[str, dict[_Key, tuple[str, int]]] = {}
    for entry in plan.entries:
        if entry.task not in graphs:
            raise PlanError(
                f"C1: an entry serves a task, and {entry.task!r} is none of {', '.join(graphs)}; correct its task"
            )
        graph = graphs[entry.task]
        for piece in pieces_of(graph, entry):
            keys = found.setdefault(piece.node, {})
            for name, region, size in weights_of(graph, piece.part):
                keys.setdefault((_model(entry.task, graph), name, region), (entry.task, size))
    return found
