"""EdgeShard: the source keeps the first layer, and memory along the path."""

import pytest
from chain_problems import star
from problems import chain, problem_of, profile_of

from hocket.errors import InfeasibleError
from hocket.solvers import solve
from hocket.solvers.chains.edgeshard_latency import EdgeShardLatency
from hocket.solvers.chains.edgeshard_throughput import EdgeShardThroughput


def test_the_first_layer_of_edgeshard_stays_at_the_source() -> None:
    """The source is the slowest, and still has the first layer; chain_dp takes it away."""
    graph = chain([1, 1, 1], first=1)
    seconds = {"n0": [5.0, 5.0, 5.0], "n1": [1.0, 1.0, 1.0], "n2": [2.0, 2.0, 2.0]}
    problem = problem_of(graph, star(1e9), profile_of(graph, seconds), "period")
    for solver in (EdgeShardThroughput(), EdgeShardLatency()):
        stages = solve(problem, solver).stages()
        assert stages[0]["node"] == "n0"
        assert stages[0]["operators"] == ["t0"]
    assert solve(problem, "chain_dp").stages()[0]["node"] != "n0"


def test_edgeshards_latency_recurrence_on_a_hand_instance() -> None:
    """DP(1) = 2 at the source; DP(2) = min(2 + 4, 2 + 1 + 1) on n1; back costs more than it saves."""
    graph = chain([250, 250, 1], first=1)
    seconds = {"n0": [2.0, 4.0, 1.0], "n1": [9.0, 1.0, 1.5], "n2": [9.0, 9.0, 9.0]}
    problem = problem_of(graph, star(1e3), profile_of(graph, seconds))
    proposal = EdgeShardLatency()(problem)
    assert float(proposal.notes["own_latency_s"]) == pytest.approx(2 + 1 + 1 + 1.5 + 0.004)
    assert [stage["node"] for stage in solve(problem, "edgeshard_latency").stages()] == ["n0", "n1"]


def test_memory_taken_off_along_the_path_can_leave_no_plan() -> None:
    """The best path to the third layer fills the only device that takes the fourth; a used set remembers better."""
    graph = chain([1] * 4, weights=[1000, 1000, 1000, 5000], first=1)
    seconds = {"n0": [1.0, 3.0, 50.0, 50.0], "n1": [9.0, 1.0, 50.0, 1.0], "n2": [9.0, 9.0, 1.0, 50.0]}
    problem = problem_of(graph, star(1e9, (2100, 5500, 1900)), profile_of(graph, seconds))
    with pytest.raises(InfeasibleError, match="searched over all placements of blocks that begin at the source"):
        EdgeShardLatency(memory="greedy")(problem)
    cost = solve(problem, "edgeshard_latency").cost
    assert cost.feasible
    assert cost.sequential_s == pytest.approx(1 + 3 + 1 + 1, abs=1e-6)
