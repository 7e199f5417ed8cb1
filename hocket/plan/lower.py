"""From a plan to the program that the runtime executes: structure only, no weights.

An entry becomes *pieces* (an operator on a node, or a part of a split run), `Exchange` says what moves between them,
and pieces of one node become one segment iff they depend on the same crossings and feed the same crossings (a crossing
is a value, where it comes from, and the node that it goes to). The crossings behind a piece only grow along an edge
and those ahead only shrink, so a path that leaves a segment and came back would have both constant: segments are convex
and their graph has no cycle. Besides, no segment waits for an input that one of its pieces does not need, and nothing
leaves later than the pieces that it depends on.
"""

from collections.abc import Mapping, Sequence

from hocket.cluster import Cluster
from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.graph.regions import Free
from hocket.plan.equipment import equipment
from hocket.plan.exchange import Crossing, Exchange
from hocket.plan.flow import Flow
from hocket.plan.pieces import pieces_of
from hocket.plan.plan import Entry
from hocket.plan.segments import Segments
from hocket.plan.sequences import check_undivided, counters_of, spread_all, spread_outputs, stacking, states_of
from hocket.program import INPUT, Binding, Program, Segment, TensorInfo, Transfer

SEQUENCES = 16  # of a model that keeps states: as many texts may be continued at once, whatever its nodes


def lower(
    graph: Graph,
    entry: Entry,
    cluster: Cluster,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    *,
    window: int | None = None,
    borders: Sequence[int] = (),
) -> Program:
    """Make the program of one entry.

    Args:
        graph: the model.
        entry: where its operators run.
        cluster: gives the routes between nodes.
        inputs: input tensor -> node that has it.
        outputs: output tensor -> node that needs it.
        window: most requests under way at once; absent = enough to keep every node and the links between them busy.
        borders: positions in the graph, rising, at which a new segment begins whatever crosses there.

    Raises:
        PlanError: the entry does not fit the graph or the cluster, or asks for what cannot be executed.
        GraphError: an operator that cannot be divided as the entry says.
    """
    if entry.gates or entry.slices:
        what = "gates" if entry.gates else "slices"
        raise PlanError(f"this version does not execute {what}, and the entry of {entry.task!r} has some; remove them")
    pieces = pieces_of(graph, entry)
    for node in {piece.node: None for piece in pieces}:
        cluster.require(node)
    exchange = Exchange(graph, pieces, cluster, inputs, outputs)
    flow = Flow(exchange, outputs)
    segments = Segments(exchange, flow, entry.task, borders)
    made = segments.made()
    check_undivided(graph, made)
    free = _free(exchange, graph)
    sites, wires, resources = equipment(cluster, entry)
    nodes = {piece.node for piece in exchange.pieces}
    return Program(
        name=entry.task,
        sites=sites,
        wires=wires,
        resources=resources,
        tensors=_infos(exchange, made, inputs, outputs, free),
        segments=tuple(stacking(graph, spread_outputs(free, segment)) for segment in made),
        transfers=spread_all(free, _transfers(exchange, flow, segments, entry, cluster, inputs)),
        inputs=tuple(Binding(tensor=name, node=node) for name, node in inputs.items()),
        outputs=tuple(
            Binding(tensor=name, node=node, source=segments.answer(name, node)) for name, node in outputs.items()
        ),
        states=states_of(graph, made),
        counters=counters_of(graph, made),
        window=window or min(len(made), 2 * len(nodes)) + 1 + (SEQUENCES if graph.buffers else 0),
    )


def _transfers(
    exchange: Exchange,
    flow: Flow,
    segments: Segments,
    entry: Entry,
    cluster: Cluster,
    inputs: Mapping[str, str],
) -> tuple[Transfer, ...]:
    codecs = {(crossing.tensor, crossing.target): crossing.codec for crossing in entry.codecs}
    unknown = sorted(codecs.keys() - {(exchange.base(c.value), c.target) for c in flow.crossings})
    if unknown:
        tensor, target = unknown[0]
        raise PlanError(f"a codec is for a tensor that crosses, and {tensor!r} does not cross to {target!r}; remove it")

    def place(crossing: Crossing) -> tuple[int, str, str, str]:
        order = exchange.pieces[crossing.maker].order if crossing.maker >= 0 else -1
        return order, crossing.value, crossing.target, segments.name(crossing)

    found = []
    for crossing in sorted(flow.crossings, key=place):
        value, maker, target, region = crossing
        piece = exchange.pieces[maker] if maker >= 0 else None
        nbytes = exchange.nbytes(value, region)
        found.append(
            Transfer(
                id=segments.name(crossing),
                tensor=value,
                source=INPUT if piece is None else segments.home(maker),
                path=cluster.path(inputs[value] if piece is None else piece.node, target, nbytes),
                nbytes=nbytes,
                codec=codecs.get((exchange.base(value), target), "raw"),
                region=region,
                priority=0 if piece is None else piece.priority,
            )
        )
    return tuple(found)


def _free(exchange: Exchange, graph: Graph) -> Free:
    """The axes whose length differs, of partial results too."""
    partial = {value: graph.free[base.tensor] for value, base in exchange.partial.items() if base.tensor in graph.free}
    return {**graph.free, **partial}


def _infos(
    exchange: Exchange,
    segments: Sequence[Segment],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    free: Free,
) -> tuple[TensorInfo, ...]:
    """Every tensor that one segment makes and another reads, and those that enter and leave."""
    names = {*inputs, *outputs}
    for segment in segments:
        names.update(port.tensor for port in segment.inputs)
        names.update(segment.outputs)
    infos = []
    for name in sorted(names):
        most = dict(free.get(name, ()))
        shape = tuple(most.get(axis, length) for axis, length in enumerate(exchange.shape(name)))
        infos.append(TensorInfo(name=name, dtype=exchange.dtype(name), shape=shape, free=tuple(most)))
    return tuple(infos)
