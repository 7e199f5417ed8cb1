"""The exact solvers against a brute force that shares nothing with them but the judge."""

import random
from itertools import pairwise, permutations, product

import pytest
from problems import chain, fleet, problem_of, profile_of, random_cluster, random_problem

from hocket.cost import Objective, Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.graph import Graph
from hocket.graph.topology import units
from hocket.plan import Plan
from hocket.plan.placement import plan_for
from hocket.solvers import ChainDp, Exhaustive, MinCut, solve


def every_plan(problem: Problem) -> list[Plan]:
    """All placements of units, made without the solvers' help."""
    graph: Graph = problem.task.graph
    hosts = [node.name for node in problem.cluster.nodes if node.name in problem.task.profile.nodes]
    groups = [unit.operators for unit in units(graph)]
    plans = []
    for choice in product(hosts, repeat=len(groups)):
        places = [""] * len(graph.operators)
        for group, host in zip(groups, choice, strict=True):
            for position in group:
                places[position] = host
        plans.append(plan_for(problem.task.name, graph, places))
    return plans


def brute_force(problem: Problem) -> float | None:
    """Least value of all feasible plans."""
    costs = [evaluate(problem, plan) for plan in every_plan(problem)]
    return min((cost.value for cost in costs if cost.feasible), default=None)


@pytest.mark.parametrize("metric", ["sequential", "latency", "period", "energy", "price"])
def test_exhaustive_is_the_best_of_all_placements(metric: str) -> None:
    for seed in range(12):
        problem = random_problem(seed, metric, nodes=2, size=6, limited=seed % 2 == 0, media=True)
        best = brute_force(problem)
        if best is None:
            with pytest.raises(InfeasibleError):
                Exhaustive()(problem)
        else:
            assert evaluate(problem, Exhaustive()(problem).plan).value == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("metric", ["sequential", "energy", "price"])
def test_min_cut_is_the_best_of_all_placements_on_two_nodes(metric: str) -> None:
    for seed in range(30):
        problem = random_problem(seed, metric, nodes=2, size=6, spread=seed % 2 == 0)
        assert evaluate(problem, MinCut()(problem).plan).value == pytest.approx(brute_force(problem), rel=1e-9)


def test_min_cut_goes_back_and_forth_where_that_is_best() -> None:
    graph = chain([1, 1, 1])
    cluster = random_cluster(random.Random(1), 2)
    problem = problem_of(graph, cluster, profile_of(graph, {"n0": [1.0, 9.0, 1.0], "n1": [9.0, 1.0, 9.0]}))
    stages = solve(problem, "min_cut").stages()
    assert [stage["node"] for stage in stages] == ["n0", "n1", "n0"]


@pytest.mark.parametrize(
    ("kinds", "best"),
    [
        ([1.0, 0.1], 4.4),
        ([1.0, 0.1, 0.1, 0.1, 0.1], 1.2),
        ([1.0, 1.0, 0.1, 0.1], 2.2),
        ([1.0, 1.0, 1.0, 1.0, 0.1], 3.6),
        ([1.0] * 4 + [0.1] * 4, 1.1),
        ([0.1], 4.8),
        ([0.1, 1.0, 0.1, 1.0], 2.2),
    ],
)
def test_fleets_that_a_public_planner_gets_wrong(kinds: list[float], best: float) -> None:
    """48 equal layers on devices of two kinds; 2+2, 4+1, 4+4 and 0+1 come out up to 5.5 times too slow elsewhere."""
    solution = solve(fleet(kinds), "chain_dp")
    assert solution.cost.period_s == pytest.approx(best)
    assert solution.optimal_over == "stages"


def stage_brute_force(problem: Problem) -> float | None:
    """Least period of all plans with one run of layers per node, in any order, with or without some nodes."""
    graph = problem.task.graph
    size, names = len(graph.operators), [node.name for node in problem.cluster.nodes]
    best: float | None = None
    for count in range(1, len(names) + 1):
        for order in permutations(names, count):
            for inner in product(range(1, size), repeat=count - 1):
                cuts = (0, *inner, size)
                if any(a >= b for a, b in pairwise(cuts)):
                    continue
                places = [order[k] for k in range(count) for _ in range(cuts[k], cuts[k + 1])]
                cost = evaluate(problem, plan_for(problem.task.name, graph, places))
                if cost.feasible and (best is None or cost.value < best):
                    best = cost.value
    return best


def test_memory_limits_that_a_public_planner_gets_wrong() -> None:
    """A stage that memory keeps from its ideal time must not be pruned, nor a device that it leaves empty."""
    limited = 0
    for seed in range(25):
        rng = random.Random(seed)
        layers = rng.randint(4, 6)
        graph = chain([1] * layers, weights=[rng.randrange(1, 9) * 1000 for _ in range(layers)], first=1)
        problem = fleet([1.0] * 3, layers=layers, memory=[rng.randrange(4, 30) * 1000 for _ in range(3)])
        seconds = {f"n{i}": [rng.uniform(0.1, 1.0) for _ in range(layers)] for i in range(3)}
        problem = problem_of(graph, problem.cluster, profile_of(graph, seconds), "period")
        best = stage_brute_force(problem)
        if best is None:
            with pytest.raises(InfeasibleError, match=r"no plan of 'chain' keeps the constraints, searched over all"):
                ChainDp()(problem)
        else:
            cost = evaluate(problem, ChainDp()(problem).plan)
            assert cost.feasible
            assert cost.period_s == pytest.approx(best, rel=1e-9)
            free = fleet([1.0] * 3, layers=layers)
            unlimited = problem.replace(cluster=free.cluster)
            limited += evaluate(unlimited, ChainDp()(unlimited).plan).period_s < best * (1 - 1e-9)
    assert limited >= 8


@pytest.mark.parametrize("metric", ["sequential", "latency", "period"])
def test_weights_that_two_layers_share_count_once(metric: str) -> None:
    """Tied weights on one node take their room once; on two nodes on both."""
    graph = chain([1] * 3, weights=[1000, 10, 10], first=1)
    tied = tuple(op.replace(weights=("w0",)) if number != 1 else op for number, op in enumerate(graph.operators))
    graph = graph.replace(operators=tied, weights={"w0": 1000, "w1": 10})
    problem = fleet([1.0, 1.0], layers=3, memory=[1050, 1050])
    seconds = {"n0": [1.0, 1.0, 1.0], "n1": [1.0, 1.0, 1.0]}
    problem = problem_of(graph, problem.cluster, profile_of(graph, seconds), metric)
    assert solve(problem, "chain_dp").cost.feasible


def test_limits_are_kept_or_the_solver_refuses() -> None:
    for seed in range(40):
        free = random_problem(seed, "energy", size=5)
        slow = evaluate(free, MinCut()(free).plan)
        limit = Objective(metric="energy", limits={"latency": slow.latency_s * 0.9})
        problem = free.replace(objective=limit)
        try:
            cost = evaluate(problem, MinCut()(problem).plan)
        except RefusedError as error:
            assert "min_cut cannot solve this problem: the best of all placements of units without" in str(error)
            best = brute_force(problem)
            if best is not None:
                assert solve(problem).cost.value == pytest.approx(best, rel=1e-9)
        else:
            assert cost.feasible
