"""Whole programs over in-process nodes: threads instead of processes, everything else as in service."""

import threading
import time
from collections.abc import Mapping

import numpy as np
import pytest
import tiny
from onnx import TensorProto, helper

from hocket.errors import FormatError, LateError, NodeError, PlanError
from hocket.program import INPUT, Artifact, Binding, Program, Resource, TensorInfo, Wire, tensor_hash
from hocket.runtime.inproc import Network
from hocket.runtime.session import Session

X = {"x": np.zeros(tiny.SHAPE, np.float32)}


def opened(program: Program, artifacts: list[Artifact], **options: object) -> Session:
    return Session(program, artifacts, tiny.no_weights, network=Network(), **{"timeout_s": 10.0, **options})


def held(session: Session) -> int:
    """Requests that some node still holds something of, once the news of the last answer has gone round."""
    return sum(counters["pending"] for counters in session.counters().values())


@pytest.mark.parametrize("window", range(1, 9))
def test_there_and_back_never_deadlocks_and_keeps_the_order(window: int) -> None:
    program, artifacts = tiny.there_and_back(window)
    requests = ({"x": np.full(tiny.SHAPE, i, np.float32)} for i in range(600))
    with opened(program, artifacts) as session:
        firsts = [float(answer.outputs["y"][0, 0]) for answer in session.stream(requests)]
        assert firsts == [i + 111 for i in range(600)]
        assert held(session) == 0
        counters = session.counters()
        assert all(node["late"] == node["repeated"] == node["malformed"] == 0 for node in counters.values())


def test_an_answer_says_how_long_it_took() -> None:
    with opened(*tiny.there_and_back()) as session:
        answer = session.run(X)
        assert 0 < answer.latency_s <= answer.round_trip_s < 10


def test_the_trace_is_on_one_clock_and_in_order() -> None:
    with opened(*tiny.there_and_back(codec="int8+zlib")) as session:
        for _ in range(3):
            session.run(X)
        trace = session.trace()
        assert session.trace() == trace
    assert trace.judge == "measured" and len(trace.latencies_s()) == 3
    spans = [span for span in trace.spans if span.request == 1]
    kinds = [(span.kind, span.id, span.node, span.target) for span in sorted(spans, key=lambda span: span.stop_s)]
    assert kinds[:5] == [
        ("compute", "s0", "a", ""),
        ("encode", "t0", "a", ""),
        ("transfer", "t0", "a", "b"),
        ("decode", "t0", "b", ""),
        ("compute", "s1", "b", ""),
    ]
    request = next(span for span in spans if span.kind == "request")
    assert all(request.start_s <= span.start_s <= span.stop_s <= request.stop_s for span in spans)


def test_a_tensor_larger_than_a_buffer_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hocket.runtime.tensors._MOST_BUFFER_BYTES", 1000)
    shape = (30, 40)
    with opened(*tiny.there_and_back(shape=shape)) as session:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(session.run({"x": x}).outputs["y"], x + 111, rtol=1e-5)


def fork(take: str = "all") -> tuple[Program, list[Artifact]]:
    """x goes from a to b and c in halves, is added to there, and is joined on a."""
    halves = {"b": ((0, 1), (0, 2)), "c": ((0, 1), (2, 4))}
    segments, transfers, artifacts = [], [], []
    for node, region in halves.items():
        transfers += [
            tiny.transfer(f"to_{node}", "x", INPUT, "a", node, nbytes=8, region=region),
            tiny.transfer(f"from_{node}", "u", f"s_{node}", node, "a", nbytes=8, region=region),
        ]
        port = tiny.port("x", f"to_{node}", region=region)
        segments.append(tiny.segment(f"s_{node}", node, [port], ["u"], output_regions=(region,)))
        artifacts.append(tiny.add(f"s_{node}", "x", "u", 1.0 if node == "b" else 2.0, (1, 2)))
    options = {"deadline_s": 0.05} if take == "deadline" else {}
    segments.append(tiny.segment("join", "a", [tiny.port("u", "from_b", "from_c", take=take, **options)], ["y"]))
    artifacts.append(tiny.add("join", "u", "y", 10.0))
    outputs = [Binding(tensor="y", node="a", source="join")]
    return tiny.program("abc", segments, transfers, tiny.infos("x", "u", "y"), outputs, window=4), artifacts


def test_a_tensor_is_divided_over_nodes_and_joined() -> None:
    with opened(*fork()) as session:
        for answer in session.stream([X] * 200):
            np.testing.assert_array_equal(answer.outputs["y"], [[11, 11, 12, 12]])
        assert held(session) == 0


