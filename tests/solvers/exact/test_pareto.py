"""The front of two metrics: exactly the placements that no other one beats."""

from itertools import product

import pytest
from problems import random_problem

from hocket.cost import Objective, Problem, evaluate
from hocket.cost.objective import figure
from hocket.errors import RefusedError
from hocket.solvers import check_solver, solve
from hocket.solvers.additive import additive_of
from hocket.solvers.exact import BranchAndBound, Epsilon, pareto
from hocket.solvers.fixed import judged


def by_hand(problem: Problem, first: str, second: str) -> list[tuple[float, float]]:
    """The front of all placements."""
    additive = additive_of(problem)
    size = len(additive.layout.units)
    costs = [judged(problem, additive.plan(places)) for places in product(additive.layout.hosts, repeat=size)]
    pairs = sorted({(figure(cost, first), figure(cost, second)) for cost in costs if cost is not None})
    front: list[tuple[float, float]] = []
    for pair in pairs:
        if not front or pair[1] < front[-1][1] * (1 - 1e-9):
            front.append(pair)
    return front


@pytest.mark.parametrize(
    ("first", "second"), [("sequential", "energy"), ("price", "sequential"), ("latency", "energy")]
)
def test_the_front_is_that_of_all_placements(first: str, second: str) -> None:
    for seed in range(3):
        problem = random_problem(seed, first, nodes=2, size=5)
        found = pareto(problem, first, second, points=10**6)  # type: ignore[arg-type]
        expected = by_hand(problem, first, second)
        assert [(point.first, point.second) for point in found] == [pytest.approx(pair) for pair in expected]


def test_another_solver_can_find_the_points() -> None:
    problem = random_problem(0, "latency", nodes=2, size=5)
    ours = pareto(problem, "latency", "energy", points=10**6)
    theirs = pareto(problem, "latency", "energy", points=10**6, solver=BranchAndBound())
    assert [point[1:3] for point in ours] == [pytest.approx(point[1:3]) for point in theirs]


def test_fewer_points_lie_apart() -> None:
    problem = random_problem(0, "latency", nodes=3, size=6)
    every = pareto(problem, "latency", "price", points=10**6)
    some = pareto(problem, "latency", "price", points=3)
    assert len(some) <= 5 < len(every)
    assert {point.first for point in some} <= {point.first for point in every}


def test_a_limit_gives_the_point_of_the_front_that_keeps_it() -> None:
    problem = random_problem(0, "sequential", nodes=3, size=6)
    front = pareto(problem, "sequential", "energy", points=10**6)
    assert len(front) > 1
    proposal = Epsilon(limit=front[1].second)(problem)
    cost = evaluate(problem, proposal.plan)
    assert (cost.sequential_s, cost.energy_j) == pytest.approx((front[1].first, front[1].second))
    assert proposal.over == ""
    assert proposal.notes["front"].startswith(f"{front[0].first:.6g}, {front[0].second:.6g}; ")


def test_it_keeps_the_contract() -> None:
    problems = [random_problem(seed, "sequential", nodes=2 + seed % 2, size=4) for seed in range(5)]
    assert check_solver(Epsilon(points=2), problems) == 5


def test_a_weighted_objective_has_no_front() -> None:
    problem = random_problem(0).replace(objective=Objective(metric="weighted", weights={"energy": 1.0}))
    with pytest.raises(RefusedError, match="a weighted objective has no front of two metrics"):
        solve(problem, "epsilon")
