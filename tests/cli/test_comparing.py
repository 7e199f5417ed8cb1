"""The command that compares, and the list of solvers that it takes names from."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from hocket.comparison import pool
from hocket.comparison.rows import Record, Row
from hocket.comparison.work import Desk

HOME = Path(__file__).parent.parent.parent / "examples" / "home.toml"
SUITE = """
format = "hocket.suite/1"
solvers = ["local", "linear_scan"]
clusters.pair.architecture = "one_to_one"

[[problems]]
name = "pair"
models = ["zoo:lenet"]
clusters = ["pair"]
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite file; its rows are done in this process."""

    def records(rows: Sequence[Row], jobs: int) -> Iterator[Record]:
        desk = Desk()
        return (desk.do(row, lambda: None) for row in rows)

    monkeypatch.setattr(pool, "records", records)
    path = tmp_path / "tiny.toml"
    path.write_text(SUITE)
    return path


def test_compare_prints_one_json_object_and_goes_on_where_it_stopped(
    hocket: Callable, suite: Path, tmp_path: Path
) -> None:
    first, again, fresh = (
        json.loads(hocket("compare", suite, "-o", tmp_path / "out", *words, "--json").out)
        for words in ([], ["--resume"], ["--fresh", "--jobs", 1])
    )
    assert (first["suite"], first["rows"], first["new_rows"]) == ("tiny", 3, 3)
    assert (again["new_rows"], fresh["new_rows"]) == (0, 3)
    assert Path(first["report"]).is_file()
    assert [solver["name"] for solver in first["solvers"]] == ["local", "linear_scan"]
    assert first["problems"][0]["bound"] <= first["problems"][0]["best"]
    assert first["broken_bounds"] == []


def test_compare_prints_a_table(hocket: Callable, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = hocket("compare", suite)
    assert ran.code == 0, ran.err
    assert "tiny: 1 problems" in ran.out
    assert "linear_scan" in ran.out
    assert (tmp_path / "compare-tiny" / "results.csv").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["compare", "survy"], "hocket: there is no suite 'survy'; give a TOML file or one of peers, scale, survey"),
        (["compare", "survey", "--on", "here"],
         "hocket: rows are done here or on ray://HOST:PORT, got 'here'; correct the address"),
        (["solvers", "auti"], "hocket: there is no solver 'auti'; did you mean 'auto'?"),
    ],
)  # fmt: skip
def test_a_users_error_is_one_sentence(hocket: Callable, words: list[str], sentence: str) -> None:
    ran = hocket(*words)
    assert (ran.code, ran.out, ran.err.strip()) == (1, "", sentence)


def test_solvers_have_all_their_heads_as_json(hocket: Callable) -> None:
    rows = json.loads(hocket("solvers", "--json").out)["solvers"]
    for row in rows:
        assert {"name", "family", "solves", "answer", "source", "cards"} <= row.keys()
    assert {row["family"] for row in rows if row["name"] == "auto"} == {"general"}


def test_solvers_are_shown_by_family_and_one_in_full(hocket: Callable) -> None:
    ran = hocket("solvers")
    assert "general (8)" in ran.out
    one = hocket("solvers", "chain_dp")
    assert "answer" in one.out
    assert "EdgeShard" in one.out
    assert "min_cut" not in one.out


def test_solvers_say_who_would_solve_a_problem_and_why_the_others_refuse(hocket: Callable, tmp_path: Path) -> None:
    (tmp_path / "home.toml").write_text(HOME.read_text())
    problem = tmp_path / "problem.toml"
    problem.write_text('format = "hocket.problem/1"\ncluster = "home.toml"\n[[task]]\nmodel = "zoo:toy_dag"\n')
    rows = json.loads(hocket("solvers", "--for", problem, "--json").out)["solvers"]
    refuses = {row["name"]: row["refuses"] for row in rows}
    assert refuses["auto"] is None
    assert refuses["min_cut"] == "it divides a model over two nodes that compute, and here 3 do"
    shown = hocket("solvers", "--for", problem).out
    assert "would solve it: general" in shown
    assert "refuse it: general" in shown
    assert f"of {len(rows)} solvers would solve" in shown
