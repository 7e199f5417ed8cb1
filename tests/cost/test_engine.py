"""Timelines worked out by hand."""

import math

import pytest
from graphs import graph_of, link, mesh, node, operator, problem_of, profile_of

from hocket.cluster import Cluster, Direction, Link, Medium, Node, RateTrace
from hocket.cost import Durations, Job, durations, evaluate, timeline
from hocket.graph import Graph
from hocket.plan import Crossing
from hocket.plan.lower import lower
from hocket.plan.placement import entry_for, plan_for
from hocket.profile import CodecCost
from hocket.program import Program, Resource, Span
from hocket.program.sending import finish_s

Rows = list[tuple[str, str, float, float]]


def run(
    graph: Graph,
    places: list[str],
    cluster: Cluster,
    seconds: dict[str, float],
    *,
    arrivals_s: tuple[float, ...] = (0.0,),
    encode: dict[str, float] | None = None,
    decode: dict[str, float] | None = None,
    wire_bytes: dict[str, float] | None = None,
    **options: object,
) -> list[Span]:
    """The timeline when each operator takes the same time everywhere."""
    ends = {tensor.name: cluster.source for tensor in graph.inputs}, dict.fromkeys(graph.outputs, cluster.source)
    program = lower(graph, entry_for("t", graph, places).replace(**options), cluster, *ends)
    of_segments = {segment.id: sum(seconds[name] for name in segment.operators) for segment in program.segments}
    times = Durations(segments=of_segments, encode=encode or {}, decode=decode or {}, wire_bytes=wire_bytes or {})
    return timeline([Job(program, times, arrivals_s)])


def rows(spans: list[Span], kind: str) -> Rows:
    """(name, node, start, stop) of one kind, in order of starting; a segment is told by its node."""
    found = [(s.id.partition("/")[2], s.node, s.start_s, s.stop_s) for s in spans if s.kind == kind]
    return sorted(found, key=lambda row: row[2])


def stops(spans: list[Span]) -> list[float]:
    return [s.stop_s for s in sorted(spans, key=lambda s: s.request) if s.kind == "request"]


def chain(length: int) -> Graph:
    return graph_of(*(operator(f"t{i}", f"t{i - 1}" if i else "x") for i in range(length)))


def pair(bytes_per_s: float | None = 1e3, latency_s: float = 0.0) -> Cluster:
    """1000 bytes take one second."""
    return mesh(node("a"), node("b"), bytes_per_s=bytes_per_s, latency_s=latency_s)


def test_there_and_back() -> None:
    spans = run(chain(3), ["a", "b", "a"], pair(latency_s=0.25), {"t0": 1.0, "t1": 2.0, "t2": 3.0})
    assert rows(spans, "compute") == [("000@a", "a", 0.0, 1.0), ("001@b", "b", 2.25, 4.25), ("002@a", "a", 5.5, 8.5)]
    assert rows(spans, "transfer") == [("t0>b", "a", 1.0, 2.25), ("t1>a", "b", 4.25, 5.5)]
    assert stops(spans) == [8.5]


def test_the_input_travels_and_the_answer_returns() -> None:
    spans = run(chain(1), ["b"], pair(), {"t0": 2.0})
    assert rows(spans, "transfer") == [("x>b", "a", 0.0, 1.0), ("t0>a", "b", 3.0, 4.0)]
    assert stops(spans) == [4.0]


def test_two_branches_overlap() -> None:
    graph = graph_of(operator("u", "x"), operator("p", "u"), operator("q", "u"), operator("v", "p", "q"))
    spans = run(graph, ["a", "a", "b", "a"], pair(), {"u": 1.0, "p": 4.0, "q": 1.0, "v": 1.0})
    assert rows(spans, "compute") == [
        ("000@a", "a", 0.0, 1.0), ("001@a", "a", 1.0, 5.0), ("002@b", "b", 2.0, 3.0), ("003@a", "a", 5.0, 6.0),
    ]  # fmt: skip
    assert rows(spans, "transfer") == [("u>b", "a", 1.0, 2.0), ("q>a", "b", 3.0, 4.0)]


def twins() -> Graph:
    """One operator that makes two answers at once."""
    return graph_of(operator("p", "x", more=("q",)), outputs=("p", "q"))


