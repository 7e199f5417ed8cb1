"""Commands that plan: what they print, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent.parent / "examples" / "home.toml"
SOLVE_KEYS = {"solver", "latency_s", "period_s", "energy_j", "price_usd", "reliability", "bound", "gap", "solve_s",
              "stages", "crossings"}  # fmt: skip


@pytest.fixture
def solution(hocket: Callable, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    assert hocket("solve", "zoo:toy_dag", HOME, "-o", path, "--json").code == 0
    return path


def test_inspect_shows_operators_and_blocks_as_json(hocket: Callable) -> None:
    ran = hocket("inspect", "zoo:toy_dag", "--json")
    data = json.loads(ran.out)
    assert ran.code == 0
    assert data["operators"] == 19
    assert sum(block["count"] for block in data["blocks"]) == 19


def test_solve_prints_the_promised_keys_and_one_json_object(hocket: Callable) -> None:
    ran = hocket("solve", "zoo:resnet18", HOME, "--json")
    data = json.loads(ran.out)
    assert ran.code == 0
    assert data.keys() >= SOLVE_KEYS
    assert {stage["node"] for stage in data["stages"]} <= {"phone", "edge", "cloud"}
    for crossing in data["crossings"]:
        assert crossing.keys() >= {"tensor", "source", "target", "nbytes"}


@pytest.mark.parametrize("objective", ["latency", "sequential", "period", "energy", "price"])
def test_solve_takes_every_objective_and_its_bound_is_below_its_value(hocket: Callable, objective: str) -> None:
    data = json.loads(hocket("solve", "zoo:toy_chain", HOME, "--objective", objective, "--json").out)
    figure = {"energy": "energy_j", "price": "price_usd"}.get(objective, f"{objective}_s")
    if data["bound"] is not None:
        assert data["bound"] <= data[figure] * (1 + 1e-9)


def test_evaluate_and_simulate_agree_with_the_solution(hocket: Callable, solution: Path) -> None:
    solved = json.loads(solution.read_text())
    predicted = json.loads(hocket("evaluate", solution, "--json").out)
    simulated = json.loads(hocket("simulate", solution, "--requests", 1, "--json").out)
    assert predicted["latency_s"] == pytest.approx(solved["cost"]["latency_s"])
    assert simulated["latency_s"] == pytest.approx(predicted["latency_s"])


def test_explain_says_something_about_the_bottleneck(hocket: Callable, solution: Path) -> None:
    data = json.loads(hocket("explain", solution, "--json").out)
    assert len(data["sentences"]) >= 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["solve", "nowhere.onnx", HOME], "hocket: nowhere.onnx is not a file; give the path of an ONNX model"),
        (["solve", "zoo:resnet81", HOME], "hocket: the zoo has no model 'resnet81'; did you mean 'resnet18'?"),
        (["inspect", str(HOME)], "is not an ONNX model"),
        (["solve", "zoo:toy_dag", HOME, "--objective", "speed"],
         "hocket: an objective is latency, sequential, period, energy, price or weighted, got 'speed'; choose one of"
         " them"),
        (["solve", "zoo:toy_dag", HOME, "--objective", "weighted"],
         "hocket: the objective 'weighted' needs weights, got none; give --weights latency=1,energy=0.5"),
        (["solve", "zoo:toy_dag", HOME, "--limit", "latency=fast"],
         "hocket: 'fast' is not a number with a unit; write it like '3 ms'"),
        (["solve", "zoo:toy_dag", HOME, "--shape", "x"],
         "hocket: a shape is written input=1,3,224,224, got 'x'; write it so"),
        (["solve", "zoo:toy_dag", HOME, "--source", "phoen"],
         "hocket: cluster 'cluster' has no node 'phoen'; did you mean 'phone'?"),
        (["evaluate", str(HOME)], "is not JSON"),
    ],
)  # fmt: skip
def test_a_users_error_is_one_sentence_and_exit_code_1(hocket: Callable, words: list[object], sentence: str) -> None:
    ran = hocket(*words)
    assert ran.code == 1
    assert ran.out == ""
    assert sentence in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_wrong_usage_is_exit_code_2(hocket: Callable) -> None:
    assert hocket("solve").code == 2
    assert hocket("no-such-command").code == 2


def test_nothing_is_written_when_solving_fails(hocket: Callable, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert hocket("solve", "zoo:toy_dag", HOME, "--deadline", "1 us", "-o", path).code == 1
    assert not list(tmp_path.iterdir())


def test_a_problem_file_with_two_tasks_is_judged(hocket: Callable, tmp_path: Path) -> None:
    (tmp_path / "home.toml").write_text(HOME.read_text())
    (tmp_path / "two.toml").write_text(
        'format = "hocket.problem/1"\ncluster = "home.toml"\n'
        '[[task]]\nname = "look"\nmodel = "zoo:toy_dag"\nrate = "2 /s"\n'
        '[[task]]\nname = "listen"\nmodel = "zoo:toy_chain"\nsource = "edge"\ndeadline = "1 s"\n'
    )
    ran = hocket("solve", tmp_path / "two.toml", "--solver", "local", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["latency_s"] > 0


def test_solvers_and_zoo_list_their_parts(hocket: Callable) -> None:
    solvers = json.loads(hocket("solvers", "--json").out)["solvers"]
    assert {"local", "remote", "linear_scan", "min_cut", "chain_dp", "exhaustive"} <= {row["name"] for row in solvers}
    assert all(row["solves"] and row["answer"] and row["source"] for row in solvers)
    zoo = json.loads(hocket("zoo", "--json").out)["models"]
    assert {"inception_v3", "bert_base", "toy_dag"} <= {row["name"] for row in zoo}


def test_draw_writes_a_picture(hocket: Callable, solution: Path, tmp_path: Path) -> None:
    picture = tmp_path / "cut.svg"
    assert hocket("draw", solution, "-o", picture).code == 0
    assert picture.read_text().startswith("<?xml")