def test_nodes_between_store_and_forward() -> None:
    segments = [
        tiny.segment("s0", "a", [tiny.port("x", INPUT)], ["u"]),
        tiny.segment("s1", "c", [tiny.port("u", "t0")], ["y"]),
    ]
    transfers = [
        tiny.transfer("t0", "u", "s0", "a", "b", "c", codec="float16"),
        tiny.transfer("t1", "y", "s1", "c", "b", "a"),
    ]
    artifacts = [tiny.add("s0", "x", "u", 1), tiny.add("s1", "u", "y", 2)]
    outputs = [Binding(tensor="y", node="a", source="t1")]
    program = tiny.program("abc", segments, transfers, tiny.infos("x", "u", "y"), outputs, window=3)
    with opened(program, artifacts) as session:
        for answer in session.stream([X] * 100):
            np.testing.assert_array_equal(answer.outputs["y"], np.full((1, 4), 3))
        hops = [
            (span.node, span.target) for span in session.trace().spans if span.kind == "transfer" and span.request == 5
        ]
        assert hops == [("a", "b"), ("b", "c"), ("c", "b"), ("b", "a")]
        assert held(session) == 0


def racing() -> tuple[Program, list[Artifact]]:
    """b and c compute the same; a takes the first."""
    segments, transfers = [], []
    for node in "bc":
        transfers += [
            tiny.transfer(f"to_{node}", "x", INPUT, "a", node),
            tiny.transfer(f"from_{node}", "u", f"s_{node}", node, "a"),
        ]
        segments.append(tiny.segment(f"s_{node}", node, [tiny.port("x", f"to_{node}")], ["u"]))
    segments.append(tiny.segment("join", "a", [tiny.port("u", "from_b", "from_c", take="first")], ["y"]))
    artifacts = [tiny.add("s_b", "x", "u"), tiny.add("s_c", "x", "u"), tiny.add("join", "u", "y")]
    outputs = [Binding(tensor="y", node="a", source="join")]
    return tiny.program("abc", segments, transfers, tiny.infos("x", "u", "y"), outputs, window=4), artifacts


def test_replicas_race_and_nothing_of_the_loser_stays() -> None:
    with opened(*racing()) as session:
        answers = list(session.stream([X] * 300))
        assert all((answer.outputs["y"] == 2).all() for answer in answers)
        time.sleep(0.05)
        assert held(session) == 0


def early_exit() -> tuple[Program, list[Artifact]]:
    """a is sure where x is above 0: then its own answer counts, else b's."""
    greater = helper.make_node("Greater", ["x", "zero"], ["each"])
    cast = helper.make_node("Cast", ["each"], ["number"], to=TensorProto.INT32)
    least = helper.make_node("ReduceMin", ["number"], ["least"], keepdims=0)
    sure = helper.make_node("Cast", ["least"], ["sure"], to=TensorProto.BOOL)
    unsure = helper.make_node("Not", ["sure"], ["unsure"])
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])
    types = {"sure": TensorProto.BOOL, "unsure": TensorProto.BOOL}

    def gate(id: str, output: str, flag: str, amount: float) -> Artifact:
        constant = helper.make_tensor("amount", TensorProto.FLOAT, [], [amount])
        work = helper.make_node("Add", ["x", "amount"], [output])
        nodes = [greater, cast, least, sure] + ([unsure] if flag == "unsure" else []) + [work]
        outputs: Mapping[str, tuple[int, ...]] = {output: tiny.SHAPE, flag: ()}
        return tiny.artifact(
            id, tiny.model(nodes, {"x": tiny.SHAPE}, outputs, initializers=[zero, constant], types=types)
        )

    segments = [
        tiny.segment("exit", "a", [tiny.port("x", INPUT)], ["y"], gate="sure"),
        tiny.segment("on", "a", [tiny.port("x", INPUT)], ["u"], gate="unsure"),
        tiny.segment("rest", "b", [tiny.port("u", "t0")], ["v"]),
        tiny.segment("more", "b", [tiny.port("v", "rest")], ["y"]),
    ]
    transfers = [tiny.transfer("t0", "u", "on", "a", "b"), tiny.transfer("t1", "y", "more", "b", "a")]
    artifacts = [
        gate("exit", "y", "sure", 1),
        gate("on", "u", "unsure", 10),
        tiny.add("rest", "u", "v"),
        tiny.add("more", "v", "y"),
    ]
    outputs = [Binding(tensor="y", node="a", source="exit"), Binding(tensor="y", node="a", source="t1")]
    tensors = (*tiny.infos("x", "u", "v", "y"), *tiny.infos("sure", "unsure", shape=(), dtype="bool"))
    return tiny.program("ab", segments, transfers, tensors, outputs, window=4), artifacts


