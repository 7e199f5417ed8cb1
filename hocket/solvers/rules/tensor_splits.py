"""Tensor splits of other systems: attention heads and hidden units over nodes that all keep the residual stream."""

from collections.abc import Sequence

from hocket.cost import Problem
from hocket.errors import RefusedError
from hocket.graph.layers import Layers, Names, layers_of
from hocket.plan import Copies, Entry, Plan, Run, Split
from hocket.solvers.rules.layers import refuses_layers


def refuses_transformer(problem: Problem) -> str | None:
    """Several tasks, a source that does not compute, or a model that is no Transformer."""
    reason = refuses_layers(problem)
    if reason:
        return reason
    source = problem.task.source
    if source not in problem.task.profile.nodes:
        return f"the root is {source!r}, which has no profile"
    if layers_of(problem.task.graph) is None:
        return f"{problem.task.graph.name!r} has no Transformer layers whose heads could be divided"
    return None


def hosts_from_root(problem: Problem) -> list[str]:
    """The source, then the other nodes that compute."""
    source = problem.task.source
    names = [node.name for node in problem.cluster.nodes if node.name in problem.task.profile.nodes]
    return [source, *(name for name in names if name != source)]


def halves_of(problem: Problem) -> Layers:
    """The halves of the layers of a model that has some."""
    found = layers_of(problem.task.graph)
    if found is None:
        raise RefusedError(f"{problem.task.graph.name!r} has no Transformer layers; give a model that has some")
    return found


def split_plan(problem: Problem, nodes: Sequence[str], ways: Sequence[tuple[Sequence[str], Sequence[int]]]) -> Plan:
    """Each head divided along its contracted axis, everything between them on all nodes.

    Args:
        problem: one task with a Transformer.
        nodes: the first is the root, which embeds and answers.
        ways: for each half the nodes in the order of their parts, and the cuts between them.
    """
    layers, task = halves_of(problem), problem.task
    runs = [_run(layers.prologue, nodes[0])] if layers.prologue else []
    everywhere = Copies(nodes=tuple(nodes), mode="mirror") if len(nodes) > 1 else nodes[0]
    for half, (parts, cuts) in zip(layers.halves, ways, strict=True):
        on = Split(axis="contract", parts=tuple(parts), cuts=tuple(cuts)) if len(parts) > 1 else parts[0]
        runs.append(_run(half.head, on))
        last = half is layers.halves[-1]
        if half.tail:
            runs.append(_run(half.tail, nodes[0] if last else everywhere))
    if layers.epilogue:
        runs.append(_run(layers.epilogue, nodes[0]))
    sha256 = task.graph.source.sha256 if task.graph.source else ""
    return Plan(entries=(Entry(task=task.name, where=tuple(runs)),), graph={task.name: sha256})


def _run(names: Names, on: str | Split | Copies) -> Run:
    return Run(operators=names[0] if len(names) == 1 else f"{names[0]}..{names[-1]}", on=on)
