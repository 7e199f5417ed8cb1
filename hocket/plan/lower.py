"""From a plan to the program that the runtime executes: structure only, no weights.

Operators of one node become one segment iff they depend on the same crossings and feed the same crossings
(a crossing is a tensor and the node that it goes to). The crossings behind an operator only grow along an edge
and those ahead only shrink, so a path that leaves a segment and came back would have both constant: segments are
convex and their graph has no cycle. Besides, no segment waits for an input that one of its operators does not
need, and no tensor leaves later than the operators that it depends on.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hocket.cluster import Cluster
from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.plan.equipment import equipment
from hocket.plan.placement import placement
from hocket.plan.plan import Copies, Entry, Split
from hocket.program import INPUT, Binding, Port, Program, Segment, TensorInfo, Transfer


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
    """
    nodes = _nodes(graph, entry, cluster)
    flow = _Flow(graph, nodes, inputs, outputs)
    segments, home = _segments(graph, entry, nodes, flow, borders)
    transfers = _transfers(graph, entry, cluster, flow, home)
    bindings = tuple(
        Binding(tensor=name, node=node, source=_delivered(name, node, flow, home, transfers))
        for name, node in outputs.items()
    )
    sites, wires, resources = equipment(cluster, entry)
    return Program(
        name=entry.task,
        sites=sites,
        wires=wires,
        resources=resources,
        tensors=_infos(graph, segments, outputs),
        segments=tuple(_with_ports(segment, graph, flow, home, transfers) for segment in segments),
        transfers=tuple(transfers.values()),
        inputs=tuple(Binding(tensor=name, node=node) for name, node in inputs.items()),
        outputs=bindings,
        window=window or min(len(segments), 2 * len(set(nodes))) + 1,
    )


class _Crossing(NamedTuple):
    tensor: str
    target: str


def _nodes(graph: Graph, entry: Entry, cluster: Cluster) -> list[str]:
    nodes = []
    for operator, place in zip(graph.operators, placement(graph, entry), strict=True):
        if isinstance(place, Split | Copies):
            raise PlanError(
                f"this version executes operators on one node each, and {operator.name!r} is on a"
                f" {type(place).__name__.lower()}; place it on one node"
            )
        nodes.append(cluster.require(place).name)
    if entry.gates or entry.slices:
        what = "gates" if entry.gates else "slices"
        raise PlanError(f"this version does not execute {what}, and the entry of {entry.task!r} has some; remove them")
    return nodes