def test_operators_with_nothing_between_them_are_one_call() -> None:
    times = {"p": 1.0, "q": 2.0, "r": 4.0}
    graph = graph_of(*(operator(name, f"x{name}") for name in "pqr"), inputs=("xp", "xq", "xr"), outputs=tuple("pqr"))
    spans = run(graph, ["a", "b", "a"], pair(), times, order={"r": -1})
    on_a = [(name, start, stop) for name, where, start, stop in rows(spans, "compute") if where == "a"]
    # p and r feed no crossing and depend on none, so they are one segment.
    assert on_a == [("000@a", 0.0, 5.0)]


def test_ready_segments_wait_for_the_node_and_the_least_priority_goes_first() -> None:
    graph = graph_of(operator("u", "x"), operator("p", "u"), operator("q", "u"), outputs=("p", "q"))
    cluster = mesh(node("a"), node("b"), node("c"), bytes_per_s=1e3)
    # p goes to b and q to c from where both came to a: two segments, both ready at 1.0.
    ends = {"x": "a"}, {"p": "b", "q": "c"}
    for order, first in (({}, "001@a"), ({"q": -1}, "002@a")):
        program = lower(graph, entry_for("t", graph, ["a"] * 3).replace(order=order), cluster, *ends)
        times = Durations(segments=dict.fromkeys([s.id for s in program.segments], 1.0))
        found = rows(timeline([Job(program, times)]), "compute")
        assert [row[0] for row in found][:2] == ["000@a", first]
        assert [row[2] for row in found] == [0.0, 1.0, 2.0]


def test_transfers_on_one_link_queue() -> None:
    spans = run(twins(), ["b"], pair(), {"p": 2.0})
    assert rows(spans, "transfer") == [("x>b", "a", 0.0, 1.0), ("p>a", "b", 3.0, 4.0), ("q>a", "b", 4.0, 5.0)]
    assert stops(spans) == [5.0]


def test_the_latency_holds_no_link() -> None:
    spans = run(twins(), ["b"], pair(latency_s=10.0), {"p": 2.0})
    assert [row[2:] for row in rows(spans, "transfer")] == [(0.0, 11.0), (13.0, 24.0), (14.0, 25.0)]


def test_links_are_full_duplex() -> None:
    graph = graph_of(operator("p", "x"), operator("q", "y"), inputs=("x", "y"), outputs=("p", "q"))
    program = lower(graph, entry_for("t", graph, ["b", "a"]), pair(), {"x": "a", "y": "b"}, {"p": "b", "q": "a"})
    spans = timeline([Job(program, Durations(segments=dict.fromkeys([s.id for s in program.segments], 1.0)))])
    assert rows(spans, "transfer") == [("x>b", "a", 0.0, 1.0), ("y>a", "b", 0.0, 1.0)]


def test_a_shared_medium_carries_one_transfer_at_a_time() -> None:
    wifi = Medium(name="wifi", bytes_per_s=1e3)
    free = Direction()
    links = tuple(Link(between=("a", other), up=free, down=free, media=("wifi",)) for other in ("b", "c"))
    cluster = Cluster(name="w", nodes=(node("a"), node("b"), node("c")), links=links, media=(wifi,))
    graph = graph_of(operator("p", "x"), operator("q", "x"), outputs=("p", "q"))
    spans = run(graph, ["b", "c"], cluster, {"p": 5.0, "q": 5.0})
    assert rows(spans, "transfer")[:2] == [("x>b", "a", 0.0, 1.0), ("x>c", "a", 1.0, 2.0)]
    own = cluster.replace(links=tuple(link.replace(media=(), up=Direction(bytes_per_s=1e3)) for link in links))
    assert [row[2:] for row in rows(run(graph, ["b", "c"], own, {"p": 5.0, "q": 5.0}), "transfer")[:2]] == [
        (0, 1),
        (0, 1),
    ]


def test_a_port_is_shared_by_all_links_of_its_node() -> None:
    nodes = (node("a", port_up_bytes_per_s=500.0), node("b"), node("c"))
    graph = graph_of(operator("p", "x"), operator("q", "x"), outputs=("p", "q"))
    spans = run(graph, ["b", "c"], mesh(*nodes, bytes_per_s=1e3), {"p": 5.0, "q": 5.0})
    assert rows(spans, "transfer")[:2] == [("x>b", "a", 0.0, 2.0), ("x>c", "a", 2.0, 4.0)]


def test_relays_store_and_forward() -> None:
    cluster = Cluster(
        name="line", nodes=(node("a"), node("b"), node("c")), links=(link("a", "b", 1e3, 0.5), link("b", "c", 500.0))
    )
    spans = run(chain(1), ["c"], cluster, {"t0": 1.0})
    assert rows(spans, "transfer") == [
        ("x>c", "a", 0.0, 1.5), ("x>c", "b", 1.5, 3.5), ("t0>a", "c", 4.5, 6.5), ("t0>a", "b", 6.5, 8.0),
    ]  # fmt: skip


