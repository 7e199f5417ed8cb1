"""JointDNN: the best path that keeps its limits."""

from itertools import product

import pytest
from chain_problems import straight, two
from problems import chain, problem_of, profile_of

from hocket.cost import Objective, Problem, evaluate
from hocket.errors import InfeasibleError
from hocket.graph.topology import units
from hocket.solvers.additive import Additive
from hocket.solvers.chains.jointdnn import JointDnn
from hocket.solvers.layout import Layout


def by_metric(problem: Problem, metric: str, places: list[int]) -> float:
    additive = Additive(Layout(problem, problem.task), {metric: 1.0})
    return additive.costs.value(places)


@pytest.mark.parametrize("limited", [False, True])
def test_jointdnn_is_the_best_path_that_keeps_the_limits(limited: bool) -> None:
    binding = 0
    for seed in range(40):
        problem = straight(seed, "sequential", nodes=2, size=6)
        size = len(units(problem.task.graph))
        options = [list(places) for places in product((0, 1), repeat=size)]
        free = min(options, key=lambda places: by_metric(problem, "sequential", places))
        limit = by_metric(problem, "energy", free) * 0.8
        if limited:
            problem = problem.replace(objective=Objective(metric="sequential", limits={"energy": limit}))
            options = [places for places in options if by_metric(problem, "energy", places) <= limit]
        best = min((by_metric(problem, "sequential", places) for places in options), default=None)
        if best is None:
            with pytest.raises(InfeasibleError, match="all paths over layers on the mobile and one cloud"):
                JointDnn()(problem)
            continue
        binding += best > by_metric(problem, "sequential", free)
        proposal = JointDnn()(problem)
        assert float(proposal.notes["own_value"]) == pytest.approx(best)
        assert evaluate(problem, proposal.plan).sequential_s == pytest.approx(best)
    assert binding >= 5 or not limited


def test_jointdnn_changes_sides_as_often_as_it_pays_and_counts_the_mobile_only() -> None:
    graph = chain([1, 1, 1], first=1)
    seconds = {"d": [1.0, 9.0, 1.0], "s": [9.0, 1.0, 9.0]}
    cluster = two(compute_w=1.0, transmit_w=1.0)
    problem = problem_of(graph, cluster, profile_of(graph, seconds))
    proposal = JointDnn()(problem)
    assert proposal.notes["changes"] == "2"
    energy = JointDnn(mode="energy")(problem)
    assert energy.notes["changes"] == "0"
    assert float(energy.notes["own_value"]) == pytest.approx(4e-6)  # one input of 4 bytes at 1 MB/s and 1 W
    assert JointDnn().refuses(problem_of(graph, cluster, profile_of(graph, {"d": [1.0, 1.0, 1.0]}))) == (
        "there is no cloud: only 'd', where the inputs are, can compute"
    )
