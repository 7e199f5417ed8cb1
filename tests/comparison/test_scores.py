"""Ranks, factors, gaps and shares, on a table that can be checked by hand."""

from typing import Any

import pytest

from hocket.comparison.rows import Record
from hocket.comparison.scores import Scores, share_within


def record(solver: str, problem: str, value: float | None = None, **fields: Any) -> Record:
    known: dict[str, Any] = {
        "key": f"{solver} {problem} {fields.get('seed', 0)}",
        "kind": "solve",
        "problem": problem,
        "group": "g",
        "architecture": "one_to_one",
        "objective": "latency",
        "metric": "latency",
        "solver": solver,
        "family": "cuts" if solver in "ab" else "tiles",
        "seed": 0,
        "status": "refused" if value is None else "solved",
        "value": value,
        "covered": None if value is None else True,
        "solve_s": None if value is None else 0.5,
    }
    return Record(**known | fields)


def bound(problem: str, value: float | None) -> Record:
    return record("", problem, kind="bound", status="solved", bound=value, family="")


TABLE = [
    bound("p", 1.5),
    record("a", "p", 2.0),
    record("b", "p", 2.0 * (1 + 1e-12)),
    record("c", "p", 4.0),
    bound("q", None),
    record("a", "q", 3.0, bound=2.4),
    record("b", "q"),
    record("c", "q", 2.0, covered=False),
]


def test_ranks_and_factors() -> None:
    scores = Scores(TABLE)
    cells = scores.problems["p"].cells
    assert {name: cell.rank for name, cell in cells.items()} == {"a": 1, "b": 1, "c": 3}
    assert [cells[name].factor for name in "abc"] == [1.0, 1.0, 2.0]
    assert scores.problems["p"].winners == ["a", "b"]
    assert scores.problems["q"].winners == ["c"]


def test_gaps_are_against_the_highest_bound_and_may_be_negative_for_plans_that_it_is_not_about() -> None:
    scores = Scores(TABLE)
    assert [scores.problems["p"].cells[name].gap for name in "ac"] == [0.25, 0.625]
    assert scores.problems["p"].gap == 0.25
    assert scores.problems["q"].bound == 2.4
    assert scores.problems["q"].cells["a"].gap == pytest.approx(0.2)
    assert scores.problems["q"].cells["c"].gap == pytest.approx(-0.2)


def test_a_bound_that_a_plan_contradicts_is_named_and_not_used() -> None:
    scores = Scores([bound("p", 1.0), record("a", "p", 3.0, bound=2.9), record("b", "p", 2.0)])
    assert scores.broken == ["p: a says that nothing is below 2.9, and the plan of b has 2"]
    assert scores.problems["p"].bound == 1.0


def test_summaries_count_and_take_medians() -> None:
    by_name = {summary.name: summary for summary in Scores(TABLE).solvers}
    assert by_name["b"].counts == {"solved": 1, "refused": 1, "infeasible": 0, "late": 0, "error": 0}
    assert (by_name["a"].best, by_name["a"].near, by_name["a"].rank, by_name["a"].factor) == (1, 1, 1.5, 1.25)
    assert by_name["c"].factors == (1.0, 2.0)


def test_a_family_is_as_good_as_the_best_of_its_solvers() -> None:
    by_name = {summary.name: summary for summary in Scores(TABLE).families}
    assert list(by_name) == ["cuts", "tiles"]
    assert (by_name["cuts"].counts["solved"], by_name["cuts"].best) == (2, 1)


def test_shares_of_a_performance_profile() -> None:
    by_name = {summary.name: summary for summary in Scores(TABLE).solvers}
    assert [share_within(by_name["c"], factor, of=2) for factor in (1.0, 1.9, 2.0)] == [0.5, 0.5, 1.0]
    assert share_within(by_name["b"], 100.0, of=2) == 0.5


def test_seeds_count_by_their_median() -> None:
    seeds = [record("a", "p", value, seed=seed) for seed, value in enumerate([1.0, 5.0, 3.0])]
    late = record("a", "p", None, seed=3, status="late")
    cell = Scores([*seeds, late]).problems["p"].cells["a"]
    assert (cell.value, cell.seeds, cell.status) == (3.0, 4, "solved")


def test_a_problem_that_nobody_solves() -> None:
    scores = Scores([bound("p", 1.0), record("a", "p", status="late", solve_s=10.0), record("b", "p")])
    assert (scores.problems["p"].best, scores.problems["p"].gap, scores.problems["p"].winners) == (None, None, [])
    assert scores.solvers[0].solve_s is None
