"""C1: does a plan fit its models and its cluster? Every sentence at once, where lowering stops at the first."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from hocket.cluster import Cluster
from hocket.errors import ClusterError, PlanError
from hocket.graph import Graph
from hocket.plan.check_places import check_place, nodes_of
from hocket.plan.placement import Place, positions
from hocket.plan.plan import Entry, Plan
from hocket.plan.shares import fault, overbooked, reserved

Ends = Mapping[str, str]
"""Tensor -> node."""


def check(
    plan: Plan,
    graphs: Mapping[str, Graph],
    cluster: Cluster,
    *,
    inputs: Mapping[str, Ends] | None = None,
    outputs: Mapping[str, Ends] | None = None,
    codecs: Collection[str] | None = None,
    refusable: Collection[str] = (),
) -> tuple[str, ...]:
    """Everything in a plan that contradicts its models or its cluster.

    Args:
        plan: what somebody wrote.
        graphs: task -> its model.
        cluster: the nodes and links.
        inputs: task -> input tensor -> node that has it; absent = the source of the cluster.
        outputs: task -> output tensor -> node that needs it; absent = the source of the cluster.
        codecs: names that the nodes understand; absent = any.
        refusable: tasks that need no entry.

    Returns:
        One sentence per fault; () for a plan that can be lowered.
    """
    found: list[str] = []
    known = ", ".join(graphs)
    for entry in plan.entries:
        if entry.task not in graphs:
            found.append(f"C1: an entry serves a task, and {entry.task!r} is none of {known}; correct its task")
            continue
        graph = graphs[entry.task]
        ends = [
            (given or {}).get(entry.task) or dict.fromkeys(names, cluster.source)
            for given, names in ((inputs, [tensor.name for tensor in graph.inputs]), (outputs, graph.outputs))
        ]
        found += check_entry(entry, graph, cluster, ends[0], ends[1], codecs=codecs)
    found += _tasks(plan, graphs, refusable)
    found += _shares(plan, cluster)
    return tuple(dict.fromkeys(found))


def check_entry(
    entry: Entry, graph: Graph, cluster: Cluster, inputs: Ends, outputs: Ends, *, codecs: Collection[str] | None = None
) -> Iterator[str]:
    """The faults of one entry; see `check`."""
    places, sentences = _places(entry, graph)
    yield from sentences
    for run in entry.where:
        yield from check_place(run, _result_shape(run.operators, graph), cluster)
    crossings = _crossings(graph, places, inputs, outputs)
    yield from _unreachable(cluster, crossings)
    yield from _codecs(entry, graph, {(tensor, target) for tensor, _, target in crossings}, codecs)
    yield from _names(entry, graph, cluster)


def _tasks(plan: Plan, graphs: Mapping[str, Graph], refusable: Collection[str]) -> Iterator[str]:
    served = {entry.task for entry in plan.entries}
    for task, graph in graphs.items():
        if task not in served and task not in refusable:
            yield f"C1: every task has an entry, and {task!r} has none; add one or drop the task"
        expected, sha256 = (graph.source.sha256 if graph.source else ""), plan.graph.get(task, "")
        if expected and sha256 and expected != sha256:
            yield (
                f"C1: a plan is for one model file, and that of {task!r} is {sha256[:12]} where {expected[:12]} was"
                " given; plan again for this model"
            )


def _places(entry: Entry, graph: Graph) -> tuple[list[Place | None], list[str]]:
    """Where each operator runs as far as that can be told, and what is wrong with the runs."""
    places: list[Place | None] = [None] * len(graph.operators)
    found: list[str] = []
    for run in entry.where:
        try:
            covered = positions(graph, run.operators)
        except PlanError as error:
            found.append(str(error))
            continue
        twice = [position for position in covered if places[position] is not None]
        if twice:
            name = graph.operators[twice[0]].name
            found.append(f"C1: an operator runs once, and {name!r} is in two runs; take it out of one")
        for position in covered:
            places[position] = run.on
    missing = [operator.name for operator, place in zip(graph.operators, places, strict=True) if place is None]
    if missing:
        found.append(
            f"C1: every operator runs somewhere, and {len(missing)} of {len(places)} do not"
            f" ({missing[0]!r} is the first); add them to a run"
        )
    return places, found


def _result_shape(operators: str, graph: Graph) -> tuple[int, ...] | None:
    """The shape of what a run makes in the end; None for a run that names nothing."""
    try:
        last = positions(graph, operators)[-1]
    except PlanError:
        return None
    return graph.tensor[graph.operators[last].name].shape


def _crossings(graph: Graph, places: Sequence[Place | None], inputs: Ends, outputs: Ends) -> list[tuple[str, str, str]]:
    """(tensor, from, to) of everything that leaves a node; where it cannot be told there is none."""
    nodes = [nodes_of(place) if place is not None else set() for place in places]
    crossings: dict[tuple[str, str, str], None] = {}
    for tensor in graph.tensors:
        made = graph.producer.get(tensor.name)
        origins = nodes[made] if made is not None else {inputs[tensor.name]} if tensor.name in inputs else set()
        targets = set[str]().union(*(nodes[reader] for reader in graph.readers[tensor.name]))
        if tensor.name in outputs:
            targets.add(outputs[tensor.name])
        for origin in sorted(origins):
            for target in sorted(targets - {origin}):
                crossings[tensor.name, origin, target] = None
    return list(crossings)


def _unreachable(cluster: Cluster, crossings: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for tensor, origin, target in crossings:
        if (origin, target) in seen or not {origin, target} <= cluster.node.keys():
            continue
        seen.add((origin, target))
        if not cluster.reachable(origin, target):
            yield (
                f"C1: a tensor goes where a link leads, and {tensor!r} cannot get from {origin!r} to {target!r};"
                " add a link between them or over a third node"
            )


def _codecs(
    entry: Entry, graph: Graph, crossings: Collection[tuple[str, str]], known: Collection[str] | None
) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for crossing in entry.codecs:
        key = (crossing.tensor, crossing.target)
        if crossing.tensor not in graph.tensor:
            yield f"C1: a codec is for a tensor of {graph.name!r}, and {crossing.tensor!r} is none; correct its name"
        elif key not in crossings:
            yield (
                f"C1: a codec is for a tensor that crosses, and {crossing.tensor!r} does not cross to"
                f" {crossing.target!r}; remove it"
            )
        if key in seen:
            yield f"C1: a crossing has one codec, and {crossing.tensor!r} to {crossing.target!r} has two; remove one"
        seen.add(key)
        if known is not None and crossing.codec not in known:
            yield (
                f"C1: a codec is one that the nodes know, and {crossing.codec!r} is none of {', '.join(known)};"
                " correct its name"
            )


def _names(entry: Entry, graph: Graph, cluster: Cluster) -> Iterator[str]:
    """Operators, weights and nodes that the smaller fields name."""
    for name in entry.order:
        if name not in graph.operator:
            yield f"C1: an order is of operators of {graph.name!r}, and {name!r} is none; correct its name"
    for name in entry.loads:
        if name not in graph.weights:
            yield f"C1: loads are weights of {graph.name!r}, and {name!r} is none; correct its name"
    for setting in entry.settings:
        try:
            node = cluster.require(setting.node)
        except ClusterError as error:
            yield f"C1: {error}"
            continue
        if setting.frequency_hz is not None and node.frequency_hz is not None:
            least, most = node.frequency_hz
            if not least <= setting.frequency_hz <= most:
                yield (
                    f"C1: {node.name!r} runs at {least:g} to {most:g} Hz, and its setting asks for"
                    f" {setting.frequency_hz:g} Hz; correct the setting"
                )


def _shares(plan: Plan, cluster: Cluster) -> Iterator[str]:
    """Each share for itself, then what all entries together take of one resource."""
    faults = [fault(cluster, entry.task, *share) for entry in plan.entries for share in entry.shares.items()]
    yield from (sentence for sentence in faults if sentence)
    if any(faults):
        return
    try:
        taken = reserved(cluster, plan)
    except PlanError as error:
        yield str(error)
        return
    for name, total in overbooked(taken):
        yield f"C1: the shares of a resource add up to at most 1, and those of {name!r} to {total:g}; lower one"
