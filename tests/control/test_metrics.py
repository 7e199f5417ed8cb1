"""Metrics of live sessions: what they say is what the session says, in a format that Prometheus reads."""

import contextlib
import importlib
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_sessions import CLUSTER, Expected, cut, solution_of, until
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import hocket
from hocket.cluster import read_toml
from hocket.control.live.deploy import Live, deploy
from hocket.control.live.session import Status
from hocket.control.live.state import Rules
from hocket.control.live.watching import BUCKETS_S, Tail, Totals
from hocket.control.metrics import Metrics, Reading, read_metrics, serve_metrics
from hocket.cost import problem_for
from hocket.errors import FormatError, HocketError, MissingError, NodeError
from hocket.program import Span
from hocket.runtime.inproc import Network
from hocket.zoo.listing import model_path

ORDER = ("task", "node", "source", "target", "outcome", "reason", "plan", "nodes", "le", "hocket_node_state")


def span(kind: str = "request", start_s: float = 0.0, stop_s: float = 1.0, **fields: Any) -> Span:
    named: dict[str, Any] = {"id": "task", "request": 0, "node": "a", **fields}
    return Span(kind=kind, start_s=start_s, stop_s=stop_s, **named)  # type: ignore[arg-type]


class Session:
    """A session that says what it is told to."""

    def __init__(self, **status: Any) -> None:
        self.problem = SimpleNamespace(cluster=read_toml(CLUSTER))
        plain: dict[str, Any] = {
            "task": "camera", "plan": 2, "used": frozenset("ab"), "calm": True,
            "nodes": {"a": "up", "b": "suspect", "c": "down"}, "cut": [("a", "c")], "rates": {("a", "b"): 1e6},
            "loads": {"b": 2.5}, "counts": {"answered": 7, "late": 2, "checked": 3, "disagreed": 1, "losses": 4},
            "waiting": 5, "under_way": 3, "latency_s": 0.125, "trouble": "",
        }  # fmt: skip
        self._status = Status(**{**plain, **status})
        self.told: dict[str, dict[str, int]] = {
            "a": {"memory_bytes": 1000, "weight_bytes": 10, "cpu_us": 1_500_000, "energy_uj": 2_000_000},
            "b": {"weight_bytes": 20, "malformed": 6},
            "c": {"memory_bytes": 5, "weight_bytes": 30},
        }
        self.seen = [span(stop_s=0.02), span(stop_s=0.3), span("compute", stop_s=0.5, node="b"),
                     span("transfer", target="b", nbytes=100), span("transfer", target="b", nbytes=50)]  # fmt: skip
        self.sentences = [(1.0, "first"), (2.0, "second\x1b[2J\nline")]

    def status(self) -> Status:
        return self._status

    def counters(self) -> dict[str, dict[str, int]]:
        return self.told

    def spans(self) -> list[Span]:
        return self.seen

    def log(self) -> list[tuple[float, str]]:
        return self.sentences


def live_of(**sessions: Session) -> Any:
    return SimpleNamespace(tasks=sessions)


def registered(live: Any) -> tuple[Metrics, CollectorRegistry]:
    metrics, registry = Metrics(live), CollectorRegistry()
    registry.register(metrics)
    return metrics, registry


def values(registry: CollectorRegistry) -> dict[tuple[str, tuple[str, ...]], float]:
    """(Name, values of the labels) -> value, through the text. Labels stand in the order in which they are declared."""
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels, key=ORDER.index))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_of_a_session_is_in_the_text() -> None:
    _, registry = registered(live_of(camera=Session()))
    found = values(registry)
    expected = {
        ("hocket_task_up", "camera"): 1, ("hocket_task_calm", "camera"): 1,
        ("hocket_requests_total", "camera", "answered"): 7, ("hocket_requests_total", "camera", "failed"): 0,
        ("hocket_requests_total", "camera", "late"): 2, ("hocket_requests_waiting", "camera"): 5,
        ("hocket_requests_under_way", "camera"): 3, ("hocket_usual_latency_seconds", "camera"): 0.125,
        ("hocket_resends_total", "camera"): 0, ("hocket_node_losses_total", "camera"): 4,
        ("hocket_spot_checks_total", "camera", "agreed"): 2, ("hocket_spot_checks_total", "camera", "disagreed"): 1,
        ("hocket_spot_checks_total", "camera", "undone"): 0,
        ("hocket_node_load_factor", "camera", "b"): 2.5, ("hocket_node_load_factor", "camera", "a"): 1,
        ("hocket_node_compute_seconds_total", "camera", "b"): 0.5,
        ("hocket_way_cut", "camera", "a", "c"): 1, ("hocket_way_cut", "camera", "a", "b"): 0,
        ("hocket_way_bytes_per_second", "camera", "a", "b"): 1e6,
        ("hocket_way_stated_bytes_per_second", "camera", "a", "b"): 2.5e8,
        ("hocket_way_sent_bytes_total", "camera", "a", "b"): 150,
        ("hocket_node_memory_bytes", "a"): 1000, ("hocket_node_weight_bytes", "b"): 20,
        ("hocket_node_cpu_seconds_total", "a"): 1.5, ("hocket_node_energy_joules_total", "a"): 2.0,
        ("hocket_node_refused_total", "b", "malformed"): 6,
    }  # fmt: skip
    assert {key: found[key[0], key[1:]] for key in expected} == expected
    states = {labels[1:]: value for (name, labels), value in found.items() if name == "hocket_node_state"}
    assert {pair for pair, value in states.items() if value} == {("a", "up"), ("b", "suspect"), ("c", "down")}
    assert len(states) == 9
    assert ("hocket_plan_info", ("camera", "2", "a,b")) in found or (
        "hocket_plan_info",
        ("camera", "a,b", "2"),
    ) in found


