"""Spans for OpenTelemetry: a trace for each request, what belongs to it below it, at the times when it happened."""

import importlib
import sys
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from live_sessions import CLUSTER, Expected, cut, solution_of, until
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from opentelemetry.trace import SpanKind

import hocket
from hocket.cluster import read_toml
from hocket.control.live.deploy import deploy
from hocket.control.live.state import Rules
from hocket.control.spans import Spans, export
from hocket.cost import problem_for, simulate
from hocket.errors import MissingError
from hocket.program import Span, Trace
from hocket.runtime.inproc import Network
from hocket.zoo.listing import model_path


class Store:
    """A provider that keeps what it is given."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def roots(self) -> dict[Any, ReadableSpan]:
        """Number of a request -> its span."""
        return {span.attributes["hocket.request"]: span for span in self.spans if span.parent is None}

    def check_parents(self) -> None:
        """Everything but requests stands below the request of its number, in its trace."""
        roots = self.roots()
        for span in self.spans:
            root = roots[span.attributes["hocket.request"]]
            assert span.context.trace_id == root.context.trace_id
            assert span is root or span.parent.span_id == root.context.span_id
        assert len({root.context.trace_id for root in roots.values()}) == len(roots)


def span(kind: str, id: str, request: int, start_s: float, stop_s: float, **fields: Any) -> Span:
    return Span(kind=kind, id=id, request=request, start_s=start_s, stop_s=stop_s, **{"node": "a", **fields})


TRACE = Trace(
    name="camera",
    judge="measured",
    spans=(
        span("compute", "s0", 0, 0.1, 0.25),
        span("request", "camera", 0, 0.0, 1.0),
        span("encode", "t0", 0, 0.25, 0.3, nbytes=50),
        span("transfer", "t0", 0, 0.3, 0.5, target="b", nbytes=50),
        span("decode", "t0", 0, 0.5, 0.6, node="b"),
        span("request", "camera", 1, 0.5, 2.0),
        span("compute", "s0", 2, 0.5, 2.0),
    ),
)


def test_a_trace_of_each_request_with_times_and_attributes() -> None:
    store = Store()
    assert export(TRACE, store.provider, origin_unix_s=1000.0) == 6
    store.check_parents()
    assert {number: root.name for number, root in store.roots().items()} == {0: "camera", 1: "camera"}
    root, moved = store.roots()[0], store.named("transfer t0")
    assert (root.start_time, root.end_time) == (1_000_000_000_000, 1_001_000_000_000)
    assert (moved.start_time, moved.end_time) == (1_000_300_000_000, 1_000_500_000_000)
    assert root.kind == SpanKind.SERVER
    assert root.attributes == {
        "hocket.request": 0, "hocket.node": "a", "hocket.task": "camera", "hocket.judge": "measured",
    }  # fmt: skip
    assert moved.attributes == {
        "hocket.request": 0, "hocket.node": "a", "hocket.transfer.id": "t0", "hocket.target": "b",
        "hocket.message.size": 50,
    }  # fmt: skip
    computed, decoded = store.named("compute s0"), store.named("decode t0")
    assert computed.attributes == {"hocket.request": 0, "hocket.node": "a", "hocket.segment.id": "s0"}
    assert decoded.attributes == {"hocket.request": 0, "hocket.node": "b", "hocket.transfer.id": "t0"}


def test_what_belongs_to_no_answered_request_is_left_out() -> None:
    store = Store()
    export(TRACE, store.provider)
    assert Counter(span.attributes["hocket.request"] for span in store.spans) == {0: 5, 1: 1}


def test_without_an_origin_the_trace_ends_now() -> None:
    store = Store()
    before_ns = time.time_ns()
    export(TRACE, store.provider)
    last_ns = max(span.end_time for span in store.spans)
    assert before_ns - 1000 <= last_ns <= time.time_ns() + 1000
    assert export(Trace(name="none", judge="measured", spans=()), store.provider) == 0


def test_only_what_is_new_is_exported_and_joins_its_request_whenever_it_comes() -> None:
    request, *others = TRACE.spans[1], TRACE.spans[0], TRACE.spans[2], TRACE.spans[3]
    shown: list[Span] = [others[0]]
    store, session = Store(), SimpleNamespace(spans=lambda: list(shown))
    spans = Spans(session, store.provider)  # type: ignore[arg-type]
    assert spans.export() == 0  # its request is not known yet
    shown.append(request)
    assert spans.export() == 2
    shown += others[1:]
    assert spans.export() == 2
    assert spans.export() == 0
    store.check_parents()
    assert len(store.spans) == 4


def test_requests_that_nobody_remembers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hocket.control.spans._MOST_REQUESTS", 2)
    shown = [span("request", "camera", number, 0.0, 1.0) for number in range(5)]
    store = Store()
    spans = Spans(SimpleNamespace(spans=lambda: list(shown)), store.provider)  # type: ignore[arg-type]
    assert spans.export() == 5
    shown += [span("compute", "s0", number, 0.0, 1.0) for number in range(5)]
    assert spans.export() == 2


def test_a_request_that_is_not_sampled_takes_its_children_with_it() -> None:
    store = Store(ParentBased(ALWAYS_OFF))
    export(TRACE, store.provider)
    assert store.spans == ()


def test_a_simulated_trace_is_exported_as_a_measured_one_is() -> None:
    model = hocket.load_model(model_path("toy_dag"))
    problem = problem_for(model.graph, read_toml(CLUSTER))
    store = Store()
    trace = simulate(problem, cut(problem, "a", "b"), requests=3, trace=True).trace
    assert trace is not None
    export(trace, store.provider)
    store.check_parents()
    assert store.roots().keys() == {0, 1, 2}
    assert {root.attributes["hocket.judge"] for root in store.roots().values()} == {trace.judge}


def test_a_live_session_is_exported_while_it_runs() -> None:
    model = hocket.load_model(model_path("toy_dag"))
    problem = problem_for(model.graph, read_toml(CLUSTER))
    solution, expected, store = solution_of(problem, cut(problem, "a", "b")), Expected(model), Store()
    began_ns = time.time_ns()
    with deploy(solution, models=model, policy="static", rules=Rules(standby="none"), network=Network()) as live:
        spans = Spans(live.session, store.provider)
        live.batch([expected.inputs[number % 3] for number in range(6)])
        done = {(number, node) for number in range(6) for node in "ab"}

        def computed() -> set[tuple[Any, Any]]:
            spans.export()
            return {
                (span.attributes["hocket.request"], span.attributes["hocket.node"])
                for span in store.spans
                if span.name.startswith("compute")
            }

        until(lambda: computed() == done)
    store.check_parents()
    assert store.roots().keys() == set(range(6))
    for each in store.spans:
        assert began_ns - 1e7 <= each.start_time <= each.end_time <= time.time_ns() + 1e7


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hocket.control.spans")
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with pytest.raises(MissingError, match=r"'opentelemetry', which this Python lacks; run pip install"):
        importlib.import_module("hocket.control.spans")
