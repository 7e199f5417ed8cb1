"""Waiting lines: the formulas' limits, their relations, and their agreement with a simulation of many requests."""

import numpy as np
import pytest
from graphs import graph_of, mesh, node, operator, problem_of, profile_of

from hocket.cost import Durations, Job, evaluate, timeline
from hocket.cost.queueing import sojourn_s, wait_s
from hocket.errors import InfeasibleError
from hocket.plan.lower import lower
from hocket.plan.placement import entry_for, plan_for


@pytest.mark.parametrize(
    ("queue", "rate", "service", "wait"),
    [
        ("mm1", 5.0, 0.1, 0.1), ("md1", 5.0, 0.1, 0.05), ("mm1", 9.0, 0.1, 0.9), ("md1", 9.0, 0.1, 0.45),
        ("mm1", 0.0, 0.1, 0.0), ("md1", 5.0, 0.0, 0.0), ("none", 50.0, 0.1, 0.0),
    ],
)  # fmt: skip
def test_waiting_and_sojourn(queue: str, rate: float, service: float, wait: float) -> None:
    assert wait_s(queue, rate, service) == pytest.approx(wait)
    assert sojourn_s(queue, rate, service) == pytest.approx(wait + service)


def test_mm1_sojourn_is_one_over_the_spare_rate() -> None:
    for rate in (1.0, 5.0, 9.9):
        assert sojourn_s("mm1", rate, 0.1) == pytest.approx(1 / (10.0 - rate))


@pytest.mark.parametrize("queue", ["mm1", "md1"])
@pytest.mark.parametrize("rate", [10.0, 11.0])
def test_a_full_station_is_refused(queue: str, rate: float) -> None:
    with pytest.raises(InfeasibleError) as caught:
        wait_s(queue, rate, 0.1)
    assert str(caught.value) == (
        f"C2: a queue is stable below full load, and {rate:g}/s of 0.1 s are {rate / 10:.3g}; lower the rate or use a"
        " faster node"
    )


def test_md1_against_the_timeline_of_many_requests() -> None:
    graph = graph_of(operator("u", "x"))
    cluster = mesh(node("a"), node("b"))
    program = lower(graph, entry_for("t", graph, ["a"]), cluster, {"x": "a"}, {"u": "a"})
    gaps = np.random.default_rng(7).exponential(1 / 7.0, 20_000)
    job = Job(program, Durations(segments={"t/000@a": 0.1}), tuple(np.cumsum(gaps)))
    latencies = [span.stop_s - span.start_s for span in timeline([job]) if span.kind == "request"]
    assert np.mean(latencies) == pytest.approx(sojourn_s("md1", 7.0, 0.1), rel=0.05)


def test_the_evaluator_adds_waiting_not_sojourn() -> None:
    graph = graph_of(operator("u", "x"))
    profile = profile_of(graph, {"a": {"u": 0.1}})
    for queue, wait in (("none", 0.0), ("mm1", 0.1), ("md1", 0.05)):
        made = problem_of(graph, mesh(node("a"), node("b")), profile, task={"rate_per_s": 5.0}, queue=queue)
        cost = evaluate(made, plan_for("task", graph, ["a"]))
        assert (cost.latency_s, cost.wait_s) == (pytest.approx(0.1), pytest.approx(wait))
        assert cost.sojourn_s == pytest.approx(0.1 + wait)


def test_without_arrivals_there_is_no_waiting() -> None:
    graph = graph_of(operator("u", "x"))
    made = problem_of(graph, mesh(node("a")), profile_of(graph, {"a": {"u": 0.1}}), queue="mm1")
    cost = evaluate(made, plan_for("task", graph, ["a"]))
    assert (cost.wait_s, cost.sojourn_s) == (0.0, None)


def test_an_overloaded_station_waits_for_ever_and_says_so() -> None:
    graph = graph_of(operator("u", "x"))
    made = problem_of(
        graph, mesh(node("a")), profile_of(graph, {"a": {"u": 0.1}}), task={"rate_per_s": 20.0}, queue="mm1"
    )
    cost = evaluate(made, plan_for("task", graph, ["a"]))
    assert cost.wait_s == float("inf")
    assert [found.constraint for found in cost.violations] == ["C2"]
