"""Commands that prepare a plan, and every fault of a plan before it is judged or run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hocket.graph.onnx import load_model
from hocket.plan import Crossing, Plan
from hocket.profile import NodeProfile, Profile
from hocket.solvers import Solution
from hocket.zoo import model_path

HOME = Path(__file__).parent.parent.parent / "examples" / "home.toml"
FAULTS = [
    "hocket: C1: cluster 'cluster' has no node 'fone'; did you mean 'phone'?",
    "C1: a codec is for a tensor of 'toy_dag', and 'nothing' is none; correct its name",
    "C1: an order is of operators of 'toy_dag', and 'conv' is none; correct its name",
]


@pytest.fixture
def broken(hocket: Callable, tmp_path: Path) -> Path:
    """A solution that somebody changed by hand, wrongly in three places."""
    path = tmp_path / "plan.json"
    assert hocket("solve", "zoo:toy_dag", HOME, "-o", path, "--json").code == 0
    solution = Solution.load(path)
    entry = solution.plan.entries[0]
    entry = entry.replace(
        where=(entry.where[0].replace(operators="conv2d..output", on="fone"),),
        codecs=(Crossing(tensor="nothing", target="edge"),),
        order={"conv": 1},
    )
    solution.replace(plan=solution.plan.replace(entries=(entry,))).save(path)
    return path


@pytest.mark.parametrize("words", [["evaluate"], ["evaluate", "--json"], ["run"], ["simulate"], ["explain"]])
def test_every_fault_of_a_plan_is_said_on_a_line_of_its_own(hocket: Callable, broken: Path, words: list[str]) -> None:
    ran = hocket(words[0], broken, *words[1:])
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.splitlines() == FAULTS


def test_a_plan_beside_its_problem_is_checked_too(hocket: Callable, broken: Path, tmp_path: Path) -> None:
    solution = Solution.load(broken)
    plan: Plan = solution.plan
    plan.save(tmp_path / "alone.json")
    solution.problem.save(tmp_path / "problem.json")
    ran = hocket("evaluate", tmp_path / "alone.json", "--problem", tmp_path / "problem.json")
    assert ran.code == 1
    assert ran.err.splitlines() == FAULTS


# ------------------------------------------------------------ predict


def profile_of(name: str, folder: Path, *nodes: str) -> str:
    """MODEL=PROFILE of a model of the zoo whose operators take as long as they have FLOPs."""
    graph = load_model(model_path(name)).graph
    seconds = {operator.name: operator.flops / 1e9 for operator in graph.operators}
    sha256 = graph.source.sha256 if graph.source else ""
    entries = tuple(NodeProfile(node=node, seconds=seconds) for node in nodes)
    path = Profile(graph=name, sha256=sha256, how="measured", entries=entries).save(folder / f"{name}.json")
    return f"zoo:{name}={path}"


def test_predict_writes_a_profile_that_solve_takes(hocket: Callable, tmp_path: Path) -> None:
    pairs = [profile_of(name, tmp_path, "phone", "edge", "cloud") for name in ("toy_dag", "lenet")]
    path = tmp_path / "predicted.json"
    words = ["predict", "zoo:toy_chain", HOME, "--from", pairs[0], "--from", pairs[1], "-o", path]
    ran = hocket(*words, "--json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    assert data["profile"] == str(path)
    assert [row["node"] for row in data["nodes"]] == ["phone", "edge", "cloud"]
    for row in data["nodes"]:
        assert row["total_s"] > 0
        assert row["errors"].keys() == {"toy_dag", "lenet"}
        assert row["error"] is not None
    assert Profile.load(path).how == "predicted"
    assert hocket("solve", "zoo:toy_chain", HOME, "--profile", path, "--json").code == 0
    assert "cross-validated" in " ".join(hocket(*words).out.split())


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (
            "profile.json",
            "hocket: --from takes MODEL=PROFILE, got 'profile.json'; write zoo:resnet18=resnet18.profile.json",
        ),
        (
            "zoo:toy_dag=",
            "hocket: --from takes MODEL=PROFILE, got 'zoo:toy_dag='; write zoo:resnet18=resnet18.profile.json",
        ),
        ("zoo:toy_dag=/no", "hocket: /no cannot be read (No such file or directory); give the path of a readable file"),
    ],
)
def test_predict_refuses_in_one_sentence(hocket: Callable, tmp_path: Path, measured: str, sentence: str) -> None:
    ran = hocket("predict", "zoo:toy_chain", HOME, "--from", measured, "-o", tmp_path / "p.json")
    assert ran.code == 1
    assert ran.err.splitlines() == [sentence]
    assert not (tmp_path / "p.json").exists()


def test_predict_needs_every_node(hocket: Callable, tmp_path: Path) -> None:
    pair = profile_of("lenet", tmp_path, "phone")
    ran = hocket("predict", "zoo:toy_chain", HOME, "--from", pair, "-o", tmp_path / "p.json")
    assert ran.code == 1
    assert ran.err == "hocket: the profile has no node 'edge' (it has phone); measure that node\n"


def test_probe_without_nodes_is_one_sentence(hocket: Callable) -> None:
    ran = hocket("probe")
    assert ran.code == 1
    assert (
        ran.err == "hocket: nodes to probe are running ones or local ones, got neither; give addresses or --local N\n"
    )