def test_codecs_take_the_nodes_and_shrink_what_is_sent() -> None:
    codec = Crossing(tensor="t0", target="b", codec="int8")
    spans = run(
        chain(2), ["a", "b"], pair(), {"t0": 1.0, "t1": 1.0}, codecs=(codec,),
        encode={"t/t0>b": 0.5}, decode={"t/t0>b": 0.25}, wire_bytes={"t/t0>b": 250.0},
    )  # fmt: skip
    assert rows(spans, "encode") == [("t0>b", "a", 1.0, 1.5)]
    assert rows(spans, "transfer")[0] == ("t0>b", "a", 1.5, 1.75)
    assert rows(spans, "decode") == [("t0>b", "b", 1.75, 2.0)]
    assert stops(spans) == [4.0]
    assert [span.nbytes for span in spans if span.kind == "transfer"] == [250, 1000]


def test_requests_are_pipelined() -> None:
    spans = run(chain(2), ["a", "b"], pair(None), {"t0": 1.0, "t1": 2.0}, arrivals_s=(0.0, 0.0, 0.0))
    on_b = [(span.request, span.start_s, span.stop_s) for span in spans if span.kind == "compute" and span.node == "b"]
    assert on_b == [(0, 1.0, 3.0), (1, 3.0, 5.0), (2, 5.0, 7.0)]
    assert stops(spans) == [3.0, 5.0, 7.0]


def test_an_earlier_request_goes_first_even_if_it_is_ready_later() -> None:
    spans = run(chain(3), ["a", "b", "a"], pair(None), {"t0": 1.0, "t1": 0.5, "t2": 1.0}, arrivals_s=(0.0, 0.0, 0.0))
    on_a = [(s.request, s.id[-5:], s.start_s) for s in spans if s.kind == "compute" and s.node == "a"]
    # At 2.0 both the end of request 0 and the start of request 2 are ready.
    assert on_a[:4] == [(0, "000@a", 0.0), (1, "000@a", 1.0), (0, "002@a", 2.0), (1, "002@a", 3.0)]


@pytest.mark.parametrize("window", range(1, 9))
def test_data_that_go_and_return_never_deadlock(window: int) -> None:
    arrivals = tuple(0.1 * i for i in range(200))
    spans = run(
        chain(5),
        ["a", "b", "a", "b", "a"],
        pair(1e6),
        dict.fromkeys(chain(5).index, 0.01 * window),
        arrivals_s=arrivals,
    )
    assert len(stops(spans)) == 200


def test_jobs_share_nodes_and_links() -> None:
    def job(name: str) -> Job:
        program = lower(chain(1), entry_for(name, chain(1), ["b"]), pair(), {"x": "a"}, {"t0": "a"})
        return Job(program, Durations(segments={segment.id: 3.0 for segment in program.segments}))

    spans = timeline([job("s"), job("t")])
    computes = sorted((s.start_s, s.stop_s) for s in spans if s.kind == "compute")
    assert computes == [(1.0, 4.0), (4.0, 7.0)]
    assert sorted(s.stop_s for s in spans if s.kind == "request") == [5.0, 8.0]


def resource(*steps: tuple[float, float], length_s: float | None = None) -> Resource:
    return Resource(name="r", trace=steps, trace_s=length_s)


@pytest.mark.parametrize(
    ("resources", "start_s", "nbytes", "seconds"),
    [
        ([], 0.0, 100.0, 0.0),
        ([Resource(name="r")], 0.0, 100.0, 0.0),
        ([Resource(name="r", bytes_per_s=50.0)], 3.0, 100.0, 2.0),
        ([Resource(name="r", bytes_per_s=50.0), Resource(name="s", bytes_per_s=20.0)], 0.0, 100.0, 5.0),
        ([resource((0.0, 100.0), (1.0, 50.0))], 0.0, 150.0, 2.0),
        ([resource((0.0, 100.0), (1.0, 0.0), (5.0, 100.0))], 0.0, 150.0, 5.5),
        ([resource((0.0, 100.0), (1.0, 0.0), (5.0, 100.0))], 2.0, 100.0, 4.0),
        ([resource((0.0, 100.0), (1.0, 0.0), length_s=2.0)], 0.0, 250.0, 4.5),
        ([resource((0.0, 100.0), (1.0, 0.0), length_s=2.0)], 7.5, 100.0, 1.5),
        ([resource((0.0, 100.0), (1.0, 0.0))], 0.0, 100.0, 1.0),
        ([resource((0.0, 100.0), (1.0, 0.0))], 0.5, 100.0, math.inf),
        ([resource((0.0, 100.0), (1.0, 10.0)), Resource(name="s", bytes_per_s=50.0)], 0.0, 60.0, 2.0),
        ([resource((0.0, 100.0), (1.0, 10.0)), resource((0.0, 0.0), (0.5, 100.0))], 0.0, 60.0, 2.0),
        ([resource((0.0, 100.0))], 0.0, 0.0, 0.0),
    ],
)  # fmt: skip
def test_sending_over_rates_that_change(
    resources: list[Resource], start_s: float, nbytes: float, seconds: float
) -> None:
    assert finish_s(resources, start_s, nbytes) - start_s == pytest.approx(seconds)


