"""The methods on chains as solvers: the contract, and for each a claim that another method would not keep."""

from itertools import product

import numpy as np
import pytest
from chain_problems import instances, star, two
from problems import chain, graph_of, problem_of, profile_of, random_problem

from hocket.cluster import Node
from hocket.cost import evaluate
from hocket.solvers import Exhaustive, check_solver, solve
from hocket.solvers.chains import SOLVERS
from hocket.solvers.chains.busy import Busy
from hocket.solvers.chains.hpipe import HPipe
from hocket.solvers.chains.job_schedule import JobSchedule
from hocket.solvers.chains.linear_pipeline import LinearPipeline
from hocket.solvers.chains.pdd import Pdd
from hocket.solvers.layout import Layout
from hocket.solvers.solver import Solver


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_methods_on_chains_keep_the_contract(solver: type[Solver]) -> None:
    assert check_solver(solver(), instances(), iterations=5) >= 20


def test_hpipe_keeps_its_order_and_slices_attention_only() -> None:
    graph = graph_of([[-1], [0], [1], [2]], [1] * 4, inputs=(1,), kinds=["Conv", "MatMul", "Softmax", "Conv"])
    seconds = {f"n{i}": [1.0, 4.0, 1.0, 1.0] for i in range(3)}
    problem = problem_of(graph, star(1e9), profile_of(graph, seconds), "period")
    solution = solve(problem, "hpipe", order="n2, n0", tokens=8, granularity=1)
    assert [stage["node"] for stage in solution.stages()] == ["n2", "n0"]
    lengths = [int(length) for length in solution.notes["slices"].split(", ")]
    assert sum(lengths) == 8
    assert len(lengths) > 1
    plain = problem_of(chain([1] * 4), star(1e9), profile_of(chain([1] * 4), seconds), "period")
    assert "slices" not in solve(plain, "hpipe", tokens=8).notes
    assert HPipe(order="n9").refuses(problem) == (
        "the order names 'n9', which is no node of the cluster that the profile knows"
    )


def test_pdd_charges_all_tensors_of_a_boundary() -> None:
    """A tensor that is read two vertices later passes both boundaries, so the cut goes where it is alone."""
    graph = graph_of([[-1], [0], [0, 1], [2]], [1000, 1000, 10, 1], inputs=(1,))
    seconds = {"d": [1.0, 1.0, 1.0, 1.0], "s": [1.0, 1.0, 1.0, 1.0]}
    problem = problem_of(graph, two(up=4e3 / 1.5), profile_of(graph, seconds), "period")
    plan = Pdd()(problem)
    assert float(plan.notes["own_period_s"]) == pytest.approx(2.5 if "2 on" in plan.notes["stages"] else 3.0)
    assert plan.notes["stages"] in ("units: 3 on d, 1 on s", "units: 1 on d, 3 on s")


def test_job_schedule_takes_the_cut_of_least_makespan_and_notes_the_mix() -> None:
    """Whole on the device 8 s each; cut after the first unit 1 + 3; after the second 3 + 1: two jobs 7 s or 5 s."""
    graph = chain([750, 250, 1], first=5000)
    profile = profile_of(graph, {"d": [1.0, 2.0, 5.0], "s": [0.0, 0.0, 0.0]})
    problem = problem_of(graph, two(up=1e3), profile, "latency")
    proposal = JobSchedule(jobs=2)(problem)
    assert float(proposal.notes["own_value"]) == 7.0
    assert proposal.notes["two_cuts"] == (
        "1 jobs with 1 of 3 units on d, the rest on s, then 1 with 2 of 3 units on d, the rest on s: 5 s"
    )
    assert JobSchedule(jobs=1)(problem).notes["own_value"] == "4"


def test_ocdst_trades_delay_for_the_longest_stage_as_the_stream_grows() -> None:
    """A single request stays on one device, a long stream is divided."""
    graph = chain([250] * 6, first=1)
    profile = profile_of(graph, {f"n{i}": [1.0] * 6 for i in range(3)})
    problem = problem_of(graph, star(1e3), profile, "period")
    assert len(solve(problem, "ocdst", requests=1).stages()) == 1
    assert len(solve(problem, "ocdst", requests=1000).stages()) == 3
    notes = solve(problem, "ocdst", requests=1000).notes
    assert float(notes["mean_delay_s"]) == pytest.approx((6 + 2 * 1 + 999 * 2) / 1000, rel=0.01)


def test_busy_seconds_are_those_of_the_judge() -> None:
    """Of every placement of a DAG over links that share media and ports."""
    for seed in range(12):
        problem = random_problem(seed, "period", nodes=3, size=4, media=seed % 2 == 0, relay=seed % 3 == 0)
        layout = Layout(problem, problem.task)
        placements = np.array(list(product(layout.hosts, repeat=len(layout.units))))
        busy = Busy(layout).seconds(placements).max(axis=1)
        for places, found in zip(placements.tolist(), busy.tolist(), strict=True):
            assert found == pytest.approx(evaluate(problem, layout.plan(places, {})).period_s)


def test_the_linear_pipeline_is_no_worse_than_pdd_and_mostly_the_best() -> None:
    best = 0
    for seed in range(30):
        problem = random_problem(seed, "period", nodes=3, size=6)
        value = evaluate(problem, LinearPipeline(rounds=20)(problem).plan).value
        assert value <= evaluate(problem, Pdd()(problem).plan).value * (1 + 1e-9)
        best += value <= evaluate(problem, Exhaustive()(problem).plan).value * (1 + 1e-9)
    assert best >= 25


def test_nodes_that_take_equally_long_but_differ_in_power_are_not_of_a_kind() -> None:
    """Memory takes one run per node; the second of two equally fast nodes needs a tenth of the power."""
    graph = chain([1, 1], weights=[1000, 1000], first=1)
    nodes = tuple(
        Node(name=f"n{i}", flops_per_s=1e9, memory_bytes=1500, compute_w=watts)
        for i, watts in enumerate((1.0, 10.0, 1.0))
    )
    cluster = star().replace(nodes=nodes)
    profile = profile_of(graph, {"n0": [5.0, 5.0], "n1": [1.0, 1.0], "n2": [1.0, 1.0]})
    cost = solve(problem_of(graph, cluster, profile, "energy"), "chain_dp").cost
    assert cost.energy_j == pytest.approx(6.0)