class _Flow:
    """Which crossings are behind and ahead of every operator, as bit sets."""

    def __init__(self, graph: Graph, nodes: list[str], inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
        self.graph, self.nodes, self.inputs = graph, nodes, inputs
        self.crossings: dict[_Crossing, int] = {}
        self.behind = [0] * len(nodes)
        self.ahead = [0] * len(nodes)
        self._forwards()
        self._backwards(outputs)

    def origin(self, tensor: str) -> str:
        """The node where a tensor is made or enters."""
        position = self.graph.producer.get(tensor)
        return self.inputs[tensor] if position is None else self.nodes[position]

    def bit(self, tensor: str, target: str) -> int:
        """The bit of a crossing, or 0 if the tensor is at home on the target."""
        if self.origin(tensor) == target:
            return 0
        return 1 << self.crossings.setdefault(_Crossing(tensor, target), len(self.crossings))

    def _forwards(self) -> None:
        producer = self.graph.producer
        for position, operator in enumerate(self.graph.operators):
            behind = 0
            for name in operator.inputs:
                behind |= self.bit(name, self.nodes[position])
                if name in producer:
                    behind |= self.behind[producer[name]]
            self.behind[position] = behind

    def _backwards(self, outputs: Mapping[str, str]) -> None:
        readers, operators = self.graph.readers, self.graph.operators
        for position in range(len(operators) - 1, -1, -1):
            ahead = 0
            for name in operators[position].outputs:
                for reader in readers[name]:
                    ahead |= self.bit(name, self.nodes[reader]) | self.ahead[reader]
                if name in outputs:
                    ahead |= self.bit(name, outputs[name])
            self.ahead[position] = ahead
        for name, node in outputs.items():
            self.bit(name, node)  # an input that is handed on as an output crosses too


def _segments(
    graph: Graph, entry: Entry, nodes: list[str], flow: _Flow, borders: Sequence[int]
) -> tuple[list[Segment], list[str]]:
    groups: dict[tuple[str, int, int, int], list[int]] = {}
    for position, node in enumerate(nodes):
        # How many borders lie before an operator only grows along an edge, like the crossings behind it.
        key = (node, flow.behind[position], flow.ahead[position], bisect_right(borders, position))
        groups.setdefault(key, []).append(position)
    home = [""] * len(nodes)
    segments = []
    for number, (key, positions) in enumerate(groups.items()):
        node, identity = key[0], f"{entry.task}/{number:03d}@{key[0]}"
        for position in positions:
            home[position] = identity
        names = tuple(graph.operators[position].name for position in positions)
        priority = min(entry.order.get(name, 0) for name in names)
        segments.append(Segment(id=identity, node=node, operators=names, inputs=(), outputs=(), priority=priority))
    return segments, home


def _transfers(graph: Graph, entry: Entry, cluster: Cluster, flow: _Flow, home: list[str]) -> dict[_Crossing, Transfer]:
    codecs = {_Crossing(crossing.tensor, crossing.target): crossing.codec for crossing in entry.codecs}
    unknown = sorted(codecs.keys() - flow.crossings.keys())
    if unknown:
        tensor, target = unknown[0]
        raise PlanError(f"a codec is for a tensor that crosses, and {tensor!r} does not cross to {target!r}; remove it")
    transfers = {}
    for crossing in sorted(flow.crossings, key=lambda key: _position(graph, key)):
        tensor, target = crossing
        position = graph.producer.get(tensor)
        nbytes = graph.tensor[tensor].nbytes
        transfers[crossing] = Transfer(
            id=f"{entry.task}/{tensor}>{target}",
            tensor=tensor,
            source=INPUT if position is None else home[position],
            path=cluster.path(flow.origin(tensor), target, nbytes),
            nbytes=nbytes,
            codec=codecs.get(crossing, "raw"),
            priority=0 if position is None else entry.order.get(graph.operators[position].name, 0),
        )
    return transfers


def _position(graph: Graph, crossing: _Crossing) -> tuple[int, str, str]:
    return (graph.producer.get(crossing.tensor, -1), *crossing)


def _delivered(tensor: str, node: str, flow: _Flow, home: list[str], transfers: Mapping[_Crossing, Transfer]) -> str:
    """The id of what brings a tensor to a node."""
    crossing = _Crossing(tensor, node)
    if crossing in transfers:
        return transfers[crossing].id
    position = flow.graph.producer.get(tensor)
    return INPUT if position is None else home[position]


def _with_ports(
    segment: Segment, graph: Graph, flow: _Flow, home: list[str], transfers: Mapping[_Crossing, Transfer]
) -> Segment:
    inside = set(segment.operators)
    wanted: dict[str, None] = {}
    leaving: list[str] = []
    for name in segment.operators:
        operator = graph.operator[name]
        for tensor in operator.inputs:
            position = graph.producer.get(tensor)
            if position is None or graph.operators[position].name not in inside:
                wanted[tensor] = None
        leaving += [tensor for tensor in operator.outputs if _leaves(tensor, segment, graph, home)]
    ports = tuple(
        Port(tensor=tensor, sources=(_delivered(tensor, segment.node, flow, home, transfers),)) for tensor in wanted
    )
    return segment.replace(inputs=ports, outputs=tuple(leaving))


def _leaves(tensor: str, segment: Segment, graph: Graph, home: list[str]) -> bool:
    return tensor in graph.outputs or any(home[reader] != segment.id for reader in graph.readers[tensor])


def _infos(graph: Graph, segments: list[Segment], outputs: Mapping[str, str]) -> tuple[TensorInfo, ...]:
    """Every tensor that one segment makes and another reads, and those that enter and leave."""
    home = {name: segment.id for segment in segments for name in segment.operators}
    names = {tensor.name for tensor in graph.inputs} | set(outputs)
    for operator in graph.operators:
        for tensor in operator.inputs:
            position = graph.producer.get(tensor)
            if position is not None and home[graph.operators[position].name] != home[operator.name]:
                names.add(tensor)
    tensors = (graph.tensor[name] for name in sorted(names))
    return tuple(TensorInfo(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape) for tensor in tensors)