def traced(*steps: tuple[float, float]) -> Cluster:
    trace = Direction(trace=RateTrace(steps=steps))
    link_ = Link(between=("a", "b"), up=trace, down=Direction(bytes_per_s=1e3))
    return Cluster(name="t", nodes=(node("a"), node("b")), links=(link_,))


def test_a_transfer_waits_while_the_rate_is_zero() -> None:
    spans = run(chain(1), ["b"], traced((0.0, 1e3), (0.5, 0.0), (2.0, 1e3)), {"t0": 1.0})
    assert rows(spans, "transfer")[0] == ("x>b", "a", 0.0, 2.5)
    assert stops(spans) == [4.5]


def test_a_link_that_stays_at_zero_never_answers() -> None:
    cluster = traced((0.0, 1e3), (0.5, 0.0))
    assert stops(run(chain(1), ["b"], cluster, {"t0": 1.0})) == []
    problem = problem_of(chain(1), cluster, profile_of(chain(1), {"a": {"t0": 1.0}, "b": {"t0": 1.0}}))
    assert evaluate(problem, plan_for("task", chain(1), ["b"])).latency_s == math.inf
    assert evaluate(problem, plan_for("task", chain(1), ["a"])).latency_s == 1.0


def three() -> tuple[Node, Node, Node]:
    return node("a"), node("b"), node("c")


@pytest.mark.parametrize("places", [["a", "a", "b", "c", "a"], ["b", "a", "b", "a", "b"], ["c"] * 5])
def test_a_chain_takes_its_sum_plus_its_calls(places: list[str]) -> None:
    graph, cluster = chain(5), mesh(*three(), bytes_per_s=1e3, latency_s=0.125)
    times = {
        name: {f"t{i}": factor * (i + 1) for i in range(5)}
        for name, factor in zip("abc", (1.0, 0.5, 0.25), strict=True)
    }
    problem = problem_of(graph, cluster, profile_of(graph, times, call_s=0.0625))
    cost = evaluate(problem, plan_for("task", graph, places), trace=True)
    assert cost.trace is not None
    calls = sum(span.kind == "compute" for span in cost.trace.spans)
    assert cost.latency_s == pytest.approx(cost.sequential_s + 0.0625 * calls)
    hops = sum(1.125 for span in cost.trace.spans if span.kind == "transfer")
    computing = sum(times[place][f"t{i}"] for i, place in enumerate(places))
    assert cost.sequential_s == pytest.approx(computing + hops)


def test_durations_come_from_the_profile() -> None:
    graph = chain(2)
    codecs = {"int8": CodecCost(ratio=0.3, encode_s_per_byte=1e-3, decode_s_per_byte=2e-3)}
    profile = profile_of(graph, {"a": {"t0": 1.0, "t1": 1.0}, "b": {"t0": 2.0, "t1": 2.0}}, call_s=0.5, codecs=codecs)
    problem = problem_of(graph, pair(), profile, margin=0.5)
    program: Program = lower(
        graph, entry_for("task", graph, ["a", "b"]).replace(codecs=(Crossing(tensor="t0", target="b", codec="int8"),)),
        pair(), {"x": "a"}, {"t1": "a"},
    )  # fmt: skip
    found = durations(problem, problem.task, program)
    assert found.segments == {"task/000@a": 2.25, "task/001@b": 3.75}
    assert found.encode == {"task/t0>b": pytest.approx(1.5)}
    assert found.decode["task/t0>b"] == pytest.approx(3.0)
    assert found.wire_bytes == {"task/t0>b": pytest.approx(300.0), "task/t1>a": 1000.0}
