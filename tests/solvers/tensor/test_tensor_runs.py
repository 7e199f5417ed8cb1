"""Plans that divide Transformers give what the whole model gives, and keep what solvers promise."""

from pathlib import Path

import numpy as np
import pytest
from graphs import mesh, node, zoo_model
from running import run_program, worst_error
from split_problems import split_problem
from transformers_small import STYLES, divided_problems, problem_at, transformer

from hocket.cluster import Cluster
from hocket.errors import InfeasibleError
from hocket.graph.execute import Runner, random_inputs
from hocket.graph.model import Model
from hocket.plan import Split
from hocket.plan.build import whole
from hocket.plan.calibrate import calibrated
from hocket.plan.lower import lower
from hocket.program import Program
from hocket.solvers import Solver, check_solver
from hocket.solvers.tensor import Detransformer, Galaxy, Hepti, Megatron, Pope2d, Voltage
from hocket.variants import decouple

SPEEDS = {"a": 1e7, "b": 2e7, "c": 3e7, "d": 1e7}
FAST = mesh(*(node(name, speed) for name, speed in SPEEDS.items()), bytes_per_s=1e9, latency_s=1e-6)
METHODS: list[Solver] = [
    Megatron(),
    Megatron(equal=True),
    Pope2d(),
    Pope2d(layout="2d"),
    Voltage(),
    Galaxy(),
    Hepti(mode="rows"),
    Hepti(mode="1d"),
    Hepti(mode="2d"),
]


def lowered(solver: Solver, model: Model, cluster: Cluster = FAST) -> Program:
    problem = problem_at(model, cluster)
    entry = solver(problem).plan.entries[0]
    return lower(model.graph, entry, cluster, problem.task.inputs, problem.task.outputs)


def error(model: Model, program: Program) -> float:
    inputs = random_inputs(model.graph, seed=1)
    return worst_error(run_program(model, program, inputs), Runner(model, whole(model)).run(inputs))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("solver", METHODS, ids=str)
def test_a_divided_transformer_gives_what_the_whole_one_gives(solver: Solver, style: str) -> None:
    model = transformer(style)
    program = lowered(solver, model)
    assert set(program.nodes()) == set(SPEEDS)
    assert error(model, program) <= (1e-5 if isinstance(solver, Voltage) else 1e-4)


@pytest.mark.parametrize("style", STYLES)
def test_a_decoupled_transformer_gives_what_its_variant_gives(style: str, tmp_path: Path) -> None:
    variant = decouple(transformer(style, layers=3), tmp_path / "variant.onnx", groups=3, every=2)
    program = lowered(Detransformer(), variant)
    assert len(program.nodes()) >= 3
    assert error(variant, program) <= 1e-4


@pytest.mark.parametrize("solver", [Hepti(mode="2d"), Pope2d()], ids=str)
def test_a_grid_of_sixteen_unlike_nodes_gives_what_the_whole_model_gives(solver: Solver) -> None:
    cluster = mesh(*(node(f"n{i:02}", 1e5 * (1 + i % 3)) for i in range(16)), bytes_per_s=1e9)
    model = transformer("bert", layers=1)
    assert error(model, lowered(solver, model, cluster)) <= 1e-4


@pytest.mark.parametrize("solver", [Megatron(), Pope2d(), Voltage(), Galaxy(), Hepti()], ids=str)
def test_the_methods_keep_the_contract(solver: Solver) -> None:
    assert check_solver(solver, divided_problems(30)) == 30


@pytest.mark.parametrize("solver", [Galaxy(), Hepti()], ids=str)
def test_the_methods_that_know_of_memory_keep_the_contract_with_little(solver: Solver) -> None:
    assert check_solver(solver, divided_problems(10, limited=True)) >= 5


def test_detransformer_keeps_the_contract(tmp_path: Path) -> None:
    graphs = [
        decouple(transformer(style), tmp_path / f"{style}.onnx", groups=2, every=2).graph for style in ("bert", "gpt")
    ]
    assert check_solver(Detransformer(), [split_problem(seed, models=graphs) for seed in range(30)]) == 30


@pytest.mark.parametrize("solver", [Megatron(), Pope2d(), Voltage(), Galaxy(), Hepti()], ids=str)
def test_other_models_and_lone_nodes_are_refused(solver: Solver) -> None:
    assert solver.refuses(split_problem(1, models=["lenet"])) == (
        "'lenet' has no Transformer layers: blocks between single tensors that hold an attention and end in a matrix"
        " product with weights"
    )
    alone = problem_at(transformer(), mesh(node("a")))
    assert solver.refuses(alone) == "it divides layers among nodes, and fewer than two can compute and reach each other"
    by_hand = problem_at(transformer(), FAST)
    by_hand = by_hand.replace(tasks=(by_hand.task.replace(graph=by_hand.task.graph.replace(body=b"")),))
    assert "are not known as ONNX" in str(solver.refuses(by_hand))


def test_detransformer_takes_decoupled_layers_only(tmp_path: Path) -> None:
    model = transformer()
    assert Detransformer().refuses(problem_at(model, FAST)) == (
        f"{model.graph.name!r} has no decoupled layers, streams that come together in a mean (see hocket.variants)"
    )
    variant = decouple(model, tmp_path / "variant.onnx", groups=2, every=2)
    assert Detransformer().refuses(problem_at(variant, FAST)) is None


def test_a_plan_that_fits_nowhere_is_not_given() -> None:
    small = FAST.replace(nodes=tuple(each.replace(memory_bytes=2000) for each in FAST.nodes))
    with pytest.raises(InfeasibleError, match="searched over the division of megatron: C6"):
        Megatron()(problem_at(transformer(), small))


@pytest.mark.slow
def test_bert_base_by_heads_and_by_positions() -> None:
    model = calibrated(zoo_model("bert_base"))
    cluster = mesh(*(node(name, speed * 1e3) for name, speed in SPEEDS.items()), bytes_per_s=1e9)
    for solver in (Megatron(), Voltage(), Galaxy(), Hepti()):
        assert error(model, lowered(solver, model, cluster)) <= 1e-4


def test_splits_are_contracted_at_whole_heads() -> None:
    plan = Megatron()(problem_at(transformer(), FAST)).plan
    for run in plan.entries[0].where:
        if isinstance(run.on, Split) and run.on.axis == "contract":
            assert run.on.cuts is not None
            assert not np.mod(run.on.cuts, run.on.granularity).any()
