"""Clocks that a plan sets: time by the inverse, energy by the square."""

import pytest
from graphs import graph_of, operator

from hocket.cluster import Cluster, Node
from hocket.cost import Problem, evaluate, problem_for
from hocket.errors import PlanError
from hocket.plan import Entry, Plan, Run, Setting


def problem_with(node: Node) -> Problem:
    return problem_for(graph_of(operator("y", "x", flops=2e9)), Cluster(name="c", nodes=(node,)))


def plan_at(problem: Problem, clock_hz: float | None) -> Plan:
    entry = Entry(
        task=problem.task.name,
        where=(Run(operators="y", on="a"),),
        settings=(Setting(node="a", frequency_hz=clock_hz),),
    )
    return Plan(entries=(entry,))


def test_half_the_clock_takes_twice_the_time_and_a_quarter_of_the_energy() -> None:
    node = Node(name="a", flops_per_s=1e9, kappa=1e-27, frequency_hz=(0.5e9, 1e9))
    problem = problem_with(node)
    fast, slow = (evaluate(problem, plan_at(problem, clock_hz)) for clock_hz in (1e9, 0.5e9))
    assert fast.latency_s == pytest.approx(2.0)
    assert fast.energy_j == pytest.approx(1e-27 * 1e9**2 * 2e9)
    assert slow.latency_s == pytest.approx(2 * fast.latency_s)
    assert slow.energy_j == pytest.approx(fast.energy_j / 4)


def test_without_a_setting_the_greatest_clock_counts() -> None:
    node = Node(name="a", flops_per_s=1e9, kappa=1e-27, frequency_hz=(0.5e9, 1e9))
    problem = problem_with(node)
    assert evaluate(problem, plan_at(problem, None)) == evaluate(problem, plan_at(problem, 1e9))


def test_a_clock_that_the_node_does_not_have_is_refused() -> None:
    problem = problem_with(Node(name="a", flops_per_s=1e9, frequency_hz=(0.5e9, 1e9)))
    with pytest.raises(PlanError) as refused:
        evaluate(problem, plan_at(problem, 2e9))
    assert str(refused.value) == ("C1: the clock of 'a' is 5e+08 to 1e+09 Hz, got 2e+09 Hz; choose one between")
    problem = problem_with(Node(name="a", flops_per_s=1e9))
    with pytest.raises(PlanError) as refused:
        evaluate(problem, plan_at(problem, 1e9))
    assert str(refused.value) == "C1: 'a' has no frequencies to choose from; give it some or drop the setting"
