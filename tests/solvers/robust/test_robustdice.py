"""Bands of channels that all nodes compute and bands of one node each; what is left of them when nodes die."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from graphs import mesh, node, zoo_model
from running import run_program, worst_error
from split_problems import CONVOLUTIONAL, split_problem

from hocket.cluster import Cluster
from hocket.cost import Problem, evaluate, problem_for
from hocket.cost.work import weight_bytes
from hocket.graph import Graph
from hocket.graph.execute import Runner, random_inputs
from hocket.plan import Copies, Entry, Plan, Run, Split
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.program import Program
from hocket.solvers import check_solver
from hocket.solvers.robust import Robustdice
from hocket.solvers.robust.robustdice import bands, survivors

METRICS = ("latency", "period", "energy", "price", "sequential")


def team(*speeds: float, chance: float = 0.0) -> Cluster:
    """Nodes a, b, c ... of some speeds, fast links between all."""
    nodes = (node(name, speed * 1e9, failure_probability=chance) for name, speed in zip("abcdef", speeds, strict=False))
    return mesh(*nodes, bytes_per_s=1e9)


def on_lenet(*speeds: float, chance: float = 0.0) -> Problem:
    return problem_for(zoo_model("lenet").graph, team(*speeds, chance=chance))


def plan_of(graph: Graph, *runs: Run) -> Plan:
    return Plan(entries=(Entry(task=graph.name, where=runs),))


def lowered(problem: Problem, plan: Plan) -> Program:
    task = problem.task
    return lower(task.graph, plan.entries[0], problem.cluster, task.inputs, task.outputs)


def places(plan: Plan) -> dict[str, Split]:
    return {run.operators: run.on for run in plan.entries[0].where}


def test_it_keeps_the_contract() -> None:
    problems = [split_problem(seed, METRICS[seed % 5]) for seed in range(15)]
    assert check_solver(Robustdice(), problems) == 15


@pytest.mark.parametrize(("replicated", "parts", "cuts"), [
    (0.0, ("a", "b"), (6,)),
    (0.25, ("ab", "a", "b"), (2, 7)),  # 6 are left, 4.5 and 1.5: the heavier part has the half
    (0.9, ("ab", "a"), (7,)),
    (1.0, ("ab",), ()),
])  # fmt: skip
def test_a_band_is_replicated_and_the_rest_dealt_by_speed(
    replicated: float, parts: tuple[str, ...], cuts: tuple[int, ...]
) -> None:
    split = bands({"a": 3.0, "b": 1.0}, 8, replicated)
    found = tuple("".join(part.nodes) if isinstance(part, Copies) else part for part in split.parts)
    assert (split.axis, found, split.cuts) == (1, parts, cuts)
    assert all(part.mode == "mirror" for part in split.parts if isinstance(part, Copies))


def test_the_channels_of_lenet_by_hand() -> None:
    # 6 and 16 channels, of which 1 and 4 are replicated; the 16 maps of 5 x 5 are flattened in whole channels.
    plan = Robustdice(equal=True)(on_lenet(1.0, 1.0)).plan
    assert {layer: on.cuts for layer, on in places(plan).items()} == {
        "conv2d..tanh": (1, 3), "avg_pool2d": (1, 3),
        "conv2d_1..tanh_1": (4, 10), "avg_pool2d_1..view": (100, 250),
        "linear..tanh_2": (30, 75), "linear_1..tanh_3": (21, 52), "output": (2, 6),
    }  # fmt: skip


def test_faster_nodes_own_more_and_equal_groups_do_not() -> None:
    problem = on_lenet(3.0, 1.0)
    assert places(Robustdice(replicated=0.0)(problem).plan)["conv2d_1..tanh_1"].cuts == (12,)
    assert places(Robustdice(replicated=0.0, equal=True)(problem).plan)["conv2d_1..tanh_1"].cuts == (8,)


def test_survivors_by_hand() -> None:
    graph = zoo_model("lenet").graph
    pair = Copies(nodes=("a", "b"), mode="mirror")
    inner = Split(axis=2, parts=("c", "a"), cuts=(7,))
    plan = plan_of(
        graph,
        Run(operators="conv2d..tanh", on=Split(axis=1, parts=(pair, "a", "b", "c"), cuts=(2, 3, 5))),
        Run(operators="avg_pool2d", on=Split(axis=1, parts=("a", "b", inner), cuts=(0, 3))),
        Run(operators="conv2d_1..linear_1", on="a"),
        Run(operators="tanh_3", on=Split(axis=1, parts=(Copies(nodes=("b", "c"), mode="mirror"),), cuts=())),
        Run(operators="output", on=Split(axis="contract", parts=("a", "b"), cuts=(40,))),
    )
    sixth = 1 / 6
    expected = {
        (): {"tanh": 1.0, "avg_pool2d": 1.0, "tanh_3": 1.0},
        ("a",): {"tanh": 5 * sixth, "avg_pool2d": 0.75, "tanh_3": 1.0},
        ("b",): {"tanh": 4 * sixth, "avg_pool2d": 0.5, "tanh_3": 1.0},
        ("c",): {"tanh": 5 * sixth, "avg_pool2d": 0.75, "tanh_3": 1.0},
        ("a", "b"): {"tanh": sixth, "avg_pool2d": 0.25, "tanh_3": 1.0},
        ("b", "c"): {"tanh": 3 * sixth, "avg_pool2d": 0.25, "tanh_3": 0.0},
    }
    for dead, left in expected.items():
        assert survivors(graph, plan, dead) == pytest.approx(left), dead


def test_layers_inside_a_block_survive_each_by_itself() -> None:
    graph = zoo_model("resnet18").graph
    plan = Robustdice(replicated=0.5, equal=True)(problem_for(graph, team(1.0, 1.0))).plan
    left = survivors(graph, plan, {"b"})
    activations = {operator.name for operator in graph.operators if operator.kind == "Relu"}
    assert len(plan.entries[0].where) == 12
    assert activations <= left.keys()
    assert len(activations) == 17
    assert set(left.values()) == {0.75}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_more_copies_leave_more_and_take_more_memory(name: str) -> None:
    problem = problem_for(zoo_model(name).graph, team(2.0, 1.0, 1.0))
    least, weights = [], []
    for replicated in (0.0, 0.25, 0.5, 1.0):
        plan = Robustdice(replicated=replicated)(problem).plan
        least.append(min(min(survivors(problem.task.graph, plan, {dead}).values()) for dead in "abc"))
        program = lowered(problem, plan)
        weights.append([weight_bytes(problem.task.graph, program.at(name)) for name in "abc"])
    assert least == sorted(least)
    assert least[0] < 1.0
    assert least[-1] == 1.0
    for before, after in pairwise(weights):
        assert all(one < other for one, other in zip(before, after, strict=True))


def test_of_two_dead_nodes_the_replicated_band_is_left() -> None:
    problem = on_lenet(1.0, 1.0, 1.0)
    plan = Robustdice(replicated=0.5, equal=True)(problem).plan
    for dead in combinations("abc", 2):
        left = survivors(problem.task.graph, plan, dead)
        assert left["tanh_1"] in (10 / 16, 11 / 16)  # 8 of 16 and 2, 3 and 3 of the others
    assert set(survivors(problem.task.graph, plan, "abc").values()) == {0.0}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("replicated", [0.0, 0.3, 1.0])
def test_while_all_live_the_answer_is_that_of_the_whole_model(name: str, replicated: float) -> None:
    model = calibrated(zoo_model(name))
    problem = problem_for(model.graph, team(1.0, 2.0, 3.0))
    program = lowered(problem, Robustdice(replicated=replicated)(problem).plan)
    inputs = random_inputs(model.graph, seed=2)
    assert worst_error(run_program(model, program, inputs), Runner(model, whole(model)).run(inputs)) <= 1e-5


def test_notes_say_what_is_left_and_the_judge_needs_every_node() -> None:
    problem = on_lenet(1.0, 1.0, 1.0, chance=0.1)
    proposal = Robustdice(replicated=0.5)(problem)
    left = survivors(problem.task.graph, proposal.plan, {"b"})
    assert proposal.notes == {
        f"if {name} fails": f"{100 * min(survivors(problem.task.graph, proposal.plan, {name}).values()):.3g} % of the"
        " channels of each layer are left"
        for name in "bc"
    }
    assert min(left.values()) >= 0.5
    assert evaluate(problem, proposal.plan).reliability == pytest.approx(0.9**3)


def test_replicated_channels_do_not_travel() -> None:
    problem = on_lenet(1.0, 1.0)
    sent = []
    for replicated in (0.0, 0.5, 1.0):
        program = lowered(problem, Robustdice(replicated=replicated)(problem).plan)
        sent.append(sum(transfer.nbytes for transfer in program.transfers))
    assert sent == sorted(set(sent), reverse=True)
    image = np.prod(zoo_model("lenet").graph.inputs[0].shape) * 4
    assert sent[-1] == image  # with everything on both nodes only the image goes to the other


@pytest.mark.parametrize(("solver", "problem", "reason"), [
    (Robustdice(replicated=1.5), on_lenet(1, 1), "the share of replicated channels is between 0 and 1, and it is 1.5"),
    (Robustdice(), on_lenet(1.0), "it divides maps over several nodes that can compute, and here is 1"),
])  # fmt: skip
def test_it_refuses_in_one_sentence(solver: Robustdice, problem: Problem, reason: str) -> None:
    assert solver.refuses(problem) == reason
