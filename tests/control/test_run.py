# ruff: noqa: E501 (messages stand whole)
"""Running a plan: equal to the whole model whatever runs where, and refused in one sentence where it cannot be."""

import re
from pathlib import Path

import numpy as np
import pytest
from problems import graph_of

from hocket.cluster import Cluster, read_toml
from hocket.control.inputs import read_inputs
from hocket.control.run import load_for, run
from hocket.cost import evaluate, problem_for
from hocket.errors import FormatError, GraphError, PlanError
from hocket.graph import Graph
from hocket.graph.execute import checked_inputs, random_inputs
from hocket.graph.onnx import load_model
from hocket.plan.placement import plan_for
from hocket.solvers import Solution, solve
from hocket.zoo import model_path

SHAPE = (1, 3, 32, 32)
PLACEMENTS = {
    "all on one": "a" * 19,
    "none at the source": "b" * 19,
    "a pipeline": "aaaaaabbbbbbbcccccc",
    "there and back": "aaaabbbbbaaaacccaaa",
    "branches apart": "aaabbccbaabbccaabca",
    "each elsewhere": "abcabcabcabcabcabca",
}


def three() -> Cluster:
    nodes = "".join(f'[[node]]\nname = "{name}"\nspeed = "20 GFLOP/s"\n' for name in "abc")
    links = "".join(
        f'[[link]]\nbetween = ["{one}", "{other}"]\nrate = "200 Mbit/s"\nlatency = "1 ms"\n'
        for one, other in ("ab", "bc")
    )
    return read_toml(f'format = "hocket.cluster/1"\n{nodes}{links}')


def toy(places: str = PLACEMENTS["all on one"]) -> Solution:
    """The toy model on a chain of nodes a - b - c, with a letter for the place of each operator."""
    graph = load_model(model_path("toy_dag")).graph
    problem = problem_for(graph, three())
    plan = plan_for(graph.name, graph, list(places))
    return Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="given")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load_model(model_path("toy_dag")).graph


@pytest.mark.cluster
@pytest.mark.parametrize("places", PLACEMENTS.values(), ids=PLACEMENTS)
def test_the_answer_is_the_whole_models_whatever_runs_where(places: str) -> None:
    report = run(toy(places), requests=2, trace=True)
    assert report.figures.max_rel_error < 1e-5
    assert report.figures.measured_s.n == 2
    assert report.figures.emulated == (set(places) != {"a"})
    assert report.trace is not None
    assert {span.node for span in report.trace.spans if span.kind == "compute"} == set(places)


@pytest.mark.cluster
def test_given_inputs_are_what_is_computed() -> None:
    solution = toy(PLACEMENTS["a pipeline"])
    answers = [
        run(solution, inputs={"input": np.full(SHAPE, value, np.float32)}, requests=1).answer["output"]
        for value in (0.0, 1.0, 1.0)
    ]
    assert np.array_equal(answers[1], answers[2])
    assert not np.allclose(answers[0], answers[1])


@pytest.mark.cluster
def test_a_plan_of_the_solver_runs(graph: Graph) -> None:
    report = run(solve(problem_for(graph, three())), requests=1)
    assert report.figures.max_rel_error < 1e-5
    assert report.trace is None


def test_a_model_that_has_changed_is_refused() -> None:
    solution = toy()
    task = solution.problem.task
    source = task.graph.source
    assert source is not None
    changed = task.graph.replace(source=source.replace(sha256="0" * 64))
    problem = solution.problem.replace(tasks=(task.replace(graph=changed),))
    message = f"the plan is for the model 000000000000, and {source.path} is now {source.sha256[:12]}; plan again"
    with pytest.raises(PlanError, match=f"^{re.escape(message)}$"):
        load_for(solution.replace(problem=problem))


def test_a_model_without_a_file_is_refused() -> None:
    solution = toy()
    task = solution.problem.task
    problem = solution.problem.replace(tasks=(task.replace(graph=task.graph.replace(source=None)),))
    with pytest.raises(PlanError, match=r"^the plan of 'toy_dag' names no model file; plan again from a file$"):
        load_for(solution.replace(problem=problem))


def test_a_run_has_requests() -> None:
    with pytest.raises(PlanError, match=r"^a run needs at least one request, got 0; ask for more$"):
        run(toy(), requests=0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": np.zeros(SHAPE, np.float32)}, "the model has no input 'image'; its inputs are input"),
        (
            {"input": np.zeros((1, 3), np.float32)},
            "the input 'input' is float32 (1, 3, 32, 32), got float32 (1, 3); convert it",
        ),
        (
            {"input": np.zeros(SHAPE)},
            "the input 'input' is float32 (1, 3, 32, 32), got float64 (1, 3, 32, 32); convert it",
        ),
    ],
)
def test_inputs_are_checked_before_anything_starts(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(GraphError, match=f"^{re.escape(message)}$"):
        run(toy(), inputs=inputs)


def test_a_missing_input_is_named(graph: Graph) -> None:
    with pytest.raises(GraphError, match=r"^the input 'input' is missing; give float32 \(1, 3, 32, 32\)$"):
        checked_inputs(graph, {})


# ------------------------------------------------------------ inputs from files


def test_inputs_come_from_npy_and_npz(graph: Graph, tmp_path: Path) -> None:
    array = random_inputs(graph)["input"]
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", input=array)
    for name in ("x.npy", "x.npz"):
        read = read_inputs(graph, tmp_path / name)
        assert list(read) == ["input"]
        assert np.array_equal(read["input"], array)


def test_a_picture_is_the_input_of_a_classifier(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (300, 260), (255, 0, 0)).save(tmp_path / "red.png")
    pixels = read_inputs(load_model(model_path("resnet18")).graph, tmp_path / "red.png")["input"]
    assert pixels.shape == (1, 3, 224, 224)
    assert pixels[0, :, 0, 0] == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], abs=1e-5)


def test_a_picture_of_the_wrong_size_is_refused(graph: Graph, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (32, 32)).save(tmp_path / "small.png")
    message = "the input 'input' is float32 (1, 3, 32, 32), got float32 (1, 3, 224, 224); convert it"
    with pytest.raises(GraphError, match=f"^{re.escape(message)}$"):
        read_inputs(graph, tmp_path / "small.png")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("none.npy", None, "No such file or directory"),
        ("empty.npy", b"", "it starts like neither .npy nor .npz"),
        (
            "text.npz",
            b"hello",
            "it starts like neither .npy nor .npz",
        ),
        ("torn.npz", b"PK\x03\x04hello", "File is not a zip file"),
    ],
)
def test_files_without_arrays_are_refused(
    graph: Graph, tmp_path: Path, name: str, data: bytes | None, reason: str
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    message = f"{path} holds no numpy arrays ({reason}); give an .npy, .npz or picture file"
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        read_inputs(graph, path)


def test_objects_are_never_unpickled(graph: Graph, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    message = f"{tmp_path / 'x.npy'} holds no numpy arrays (Object arrays cannot be loaded when allow_pickle=False); give an .npy, .npz or picture file"
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        read_inputs(graph, tmp_path / "x.npy")


def test_one_array_for_several_inputs_is_refused(tmp_path: Path) -> None:
    graph = graph_of([[-1, -2]], [4], inputs=(4, 4))
    np.save(tmp_path / "x.npy", np.zeros(1))
    message = f"{tmp_path / 'x.npy'} holds one array and the model has the inputs x0, x1; give an .npz with all of them"
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        read_inputs(graph, tmp_path / "x.npy")
