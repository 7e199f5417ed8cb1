"""Programs made from plans: complete, acyclic, convex, and hardly slower than operator by operator."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest
from graphs import graph_of, link, mesh, node, operator, problem_of, profile_of, random_graph, random_places, zoo_model

from hocket.cluster import Cluster
from hocket.cost import Durations, Job, durations, timeline
from hocket.errors import ClusterError, PlanError
from hocket.graph import Graph
from hocket.plan import Copies, Crossing, Entry, Gate, Run
from hocket.plan.lower import lower
from hocket.plan.placement import entry_for
from hocket.program import INPUT, Binding, Port, Program, Segment, Transfer

NODES = ("a", "b", "c")
MODELS = ("toy_chain", "toy_dag", "mobilenet_v2", "googlenet", "inception_v3", "densenet121", "bert_base", "swin_t")


def trio(bytes_per_s: float = 1e8) -> Cluster:
    return mesh(*(node(name) for name in NODES), bytes_per_s=bytes_per_s)


def lowered(graph: Graph, places: list[str], cluster: Cluster, **options: object) -> Program:
    ends = {tensor.name: "a" for tensor in graph.inputs}, dict.fromkeys(graph.outputs, "a")
    return lower(graph, entry_for("t", graph, places).replace(**options), cluster, *ends)


def reached(starts: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
    found, queue = set(starts), list(starts)
    while queue:
        for following in edges.get(queue.pop(), ()):
            if following not in found:
                found.add(following)
                queue.append(following)
    return found


def check_program(graph: Graph, places: list[str], program: Program) -> None:
    """Everything that the runtime relies on."""
    home = {name: segment for segment in program.segments for name in segment.operators}
    assert Counter(name for segment in program.segments for name in segment.operators) == Counter(graph.operator.keys())
    for row, place in zip(graph.operators, places, strict=True):
        assert home[row.name].node == place
    senders = {segment.id: segment.node for segment in program.segments}
    transfers = {transfer.id: transfer for transfer in program.transfers}
    entering = {binding.tensor: binding.node for binding in program.inputs}
    made = {tensor: segment.id for segment in program.segments for tensor in segment.outputs}
    assert len(transfers) == len(program.transfers)
    assert len({(t.tensor, t.path[-1]) for t in program.transfers}) == len(program.transfers), "sent once per target"
    for transfer in program.transfers:
        start = entering[transfer.tensor] if transfer.source == INPUT else senders[transfer.source]
        assert transfer.source == made.get(transfer.tensor, INPUT)
        assert transfer.path[0] == start != transfer.path[-1]
        assert transfer.nbytes == graph.tensor[transfer.tensor].nbytes
    edges: dict[str, set[str]] = {segment.id: set() for segment in program.segments}
    used: set[str] = set()
    for segment in program.segments:
        inside = set(segment.operators)
        wanted = {name for row in segment.operators for name in graph.operator[row].inputs}
        own = {name for row in segment.operators for name in graph.operator[row].outputs}
        assert {port.tensor for port in segment.inputs} == wanted - own
        assert len(segment.inputs) == len({port.tensor for port in segment.inputs})
        assert set(segment.outputs) <= own
        assert [graph.index[name] for name in segment.operators] == sorted(graph.index[name] for name in inside)
        for port in segment.inputs:
            (source,) = port.sources
            used.add(source)
            if source in transfers:
                assert transfers[source].path[-1] == segment.node
                source = transfers[source].source
            else:
                assert source == INPUT or senders[source] == segment.node
                assert source != INPUT or entering[port.tensor] == segment.node
            if source != INPUT:
                assert port.tensor in next(s for s in program.segments if s.id == source).outputs
                edges[source].add(segment.id)
    for binding in program.outputs:
        used.add(binding.source)
        if binding.source in transfers:
            assert transfers[binding.source].path[-1] == binding.node
    assert transfers.keys() <= used, "nothing is sent in vain"
    for segment_id, following in edges.items():
        assert segment_id not in reached(following, edges), "acyclic"
    check_convex(graph, home)
    listed = {info.name for info in program.tensors}
    assert listed >= {port.tensor for s in program.segments for port in s.inputs} | set(graph.outputs)


def check_convex(graph: Graph, home: Mapping[str, Segment]) -> None:
    """No path leaves a segment and comes back: what lies behind an operator outside never holds one inside."""
    left: dict[str, set[str]] = {}
    for row in graph.operators:
        behind: set[str] = set()
        for name in row.inputs:
            if name in graph.producer:
                before = graph.operators[graph.producer[name]].name
                behind |= left[before]
                if home[before].id != home[row.name].id:
                    behind.add(home[before].id)
        left[row.name] = behind
        assert home[row.name].id not in behind


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_in_random_places(seed: int) -> None:
    graph = random_graph(seed, 5 + seed, inputs=1 + seed % 2)
    places = random_places(seed, len(graph.operators), NODES, run=1 + seed % 4)
    check_program(graph, places, lowered(graph, places, trio()))


@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_zoo_in_random_places(name: str) -> None:
    graph = zoo_model(name).graph
    for seed, run in enumerate((3.0, 12.0)):
        places = random_places(seed, len(graph.operators), NODES, run=run)
        check_program(graph, places, lowered(graph, places, trio()))


@pytest.mark.parametrize("seed", range(20))
def test_segments_may_be_made_to_begin_anywhere(seed: int) -> None:
    graph = random_graph(seed, 20)
    places = random_places(seed, 20, NODES, run=6.0)
    ends = {"x0": "a"}, dict.fromkeys(graph.outputs, "a")
    borders = (3, 4, 11, 15)
    program = lower(graph, entry_for("t", graph, places), trio(), *ends, borders=borders)
    check_program(graph, places, program)
    for segment in program.segments:
        positions = [graph.index[name] for name in segment.operators]
        assert not any(positions[0] < border <= positions[-1] for border in borders)


@pytest.mark.parametrize("name", ["toy_dag", "inception_v3"])
def test_one_node_is_one_segment(name: str) -> None:
    graph = zoo_model(name).graph
    program = lowered(graph, ["a"] * len(graph.operators), trio())
    assert len(program.segments) == 1
    assert program.transfers == ()
    assert program.window == 2


def test_a_chain_becomes_one_segment_per_stay() -> None:
    graph = graph_of(*(operator(f"t{i}", f"t{i - 1}" if i else "x") for i in range(6)))
    program = lowered(graph, ["a", "a", "b", "b", "a", "a"], trio())
    assert [(s.node, s.operators) for s in program.segments] == [
        ("a", ("t0", "t1")),
        ("b", ("t2", "t3")),
        ("a", ("t4", "t5")),
    ]
    assert [(t.tensor, t.path) for t in program.transfers] == [("t1", ("a", "b")), ("t3", ("b", "a"))]


def test_an_export_does_not_wait_for_a_branch_that_stays() -> None:
    graph = graph_of(operator("u", "x"), operator("stays", "u"), operator("goes", "u"), operator("v", "stays", "goes"))
    program = lowered(graph, ["a", "a", "b", "a"], trio())
    assert [segment.operators for segment in program.segments] == [("u",), ("stays",), ("goes",), ("v",)]


def test_a_tensor_with_two_readers_on_one_node_is_sent_once() -> None:
    graph = graph_of(operator("u", "x"), operator("p", "u"), operator("q", "u"), operator("v", "p", "q"))
    program = lowered(graph, ["a", "b", "b", "b"], trio())
    assert [(t.tensor, t.path) for t in program.transfers] == [("u", ("a", "b")), ("v", ("b", "a"))]


def test_an_input_that_is_an_output_too_is_handed_on() -> None:
    graph = graph_of(operator("u", "x"), outputs=("u", "x"))
    program = lower(graph, entry_for("t", graph, ["a"]), trio(), {"x": "a"}, {"u": "b", "x": "b"})
    assert program.outputs == (
        Binding(tensor="u", node="b", source="t/u>b"),
        Binding(tensor="x", node="b", source="t/x>b"),
    )


def test_without_a_direct_link_data_are_routed() -> None:
    cluster = Cluster(name="line", nodes=tuple(node(n) for n in NODES), links=(link("a", "b"), link("b", "c")))
    graph = graph_of(operator("u", "x"), operator("v", "u"))
    program = lowered(graph, ["a", "c"], cluster)
    assert [(t.tensor, t.path) for t in program.transfers] == [("u", ("a", "b", "c")), ("v", ("c", "b", "a"))]
    assert program.nodes() == ("a", "b", "c")


def test_codecs_and_priorities_are_carried_over() -> None:
    graph = graph_of(operator("u", "x"), operator("v", "u"))
    codec = Crossing(tensor="u", target="b", codec="int8")
    program = lowered(graph, ["a", "b"], trio(), codecs=(codec,), order={"u": -3, "v": 5})
    assert [(t.tensor, t.codec, t.priority) for t in program.transfers] == [("u", "int8", -3), ("v", "raw", 5)]
    assert [segment.priority for segment in program.segments] == [-3, 5]


def small() -> Graph:
    return graph_of(operator("u", "x"), operator("v", "u"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"where": (Run(operators="u..v", on=Copies(nodes=("a", "b"), mode="deal")),)},
            "copies that are dealt out are entries of their own, and 'u..v' has some inside one; write an entry for"
            " each node",
        ),
        (
            {"where": (Run(operators="u..v", on=Copies(nodes=("c", "c"))),)},
            "C1: copies are on different nodes, and 'u..v' has two on one; name each node once",
        ),
        (
            {"gates": (Gate(exit="u", threshold=0.5),)},
            "this version does not execute gates, and the entry of 't' has some; remove them",
        ),
        ({"slices": (1,)}, "this version does not execute slices, and the entry of 't' has some; remove them"),
        (
            {"codecs": (Crossing(tensor="u", target="c", codec="int8"),)},
            "a codec is for a tensor that crosses, and 'u' does not cross to 'c'; remove it",
        ),
    ],
)
def test_what_cannot_be_executed_is_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(PlanError) as caught:
        lowered(small(), ["a", "b"], trio(), **options)
    assert str(caught.value) == sentence


def test_an_unknown_node_is_refused() -> None:
    with pytest.raises(ClusterError) as caught:
        lowered(small(), ["a", "zz"], trio())
    assert str(caught.value) == "cluster 'mesh' has no node 'zz'; use one of a, b, c"


def test_an_unreachable_node_is_refused() -> None:
    island = Cluster(name="apart", nodes=tuple(node(n) for n in NODES), links=(link("a", "b"),))
    with pytest.raises(ClusterError) as caught:
        lowered(small(), ["a", "c"], island)
    assert str(caught.value) == "node 'c' is unreachable from 'a'; add a link between them or over a third node"


def operator_by_operator(graph: Graph, places: list[str], cluster: Cluster) -> Program:
    """Every operator a segment of its own: the timeline with nothing lost to segments."""
    home = {name: (row.name, place) for row, place in zip(graph.operators, places, strict=True) for name in row.outputs}
    origin = {tensor.name: (INPUT, "a") for tensor in graph.inputs} | home
    transfers: dict[str, Transfer] = {}

    def source(tensor: str, target: str) -> str:
        maker, start = origin[tensor]
        if start == target:
            return maker
        name = f"{tensor}>{target}"
        nbytes = graph.tensor[tensor].nbytes
        path = cluster.path(start, target, nbytes)
        transfers[name] = Transfer(id=name, tensor=tensor, source=maker, path=path, nbytes=nbytes)
        return name

    segments = tuple(
        Segment(
            id=row.name,
            node=place,
            operators=(row.name,),
            inputs=tuple(Port(tensor=name, sources=(source(name, place),)) for name in row.inputs),
            outputs=row.outputs,
        )
        for row, place in zip(graph.operators, places, strict=True)
    )
    outputs = tuple(Binding(tensor=name, node="a", source=source(name, "a")) for name in graph.outputs)
    sites, wires, resources = cluster.to_program()
    inputs = tuple(Binding(tensor=tensor.name, node="a") for tensor in graph.inputs)
    return Program(
        name="t", sites=sites, wires=wires, resources=resources, tensors=(), segments=segments,
        transfers=tuple(transfers.values()), inputs=inputs, outputs=outputs,
    )  # fmt: skip


def latency_s(program: Program, seconds: Durations) -> float:
    (request,) = (span for span in timeline([Job(program, seconds)]) if span.kind == "request")
    return request.stop_s


def test_segments_cost_little_against_operator_by_operator() -> None:
    ratios = []
    for seed in range(300):
        graph = random_graph(seed, 8 + seed % 25)
        cluster = trio(bytes_per_s=(1e6, 1e7, 1e8)[seed % 3])
        places = random_places(seed, len(graph.operators), NODES, run=1 + seed % 5)
        times = {name: {row.name: row.flops / 1e9 for row in graph.operators} for name in NODES}
        problem = problem_of(graph, cluster, profile_of(graph, times))
        program = lowered(graph, places, cluster)
        whole = latency_s(program, durations(problem, problem.task, program))
        single = Durations(segments={row.name: times["a"][row.name] for row in graph.operators})
        ratios.append(whole / latency_s(operator_by_operator(graph, places, cluster), single))
    print(f"segments / operators: median {statistics.median(ratios):.3f}, most {max(ratios):.3f}")
    assert max(ratios) <= 1.3
    assert statistics.median(ratios) <= 1.01


def test_the_entry_is_not_changed_by_lowering() -> None:
    entry = entry_for("t", small(), ["a", "b"])
    before = entry.replace()
    lower(small(), entry, trio(), {"x": "a"}, {"v": "a"})
    assert entry == before
    assert isinstance(entry, Entry)