def test_a_closed_gate_sends_voids_and_the_exit_answers() -> None:
    values = [1.0, -1.0] * 50
    requests = [{"x": np.full(tiny.SHAPE, value, np.float32)} for value in values]
    with opened(*early_exit()) as session:
        got = [float(answer.outputs["y"][0, 0]) for answer in session.stream(requests)]
        assert got == [2.0 if value > 0 else 11.0 for value in values]
        assert held(session) == 0


def test_no_way_to_an_output_is_one_error() -> None:
    program, artifacts = early_exit()
    program = program.replace(outputs=program.outputs[:1])
    with opened(program, artifacts) as session, pytest.raises(NodeError, match=r"output 'y' of request 0 is void"):
        session.run({"x": np.full(tiny.SHAPE, -1, np.float32)})


def test_a_deadline_answers_without_what_is_late() -> None:
    program, artifacts = fork("deadline")
    slow = Wire(source="c", target="a", latency_s=0.3)
    with opened(program.replace(wires=(slow,)), artifacts) as session:
        np.testing.assert_array_equal(session.run(X).outputs["y"], [[11, 11, 10, 10]])
        time.sleep(0.4)
        np.testing.assert_array_equal(session.run(X).outputs["y"], [[11, 11, 10, 10]])
        assert held(session) == 0


def test_an_emulated_link_delays_as_computed() -> None:
    shape = (1, 12_500)  # 50 kB: 10 ms at 40 Mbit/s
    wires = [Wire(source=a, target=b, latency_s=0.003, resources=(f"{a}{b}",)) for a, b in ("ab", "ba")]
    resources = [Resource(name=name, bytes_per_s=5e6) for name in ("ab", "ba")]
    program, artifacts = tiny.there_and_back(shape=shape, wires=wires, resources=resources)
    x = {"x": np.zeros(shape, np.float32)}
    with opened(program, artifacts) as session:
        assert session.emulated
        latency_s = min(session.run(x).latency_s for _ in range(5))
    assert 0.026 <= latency_s < 0.2
    with opened(program, artifacts, emulate=False) as session:
        assert min(session.run(x).latency_s for _ in range(5)) < 0.02


def test_transfers_queue_on_a_shared_resource() -> None:
    program, artifacts = racing()
    wires = [Wire(source="a", target=node, resources=("air",)) for node in "bc"]
    program = program.replace(wires=tuple(wires), resources=(Resource(name="air", bytes_per_s=1600.0),))
    with opened(program, artifacts) as session:
        session.run(X)
        time.sleep(0.05)
        session.run(X)
        spans = [span for span in session.trace().spans if span.id.startswith("to_") and span.request == 0]
    starts = sorted(span.start_s for span in spans)
    assert len(starts) == 1 or starts[1] - starts[0] == pytest.approx(0.01, abs=1e-4)


def test_a_slowed_node_takes_longer() -> None:
    shape = (1, 400_000)

    def busy_s(slowdown: float) -> float:
        with opened(*tiny.there_and_back(shape=shape, slowdown=slowdown)) as session:
            x = {"x": np.zeros(shape, np.float32)}
            for _ in range(10):
                session.run(x)
            spans = [span.stop_s - span.start_s for span in session.trace().spans if span.id == "s1"]
        return float(np.median(spans))

    assert busy_s(50.0) > 5 * busy_s(1.0)


def test_a_session_counts_what_it_computed() -> None:
    with opened(*tiny.there_and_back(shape=(1, 400_000), slowdown=20.0)) as session:
        for _ in range(5):
            session.run({"x": np.zeros((1, 400_000), np.float32)})
        counters = session.counters()
    for node in "ab":
        assert counters[node]["used_us"] > 0
        assert counters[node]["busy_us"] > 15.0 * counters[node]["used_us"]


def weighted() -> tuple[Program, list[Artifact], dict[str, np.ndarray]]:
    weight = np.eye(4, dtype=np.float32) * 2
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="y")
    data = tiny.model([node], {"x": tiny.SHAPE}, {"y": tiny.SHAPE}, initializers=[tiny.absent("w", weight)])
    own = tiny.segment("s0", "a", [tiny.port("x", INPUT)], ["y"])
    outputs = [Binding(tensor="y", node="a", source="s0")]
    program = tiny.program("a", [own], [], tiny.infos("x", "y"), outputs)
    return program, [tiny.artifact("s0", data, {"w": weight})], {tensor_hash(weight): weight}


def test_weights_are_sent_by_hash_to_who_lacks_them() -> None:
    program, artifacts, weights = weighted()
    asked = []

    def source(sha256: str) -> np.ndarray:
        asked.append(sha256)
        return weights[sha256]

    with Session(program, artifacts, source, network=Network()) as session:
        assert (session.run({"x": np.ones((1, 4), np.float32)}).outputs["y"] == 2).all()
    assert asked == list(weights)


