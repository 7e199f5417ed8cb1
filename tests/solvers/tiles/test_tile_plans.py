"""Every method that divides feature maps: its plans compute what the model computes, and keep a solver's promises."""

from functools import cache

import numpy as np
import pytest
from graphs import mesh, node, zoo_model
from problems import random_problem
from running import run_program, worst_error
from split_problems import CONVOLUTIONAL, split_problem

from hocket.cost import problem_for
from hocket.errors import InfeasibleError, RefusedError
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.plan import Split
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.solvers.contract import check_solver
from hocket.solvers.solver import Solver
from hocket.solvers.tiles import SOLVERS


@cache
def reference(name: str) -> tuple[Model, dict[str, np.ndarray], dict[str, np.ndarray]]:
    model = calibrated(zoo_model(name))
    inputs = random_inputs(model.graph, seed=1)
    return model, inputs, Runner(model, whole(model)).run(inputs)


@pytest.mark.parametrize("kind", SOLVERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_its_plans_give_what_the_whole_model_gives(kind: type[Solver], name: str) -> None:
    model, inputs, expected = reference(name)
    divided = 0
    for seed in range(4):
        problem = split_problem(seed, models=[model.graph], nodes=3 + seed % 2)
        task, plan = problem.task, kind()(problem).plan
        divided += any(isinstance(run.on, Split) for run in plan.entries[0].where)
        program = lower(task.graph, plan.entries[0], problem.cluster, task.inputs, task.outputs)
        assert worst_error(run_program(model, program, inputs), expected) <= 1e-5
    assert divided


@pytest.mark.parametrize("kind", SOLVERS, ids=lambda kind: kind.name)
def test_it_keeps_a_solvers_promises(kind: type[Solver]) -> None:
    assert check_solver(kind(), [split_problem(seed) for seed in range(30)]) >= 15
    metrics = ("energy", "price", "period", "sequential")
    assert check_solver(kind(), [split_problem(number, metric) for number, metric in enumerate(metrics)]) >= 1


@pytest.mark.parametrize("kind", SOLVERS, ids=lambda kind: kind.name)
def test_it_refuses_what_cannot_be_divided(kind: type[Solver]) -> None:
    by_hand = random_problem(1, nodes=3)
    assert kind().refuses(by_hand) == (
        f"the operators of {by_hand.task.graph.name!r} are not known as ONNX, so they cannot be divided"
    )
    graph = zoo_model("lenet").graph
    alone = problem_for(graph, mesh(node("a")))
    assert kind().refuses(alone) == "it divides maps over several nodes that can compute, and here is 1"
    rows = split_problem(0, models=[zoo_model("charcnn").graph], nodes=3)
    assert kind().refuses(rows) == "'charcnn' does not begin with layers that make one feature map of rank 4 each"
    with pytest.raises(RefusedError, match="cannot solve this problem: it divides maps"):
        kind()(alone)
    small = problem_for(graph, mesh(*(node(name, memory_bytes=2000) for name in "abc")))
    with pytest.raises(InfeasibleError, match="no plan of 'lenet' keeps the constraints, searched over"):
        kind()(small)
