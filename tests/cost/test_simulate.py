"""Many requests through the timeline."""

import pytest
from graphs import graph_of, mesh, node, operator, problem_of, profile_of

from hocket.cluster import Cluster, Direction, Link, RateTrace
from hocket.cost import Problem, evaluate, simulate
from hocket.errors import PlanError
from hocket.graph import Graph
from hocket.plan import Plan
from hocket.plan.placement import plan_for


def graph() -> Graph:
    return graph_of(operator("u", "x"), operator("v", "u"))


def problem(**task: object) -> Problem:
    """2 s at a, then 1 s on the link, then 3 s at b, then 1 s back."""
    cluster = mesh(node("a"), node("b"), bytes_per_s=1e3)
    return problem_of(graph(), cluster, profile_of(graph(), {"a": {"u": 2.0}, "b": {"v": 3.0}}), task=task)


def plan() -> Plan:
    return plan_for("task", graph(), ["a", "b"])


def test_one_request_is_what_was_predicted() -> None:
    found, predicted = simulate(problem(), plan(), requests=1), evaluate(problem(), plan())
    assert found.judge == "simulated"
    assert found.latency_s == found.latency_p95_s == predicted.latency_s == 7.0
    assert found.busy_s == predicted.busy_s


def test_requests_that_come_at_once_leave_at_the_period() -> None:
    found = simulate(problem(), plan(), requests=50)
    assert found.period_s == pytest.approx(evaluate(problem(), plan()).period_s) == 3.0
    assert found.latency_s == pytest.approx(7.0 + 3.0 * 49 / 2)


def test_the_seed_makes_the_arrivals() -> None:
    made = problem(rate_per_s=0.2)
    first, second, other = (simulate(made, plan(), requests=40, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert first.latency_s != other.latency_s
    assert first.latency_p95_s is not None
    assert 7.0 <= first.latency_s <= first.latency_p95_s


def test_what_cannot_be_simulated() -> None:
    with pytest.raises(PlanError) as caught:
        simulate(problem(), plan(), requests=0)
    assert str(caught.value) == "a simulation needs at least one request, got 0; ask for more"
    dead = Link(between=("a", "b"), up=Direction(trace=RateTrace(steps=((0.0, 1e3), (1.0, 0.0)))))
    cluster = Cluster(name="dead", nodes=(node("a"), node("b")), links=(dead,))
    made = problem_of(graph(), cluster, problem().task.profile)
    with pytest.raises(PlanError) as caught:
        simulate(made, plan(), requests=3)
    assert str(caught.value) == ("3 of 3 requests never end; a link that the plan needs has the rate 0 for ever")