def test_what_is_not_known_is_left_out() -> None:
    session = Session(plan=-1, used=frozenset())
    _, registry = registered(live_of(camera=session))
    found = values(registry)
    assert found["hocket_task_up", ("camera",)] == 0
    assert not [name for name, _ in found if name == "hocket_plan_info"]
    assert ("hocket_way_bytes_per_second", ("camera", "b", "a")) not in found
    assert ("hocket_node_memory_bytes", ("b",)) not in found  # it did not say
    assert ("hocket_node_memory_bytes", ("c",)) not in found  # it is down


def test_nodes_that_two_tasks_share_speak_once() -> None:
    _, registry = registered(live_of(camera=Session(), microphone=Session()))
    text = generate_latest(registry).decode()
    assert text.count("hocket_node_memory_bytes{") == 1
    assert text.count("hocket_task_up{") == 2


def test_sums_only_grow_though_the_trace_forgets() -> None:
    session = Session()
    _, registry = registered(live_of(camera=session))
    name = "hocket_request_latency_seconds"
    for count, nbytes in ((2, 150), (2, 150), (3, 157), (4, 157)):
        found = values(registry)
        assert found[f"{name}_count", ("camera",)] == count
        assert found["hocket_way_sent_bytes_total", ("camera", "a", "b")] == nbytes
        if count == 2 and len(session.seen) == 5:
            assert found[f"{name}_bucket", ("camera", "0.025")] == 1
            assert found[f"{name}_bucket", ("camera", "0.5")] == 2
            assert found[f"{name}_sum", ("camera",)] == pytest.approx(0.32)
            session.seen = session.seen[2:]
        elif count == 2:
            session.seen = [*session.seen[2:], span(stop_s=500.0), span("transfer", target="b", nbytes=7)]
        elif count == 3:
            assert found[f"{name}_bucket", ("camera", "120.0")] == 2
            assert found[f"{name}_bucket", ("camera", "+Inf")] == 3
            session.seen = [span()]


def test_a_latency_on_a_bucket_s_end_is_within_it() -> None:
    totals = Totals(lambda: [span(stop_s=end) for end in BUCKETS_S])
    totals.update()
    assert [count for _, count in totals.answered_within()] == [*range(1, 17), 16]


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 6))
def test_a_tail_gives_everything_once_if_nothing_is_forgotten_between(grown: list[int], kept: int) -> None:
    every: list[Span] = []
    shown: list[Span] = []
    tail, found = Tail(lambda: shown), []
    for count in grown:
        every += [span() for _ in range(count)]
        shown = every[-max(kept, count, 1) :]  # at least what is new is remembered
        found += tail.new()
    assert [id(each) for each in found] == [id(each) for each in every]


def test_a_name_that_is_taken_is_seen_when_it_is_registered() -> None:
    _, registry = registered(live_of(camera=Session()))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(Metrics(live_of(camera=Session())))


def test_every_name_keeps_the_conventions() -> None:
    for family in Metrics(live_of(camera=Session())).collect():
        assert family.name.startswith("hocket_")
        assert family.documentation.endswith(".")
        assert family.samples, family.name


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def test_metrics_and_log_are_served_and_nothing_else() -> None:
    with serve_metrics(live_of(camera=Session())) as url:
        assert 'hocket_task_up{task="camera"} 1.0' in get(url)
        first, second = get(url.replace("/metrics", "/log")).splitlines()
        assert first.endswith("Z camera: first")
        assert second.endswith("Z camera: second?[2J?line")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(url.replace("/metrics", "/etc"))
    with pytest.raises(urllib.error.URLError):
        get(url)


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with serve_metrics(live_of(camera=Session())) as url:
        port = int(url.split(":")[2].split("/")[0])
        with (
            pytest.raises(
                NodeError, match=rf"cannot listen at 127.0.0.1:{port} \(.*\); choose another address or port"
            ),
            serve_metrics(live_of(camera=Session()), port),
        ):
            pass


def test_what_is_read_again_is_safe_to_print() -> None:
    assert read_metrics('x{node="a\x1b[2J\x9b"} 1') == [Reading("x", {"node": "a?[2J?"}, 1.0)]
    with pytest.raises(FormatError, match=r"not in Prometheus's format"):
        read_metrics("<html>\n<body>hello</body>")


@given(st.text(max_size=60) | st.text('hocket_{}"=, 1\\\n#TYPE', max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(HocketError):
        read_metrics(text)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hocket.control.metrics")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingError, match=r"'prometheus_client', which this Python lacks; run pip install"):
        importlib.import_module("hocket.control.metrics")


@pytest.fixture
def live() -> Iterator[Live]:
    model = hocket.load_model(model_path("toy_dag"))
    problem = problem_for(model.graph, read_toml(CLUSTER))
    solution = solution_of(problem, cut(problem, "a", "b"))
    with deploy(solution, models=model, policy="static", rules=Rules(standby="none"), network=Network()) as session:
        yield session


def test_a_real_session_is_counted(live: Live) -> None:
    expected = Expected(hocket.load_model(model_path("toy_dag")))
    live.batch([expected.inputs[number % 3] for number in range(12)])
    _, registry = registered(live)
    until(lambda: values(registry)["hocket_node_compute_seconds_total", ("toy_dag", "b")] > 0)
    until(lambda: ("hocket_node_weight_bytes", ("b",)) in values(registry))
    found = values(registry)
    assert found["hocket_requests_total", ("toy_dag", "answered")] == 12
    assert found["hocket_request_latency_seconds_count", ("toy_dag",)] == 12
    assert found["hocket_way_sent_bytes_total", ("toy_dag", "a", "b")] > 0
    assert 0 < found["hocket_request_latency_seconds_sum", ("toy_dag",)] < 12 * 5
