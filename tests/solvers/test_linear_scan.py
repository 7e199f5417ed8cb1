"""The linear scan: its sums against the judge, the filter of prefix minima, and the survey's example."""

import random

import numpy as np
import pytest
from problems import chain, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, evaluate
from hocket.solvers import SOLVERS, LinearScan, solve
from hocket.solvers.additive import additive_of
from hocket.solvers.linear_scan import cut_costs


def test_every_cut_costs_what_the_judge_says() -> None:
    for seed in range(60):
        problem = random_problem(seed, nodes=2 + seed % 2, size=6, spread=True, packed=seed % 2 == 0)
        additive = additive_of(problem)
        size = len(additive.layout.units)
        for cut, value in enumerate(cut_costs(additive.costs, 0, 1)):
            plan = additive.plan([0] * cut + [1] * (size - cut))
            assert value == pytest.approx(evaluate(problem, plan).sequential_s, rel=1e-9)


@pytest.mark.parametrize("metric", ["sequential", "latency", "period", "energy"])
def test_it_finds_the_best_cut(metric: str) -> None:
    for seed in range(20):
        problem = random_problem(seed, metric, nodes=3, size=5, media=True)
        additive = additive_of(problem)
        plans = [additive.plan([0] * cut + [other] * (5 - cut)) for cut in range(6) for other in (1, 2)]
        if len(additive.layout.units) == 5:
            best = min(evaluate(problem, plan).value for plan in plans)
            assert evaluate(problem, LinearScan()(problem).plan).value == pytest.approx(best, rel=1e-9)


def test_only_prefix_minima_can_be_the_best_cut_before_a_faster_server() -> None:
    """If the server is at least as fast on every layer, a cut after a tensor that is not smaller than all before it is
    never the best: what was smaller before it could have been sent, and more been left to the server."""
    for seed in range(200):
        rng = random.Random(seed)
        size = rng.randint(2, 9)
        sizes = [rng.randrange(1, 4000) for _ in range(size)]
        graph = chain(sizes, first=rng.randrange(1, 4000))
        device = [rng.uniform(1e-4, 1e-2) for _ in sizes]
        server = [seconds * rng.uniform(0.05, 1.0) for seconds in device]
        cluster = Cluster(
            name="two",
            nodes=(Node(name="n0", flops_per_s=1e9), Node(name="n1", flops_per_s=1e9)),
            links=(Link(between=("n0", "n1"), up=Direction(bytes_per_s=10 ** rng.uniform(4, 7))),),
        )
        problem = problem_of(graph, cluster, profile_of(graph, {"n0": device, "n1": server}))
        values = cut_costs(additive_of(problem).costs, 0, 1)
        data = [graph.inputs[0].size, *sizes]
        minima = [cut for cut in range(size) if all(data[cut] < data[before] for before in range(cut))]
        assert values[[*minima, size]].min() == pytest.approx(values.min(), rel=1e-12)


@pytest.mark.parametrize("solver", ["auto", "linear_scan", "min_cut", "chain_dp", "exhaustive", "descent"])
@pytest.mark.parametrize("metric", ["sequential", "energy"])
def test_the_survey_s_example_is_best_left_on_the_device(solver: str, metric: str) -> None:
    """300 MFLOP at 50 GFLOP/s take 6 ms and 12 mJ; its cut takes 1 s and 1.5 J for the 2.5 MB that it sends."""
    graph = chain([625_000, 1000], first=150_528)
    device = Node(name="node1", flops_per_s=50e9, compute_w=2.0, transmit_w=1.5)
    server = Node(name="node2", flops_per_s=500e9)
    rate = Direction(bytes_per_s=20e6 / 8)
    cluster = Cluster(
        name="survey", nodes=(device, server), links=(Link(between=("node1", "node2"), up=rate, down=rate),)
    )
    seconds = {"node1": [120e6 / 50e9, 180e6 / 50e9], "node2": [120e6 / 500e9, 180e6 / 500e9]}
    problem = problem_of(graph, cluster, profile_of(graph, seconds), metric)
    solution = solve(problem, solver)
    assert [stage["node"] for stage in solution.stages()] == ["node1"]
    assert solution.crossings() == []
    assert solution.cost.sequential_s == pytest.approx(0.006)
    assert solution.cost.energy_j == pytest.approx(0.012)
    assert solution.gap == pytest.approx(0.0, abs=1e-9)
    assert solution.candidates["local"] == pytest.approx(solution.cost.value)
    as_printed = evaluate(problem, additive_of(problem).plan([0, 1]))
    assert as_printed.sequential_s == pytest.approx(1.00276 + 4000 / 2.5e6)


def test_a_cut_through_a_branch_pays_all_its_tensors() -> None:
    for seed in range(40):
        problem = random_problem(seed, size=6, shape="diamond").replace(objective=Objective(metric="sequential"))
        additive = additive_of(problem)
        values = cut_costs(additive.costs, 0, 1)
        placed = [additive.costs.value([0] * cut + [1] * (len(values) - 1 - cut)) for cut in range(len(values))]
        assert np.allclose(values, placed, rtol=1e-12)


def test_all_solvers_are_named_as_they_are_listed() -> None:
    assert all(solver.name == name for name, solver in SOLVERS.items())
