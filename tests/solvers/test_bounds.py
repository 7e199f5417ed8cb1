"""Lower bounds: no plan beats them, and where one link decides they say so."""

import random
import time

import numpy as np
import pytest
from problems import chain, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError
from hocket.solvers import Exhaustive, lower_bound, solve
from hocket.solvers.additive import additive_of
from hocket.solvers.batch import bounds_of, overfull
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Layout
from hocket.solvers.period import period_bound

SLOW = Direction(bytes_per_s=1e3)


def on_two(sizes: list[int], seconds: list[float], *, first: int = 1, other: float = 1.0) -> Problem:
    """Layers on two nodes, the other one so many times slower, with a link of 1 kB/s."""
    graph = chain(sizes, first=first)
    nodes = (Node(name="a", flops_per_s=1e9), Node(name="b", flops_per_s=1e9))
    cluster = Cluster(name="two", nodes=nodes, links=(Link(between=("a", "b"), up=SLOW, down=SLOW),))
    profile = profile_of(graph, {"a": seconds, "b": [s * other for s in seconds]})
    return problem_of(graph, cluster, profile, "period")


def test_a_tensor_that_is_too_slow_for_the_link_keeps_its_ends_together() -> None:
    """Divided between the layers the link needs 4 s; whole on one node it takes 2 s, and as a fluid 1 s."""
    problem = on_two([1000, 1], [1.0, 1.0])
    assert lower_bound(problem) == pytest.approx(2.0)
    assert evaluate(problem, Exhaustive()(problem).plan).value == pytest.approx(2.0)


def test_an_input_that_is_too_slow_for_the_link_keeps_its_reader_at_home() -> None:
    """The node beside is ten times faster, but the input needs 4 s to get there and the first answer as long."""
    problem = on_two([1000, 1000, 1], [1.0, 1.0, 1.0], first=1000, other=0.1)
    assert lower_bound(problem) == pytest.approx(3.0)
    assert evaluate(problem, Exhaustive()(problem).plan).value == pytest.approx(3.0)


def test_a_link_may_be_what_a_good_plan_waits_for() -> None:
    """The best plan divides after the first layer and the link is busy for 1.2 s."""
    problem = on_two([300, 1], [1.0, 1.0])
    assert lower_bound(problem) == pytest.approx(1.2)
    assert evaluate(problem, Exhaustive()(problem).plan).value == pytest.approx(1.2)


@pytest.mark.parametrize("metric", ["period", "latency"])
def test_no_plan_beats_the_period_bound(metric: str) -> None:
    closed = 0
    for seed in range(150):
        problem = random_problem(
            seed,
            metric,
            nodes=2 + seed % 2,
            size=4 + seed % 3,
            limited=seed % 5 == 0,
            spread=seed % 2 == 0,
            packed=seed % 3 == 0,
            media=seed % 4 == 0,
            relay=seed % 7 == 0,
            call_s=2e-4 if seed % 4 == 1 else 0.0,
        )
        try:
            best = evaluate(problem, Exhaustive()(problem).plan).value
        except InfeasibleError:
            continue
        bound = lower_bound(problem)
        assert bound <= best * (1 + 1e-9), seed
        assert period_bound(Layout(problem, problem.task)) <= bound * (1 + 1e-9), seed
        closed += bound >= best * (1 - 1e-6)
    assert closed > 20


@pytest.mark.parametrize("metric", ["sequential", "energy", "price", "latency", "period"])
def test_bounds_of_many_placements_are_those_of_each(metric: str) -> None:
    for seed in range(12):
        problem = random_problem(seed, metric, nodes=3, size=8, spread=seed % 2 == 0, packed=seed % 3 == 0)
        additive = additive_of(problem)
        hosts = list(additive.layout.hosts)
        rng = random.Random(seed)
        placements = np.array([[rng.choice(hosts) for _ in additive.layout.units] for _ in range(6)])
        for places, bound in zip(placements.tolist(), bounds_of(problem, additive.layout)(placements), strict=True):
            if np.isfinite(bound):
                value = evaluate(problem, additive.plan(places)).value
                assert bound <= value * (1 + 1e-9)
                if metric == "sequential":
                    assert bound == pytest.approx(value)


def test_where_a_task_may_be_refused_nothing_is_known() -> None:
    problem = random_problem(3, nodes=3)
    assert lower_bound(problem) > 0
    assert lower_bound(problem.replace(tasks=(problem.task.replace(refusal_cost=1e9),))) == 0.0


def test_a_time_limit_is_kept_and_still_gives_a_plan() -> None:
    problem = random_problem(3, "latency", nodes=3, size=60, shape="dag")
    begin = time.perf_counter()
    assert solve(problem, time_limit_s=0.0).cost.feasible
    assert time.perf_counter() - begin < 5
    assert solve(problem, "linear_scan", time_limit_s=0.0).cost.feasible


def test_what_is_too_full_by_its_weights_breaks_the_memory_of_a_node() -> None:
    ruled_out = 0
    for seed in range(20):
        problem = random_problem(seed, "latency", nodes=3, size=5, limited=True)
        additive = additive_of(problem)
        rng = np.random.default_rng(seed)
        placements = rng.integers(0, 3, (40, len(additive.layout.units)))
        for places, full in zip(placements.tolist(), overfull(additive.layout)(placements), strict=True):
            cost = judged(problem, additive.plan(places))
            if full and cost is not None:
                ruled_out += 1
                assert any(violation.constraint == "C6" for violation in cost.violations)
    assert ruled_out >= 20
