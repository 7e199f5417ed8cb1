"""joint_split: what it divides gives the right answer, is never worse than what it must beat, and keeps its bound."""

import random

import numpy as np
import pytest
from graphs import zoo_model
from problems import random_problem
from running import run_program, worst_error
from transformers_small import problem_at, transformer

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, evaluate, problem_for
from hocket.errors import InfeasibleError, RefusedError
from hocket.graph.execute import Runner, random_inputs
from hocket.plan import Split
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.solvers import Auto, Exhaustive, solve
from hocket.solvers.fixed import fixed_plans
from hocket.solvers.joint.bound import fluid_s, split_bound
from hocket.solvers.joint.cells import Cells
from hocket.solvers.joint.joint_split import JointSplit

MODELS = ("toy_chain", "toy_dag", "lenet", "charcnn")


def cluster_of(speeds: list[float], bytes_per_s: float, *, memory: int | None = None) -> Cluster:
    names = [f"n{number}" for number in range(len(speeds))]
    ports = Direction(bytes_per_s=bytes_per_s)
    return Cluster(
        name="made",
        nodes=tuple(
            Node(name=name, flops_per_s=speed, memory_bytes=memory, compute_w=2.0, transmit_w=1.0)
            for name, speed in zip(names, speeds, strict=True)
        ),
        links=tuple(
            Link(between=(a, b), up=ports, down=ports, latency_s=1e-4)
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        ),
    )


def problem(name: str, seed: int, metric: str = "latency") -> Problem:
    rng = random.Random(f"{name} {seed}")
    speeds = [rng.choice([1e7, 3e7, 1e8]) for _ in range(rng.choice([2, 3, 4]))]
    cluster = cluster_of(speeds, rng.choice([1e5, 1e6, 1e7, 1e8]))
    return problem_for(zoo_model(name).graph, cluster, objective=Objective(metric=metric))


@pytest.mark.parametrize("name", MODELS)
def test_its_plans_give_what_the_whole_model_gives(name: str) -> None:
    model = calibrated(zoo_model(name))
    inputs = random_inputs(model.graph, seed=1)
    expected = Runner(model, whole(model)).run(inputs)
    divided = 0
    for seed in range(6):
        made = problem(name, seed)
        plan = JointSplit(judgements=8)(made).plan
        divided += any(isinstance(run.on, Split) for run in plan.entries[0].where)
        task = made.task
        program = lower(task.graph, plan.entries[0], made.cluster, task.inputs, task.outputs)
        assert worst_error(run_program(model, program, inputs), expected) <= 1e-4
    assert divided


@pytest.mark.parametrize("metric", ["latency", "period", "energy", "sequential"])
def test_it_is_never_worse_than_one_node_or_whole_operators_and_never_below_its_bound(metric: str) -> None:
    for number, name in enumerate(MODELS):
        made = problem(name, number, metric)
        proposal = JointSplit(judgements=8)(made)
        value = evaluate(made, proposal.plan).value
        others = [*fixed_plans(made).values(), Auto(judgements=20, divide=False)(made).plan]
        assert value <= min(evaluate(made, plan).value for plan in others) * (1 + 1e-9)
        assert proposal.bound is not None
        assert 0 < proposal.bound <= value * (1 + 1e-9)


def test_equal_nodes_and_free_links_divide_almost_without_loss() -> None:
    graph = zoo_model("toy_chain").graph
    made = problem_for(graph, cluster_of([1e7] * 4, 1e12))
    one = evaluate(made, fixed_plans(made)["local"]).value
    assert one / evaluate(made, JointSplit()(made).plan).value > 3.0


def test_a_chain_over_slow_links_stays_where_it_is() -> None:
    made = problem_for(zoo_model("toy_chain").graph, cluster_of([1e8] * 3, 1e3))
    plan = JointSplit()(made).plan
    assert {run.on for run in plan.entries[0].where} == {"n0"}


def test_memory_that_no_node_has_alone_is_met_by_dividing_weights() -> None:
    graph = zoo_model("lenet").graph
    made = problem_for(graph, cluster_of([1e7] * 4, 1e8, memory=graph.weight_bytes // 2 + 80_000))
    cost = evaluate(made, JointSplit()(made).plan)
    assert cost.feasible
    with pytest.raises(InfeasibleError, match="add"):
        JointSplit()(problem_for(graph, cluster_of([1e7] * 2, 1e8, memory=10_000)))


def test_lean_plans_hold_less_on_the_fullest_node() -> None:
    made = problem_for(zoo_model("lenet").graph, cluster_of([1e7] * 4, 1e7))
    fast, lean = JointSplit()(made), JointSplit(lean=True)(made)
    most = [max(evaluate(made, proposal.plan).memory_bytes.values()) for proposal in (fast, lean)]
    assert most[1] < 0.7 * made.task.graph.weight_bytes
    assert most[1] <= most[0]
    assert float(lean.notes["peak_memory_bytes"]) == most[1] >= float(lean.notes["least_possible_bytes"])


def test_the_fluid_bound_by_hand() -> None:
    # Two units of 4 s and 2 s; a node of the same speed that loses 1 s: (6 + 1) / 2.
    assert fluid_s(np.array([[4.0, 4.0], [2.0, 2.0]]), np.array([0.0, 1.0])) == pytest.approx(3.5)
    # A node that loses more than everything takes is of no use.
    assert fluid_s(np.array([[1.0, 1.0]]), np.array([0.0, 9.0])) == pytest.approx(1.0)


def test_its_bound_holds_for_whole_operators_too() -> None:
    for metric in ("latency", "period", "sequential", "energy", "price"):
        for seed in range(15):
            made = random_problem(seed, metric, nodes=3, size=5)
            best = evaluate(made, Exhaustive()(made).plan).value
            assert split_bound(made) <= best * (1 + 1e-9)


def test_equal_seeds_give_equal_plans_and_the_solution_says_who_found_it() -> None:
    made = problem("toy_dag", 3)
    first, second = solve(made, "joint_split"), solve(made, "joint_split")
    assert first.plan == second.plan
    assert first.notes["found_by"]


def test_a_model_that_answers_half_way_is_not_a_chain() -> None:
    # Its first answer leaves before the last operator, so no boundary of the chain has the shape of the answer.
    made = problem_at(transformer("bert"), cluster_of([1e7, 3e7], 1e7))
    assert len(made.task.graph.outputs) == 2
    assert Cells(made, made.task).cells == ()
    assert evaluate(made, JointSplit(others=False)(made).plan).feasible


def test_graphs_made_by_hand_are_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        JointSplit()(random_problem(1))
    assert "are not known as ONNX, so they cannot be divided" in str(caught.value)