def test_large_weights_go_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hocket.runtime.delivery.PIECE_BYTES", 7)
    program, artifacts, weights = weighted()
    with Session(program, artifacts, weights.__getitem__, network=Network()) as session:
        assert (session.run({"x": np.ones((1, 4), np.float32)}).outputs["y"] == 2).all()


def test_inputs_that_do_not_fit_are_refused_and_the_session_lives_on() -> None:
    with opened(*tiny.there_and_back()) as session:
        with pytest.raises(FormatError, match=r"the inputs are \['z'\] and the program takes \['x'\]"):
            session.run({"z": X["x"]})
        with pytest.raises(FormatError, match=r"input 'x' is float64 \[1, 4\] and the program takes float32 \[1, 4\]"):
            session.run({"x": np.zeros((1, 4))})
        assert (session.run(X).outputs["y"] == 111).all()
        with pytest.raises(PlanError, match=r"the window is 1 to 2 for this program, got 3"):
            list(session.stream([X], window=3))


def test_a_caller_may_use_its_array_again() -> None:
    x = np.zeros(tiny.SHAPE, np.float32)

    def camera() -> object:
        for number in range(50):
            x[:] = number
            yield {"x": x}

    with opened(*tiny.there_and_back(4)) as session:
        assert [float(answer.outputs["y"][0, 0]) for answer in session.stream(camera())] == [i + 111 for i in range(50)]


def test_a_stream_may_be_left_early() -> None:
    with opened(*tiny.there_and_back(4)) as session:
        for answer in session.stream([X] * 100):
            if answer.request == 10:
                break
        assert (session.run(X).outputs["y"] == 111).all()
        time.sleep(0.05)
        assert held(session) == 0


def test_a_model_that_lies_about_its_shape_is_one_error() -> None:
    program, artifacts = tiny.there_and_back()
    node = helper.make_node("Concat", ["x", "x"], ["u"], axis=0)
    artifacts[0] = tiny.artifact("s0", tiny.model([node], {"x": tiny.SHAPE}, {"u": (2, 4)}))
    with (
        opened(program, artifacts) as session,
        pytest.raises(NodeError, match=r"segment 's0' makes 'u' \[2, 4\], and \[1, 4\] is declared"),
    ):
        session.run(X)


def test_a_bad_program_is_refused_by_its_node() -> None:
    program, artifacts = tiny.there_and_back()
    with pytest.raises(PlanError, match=r"segment 's2' has no artifact"):
        opened(program, artifacts[:2])
    with pytest.raises(NodeError, match=r"node 'a' cannot run its part: tensor 'x' has no type and shape"):
        opened(program.replace(tensors=program.tensors[1:]), artifacts)
    broken = [artifacts[0].replace(model=b"\x00\x01"), *artifacts[1:]]
    with pytest.raises(NodeError, match=r"node 'a' cannot run its part"):
        opened(program, broken)
    transfers = (program.transfers[0].replace(codec="morse"), program.transfers[1])
    with pytest.raises(NodeError, match=r"node '[ab]' lacks codec 'morse' and has raw"):
        opened(program.replace(transfers=transfers), artifacts)


def test_threads_end_with_their_session() -> None:
    before = threading.active_count()
    with opened(*tiny.there_and_back()):
        assert threading.active_count() > before
    deadline_s = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_late_answer_is_one_error_that_names_a_node() -> None:
    program, artifacts = tiny.there_and_back(wires=[Wire(source="a", target="b", latency_s=60.0)])
    with opened(program, artifacts, timeout_s=0.5) as session:
        with pytest.raises(LateError, match=r"request 0 had no answer within 0.5 s: node 'a' still waits"):
            session.run(X)
        with pytest.raises(NodeError, match=r"the session is closed; open a new one"):
            session.run(X)


def test_a_node_that_ended_is_one_error() -> None:
    with opened(*tiny.there_and_back()) as session:
        session.run(X)
        session.fleet.launcher.node("b").stop()
        with pytest.raises(NodeError, match=r"node 'b' has ended|node 'b' is not connected or has closed"):
            for _ in range(100):
                session.run(X)


def test_dtypes_other_than_float_travel() -> None:
    infos = (TensorInfo(name="x", dtype="int64", shape=(3,)),)
    transfers = [tiny.transfer("t0", "x", INPUT, "a", "b", codec="raw+zlib")]
    outputs = [Binding(tensor="x", node="b", source="t0")]
    program = tiny.program("ab", [], transfers, infos, outputs)
    with opened(program, []) as session:
        x = np.array([1, -2, 1 << 60])
        np.testing.assert_array_equal(session.run({"x": x}).outputs["x"], x)
