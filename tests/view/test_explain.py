"""What is said about a plan, against numbers that can be worked out by hand."""

import pytest

from hocket.cluster import Cluster
from hocket.cost import Problem, evaluate, problem_for
from hocket.graph import Graph
from hocket.plan import Plan
from hocket.plan.placement import plan_for
from hocket.view import explain


def on(problem: Problem, *nodes: str) -> Plan:
    return plan_for(problem.task.name, problem.task.graph, nodes)


@pytest.fixture
def local(problem: Problem) -> Plan:
    return on(problem, *["phone"] * 6)


def test_everything_at_the_slow_source_is_limited_by_it(problem: Problem, local: Plan) -> None:
    sentences = explain(problem, local, evaluate(problem, local))
    # 21 MFLOP at 8 MFLOP/s.
    assert sentences[0] == (
        "The bottleneck is the node 'phone': busy for 2.62 s of each request, 100 % of its latency of 2.62 s;"
        " more than 0.381 requests per second are not possible."
    )
    assert sentences[1] == (
        "With the node 'phone' twice as fast the latency of this plan would be 1.31 s instead of 2.62 s (50 % less)."
    )
    assert sentences[2] == "How far the latency of 2.62 s is from the best possible is not known."
    assert "Everything at the source 'phone' is as good: 2.62 s against 2.62 s." in sentences
    assert any(sentence.startswith("Everything on 'cloud' would be better: ") for sentence in sentences)


def test_a_link_and_its_medium_get_faster_together(problem: Problem) -> None:
    plan = on(problem, *["edge"] * 6)
    sentences = explain(problem, plan, evaluate(problem, plan))
    assert any("With the medium 'air' with its links twice as fast" in sentence for sentence in sentences)
    assert not any("the link 'phone' - 'edge' twice" in sentence for sentence in sentences)
    assert any(sentence.startswith("Everything at the source 'phone' loses: 2.62 s against") for sentence in sentences)


def test_gains_are_told_in_falling_order(problem: Problem) -> None:
    plan = on(problem, "phone", *["edge"] * 5)
    gains = [
        float(sentence.rpartition("(")[2].partition(" %")[0])
        for sentence in explain(problem, plan, evaluate(problem, plan))
        if sentence.startswith("With ")
    ]
    assert gains == sorted(gains, reverse=True)
    assert len(gains) >= 2


def test_the_distance_to_the_bound(problem: Problem, local: Plan) -> None:
    cost = evaluate(problem, local)
    assert "No plan has a lower latency than 1.31 s; this one has 2.62 s, at most 100.0 % above the best." in explain(
        problem, local, cost, bound=cost.value / 2
    )
    assert "No plan has a lower latency than these 2.62 s: the plan is optimal." in explain(
        problem, local, cost, bound=cost.value
    )


def test_candidates_of_a_solution_are_told_in_words(problem: Problem, local: Plan) -> None:
    cost = evaluate(problem, local)
    candidates = {"local": 2.625, "remote:edge+packed": 0.2, "remote:cloud+packed": None, "guess": 5.25}
    sentences = explain(problem, local, cost, candidates=candidates)
    assert sum("Everything at the source" in sentence for sentence in sentences) == 1
    assert "Everything on 'edge' with the input packed would be better: 200 ms against 2.62 s, 92 % less." in sentences
    assert (
        "Everything on 'cloud' with the input packed is not possible: it breaks a constraint or has no way."
        in sentences
    )
    assert "The plan 'guess' loses: 5.25 s against 2.62 s, 100 % more." in sentences


def test_an_alternative_that_breaks_a_constraint_says_which(diamond: Graph, home: Cluster) -> None:
    problem = problem_for(diamond, home, deadline_s=1.0)
    plan = on(problem, *["edge"] * 6)
    sentences = explain(problem, plan, evaluate(problem, plan))
    assert any(
        sentence.startswith("Everything at the source 'phone' is not allowed (2.62 s against")
        and "C3: 'diamond' is due after 1 s and takes 2.62 s" in sentence
        for sentence in sentences
    )
