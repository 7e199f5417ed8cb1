"""`hocket lab`: a plan runs over a lab's real links, faults are played, and without the rights links are emulated."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import hocket.cli.lab as lab_commands
from hocket.cli import app
from hocket.cluster import Cluster, read_toml
from hocket.cost import evaluate, problem_for
from hocket.errors import FormatError
from hocket.graph.onnx import load_model
from hocket.lab import cgroups, host, names
from hocket.plan.placement import plan_for
from hocket.solvers import Solution
from hocket.zoo import model_path

NAME = "hocket-test-run"


def chain() -> Cluster:
    """a - b - c; nothing leads from the source to the last but over the middle."""
    nodes = "".join(f'[[node]]\nname = "{name}"\nspeed = "20 GFLOP/s"\n' for name in "abc")
    links = "".join(
        f'[[link]]\nbetween = ["{one}", "{other}"]\nrate = "8 Mbit/s"\nlatency = "20 ms"\n'
        for one, other in ("ab", "bc")
    )
    return read_toml(f'format = "hocket.cluster/1"\nname = "{NAME}"\n{nodes}{links}')


def solution() -> Solution:
    """The toy model, a third of it on each."""
    graph = load_model(model_path("toy_dag")).graph
    problem = problem_for(graph, chain())
    plan = plan_for(graph.name, graph, list("aaaaaabbbbbbbcccccc"))
    return Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="given")


def hocket(*words: object) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "hocket", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=170, check=False)


def command(*words: object) -> Result:
    """In this process, which takes no time to start."""
    return CliRunner().invoke(app, ["lab", *map(str, words)])


def test_without_the_rights_links_are_emulated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(host, "why_not", lambda: "this is no computer for a lab; use another")
    monkeypatch.setattr(lab_commands.execution, "run", lambda plan, **options: seen.update(options, plan=plan))
    path = solution().save(tmp_path / "solution.json")
    result = CliRunner().invoke(app, ["lab", "run", str(path), "--requests", "3"])
    assert result.exit_code == 0
    assert "this is no computer for a lab; use another; the links are emulated" in result.output
    assert (seen["plan"], seen["requests"]) == (path, 3)


def test_faults_come_from_one_place() -> None:
    for words in ([], ["faults.toml", "--random", "kill"]):
        result = CliRunner().invoke(app, ["lab", "chaos", "nowhere", *words])
        assert isinstance(result.exception, FormatError)
        assert "one of both" in str(result.exception)


@pytest.mark.lab
@pytest.mark.skipif(bool(host.why_not()), reason=host.why_not() or "can make a lab")
def test_a_plan_runs_over_real_links(tmp_path: Path) -> None:
    """The lab is made for it and gone afterwards; or it is there before, and stays."""
    path = solution().save(tmp_path / "solution.json")
    result = hocket("lab", "run", path, "--requests", 3, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["max_rel_error"] < 1e-5
    assert not figures["emulated"]
    # The bytes of both hops at 1 MB/s, and 20 ms for each of them: real links are as fast, within 15 %.
    wired_s = sum(1e-6 * crossing["nbytes"] + 0.02 for crossing in solution().crossings() if crossing["target"] != "a")
    assert figures["measured_s"]["p50"] > 0.85 * wired_s > 0.04
    assert NAME not in names()
    assert host.namespaces(f"hocket+{NAME}+") == []


@pytest.mark.lab
@pytest.mark.skipif(bool(host.why_not()), reason=host.why_not() or "can make a lab")
def test_the_commands_work_on_one_lab_one_after_another(tmp_path: Path) -> None:
    cluster, faults = chain().save(tmp_path / "cluster.json"), tmp_path / "faults.toml"
    faults.write_text('[[fault]]\nat = "0 s"\ndo = "kill"\nnode = "b"\nfor = "100 ms"\n')
    try:
        assert hocket("lab", "up", cluster).returncode == 0  # by another process
        again = command("up", cluster)
        assert f"there is a lab {NAME!r} already" in str(again.exception)
        played = command("chaos", NAME, faults)
        assert [line.split()[2:] for line in played.output.splitlines()] == [["kill", "b"], ["restart", "b"]]
        drawn = command("chaos", NAME, "--random", "loss,delay,partition", "--rate", 20, "--seconds", 0.3, "--json")
        assert json.loads(drawn.output)["faults"]
        status = json.loads(command("status", NAME, "--json").output)["labs"][NAME]
        assert [row["node"] for row in status if row["process"]] == ["a", "b", "c"]
        result = hocket("lab", "run", solution().save(tmp_path / "solution.json"), "--requests", 2, "--json")
        assert result.returncode == 0, result.stderr
        assert NAME in names()
        assert command("exec", NAME, "b", "sh", "-c", "exit 7").exit_code == 7
    finally:
        for said in (f"lab {NAME} is gone", f"there is no lab {NAME}"):
            assert command("down", NAME).output.strip() == said
    assert not any(folder.exists() for folder in cgroups.folders(cgroups.version(), NAME))
