"""Tables and reports in the terminal."""

import io

import pytest
from rich.console import Console

from hocket.control.run import Figures, Spread
from hocket.cost import Problem, evaluate
from hocket.plan.placement import plan_for
from hocket.solvers import Solution
from hocket.view import print_cost, print_demo, print_facts, print_report, print_solution, print_table
from hocket.view.tables import cell, heading


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def lines_of(console: Console) -> list[list[str]]:
    return [line.split() for line in text_of(console).splitlines()]


def test_numbers_have_the_unit_that_their_column_names(console: Console) -> None:
    rows = [
        {"name": "local", "predicted_s": 0.1, "measured_s": 0.11, "error": 0.1, "nbytes": 2048},
        {"name": "min_cut", "predicted_s": 0.05, "measured_s": None, "error": -0.02},
    ]
    print_table("candidates", rows, mark="min_cut", console=console)
    assert lines_of(console) == [
        ["candidates"],
        ["name", "predicted", "measured", "error", "size"],
        ["local", "100", "ms", "110", "ms", "+10.0", "%", "2", "KiB"],
        ["min_cut", "*", "50", "ms", "-2.0", "%"],
    ]


def test_no_rows_are_said_in_words(console: Console) -> None:
    print_table("crossings", [], console=console)
    assert text_of(console) == "crossings: none\n"


def test_text_is_not_taken_for_markup(console: Console) -> None:
    print_table("[red]t", [{"name": "[bold]x[/bold]"}], console=console)
    print_facts("f", {"[i]": "[/nothing]"}, console=console)
    assert "[bold]x[/bold]" in text_of(console)
    assert "[/nothing]" in text_of(console)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("latency_s", float("inf"), "never ends"),
        ("rate", float("inf"), "unlimited"),
        ("error", float("nan"), "unknown"),
        ("energy_j", 1.5, "1.5 J"),
        ("price_usd", 0.25, "0.25 USD"),
        ("memory_bytes", 2**20, "1 MiB"),
        ("bytes_per_s", 5e6, "40 Mbit/s"),
        ("flops_per_s", 8e9, "8 GFLOP/s"),
        ("flops", 6e8, "600 MFLOP"),
        ("throughput_per_s", 12.345, "12.3 /s"),
        ("operators", ["a", "b"], "a, b"),
        ("scale", 1.2345678, "1.235"),
    ],
)
def test_a_cell(name: str, value: object, text: str) -> None:
    assert cell(name, value) == text


def test_a_heading_has_no_unit() -> None:
    assert [heading(name) for name in ("memory_bytes", "flops_per_s", "max_abs_error", "cut_points")] == [
        "memory", "flops per s", "largest difference", "cut points",
    ]  # fmt: skip


def test_a_solution_shows_its_stages_crossings_and_candidates(problem: Problem, console: Console) -> None:
    task = problem.task
    plan = plan_for(task.name, task.graph, ["phone"] * 3 + ["edge"] * 3)
    cost = evaluate(problem, plan)
    candidates = {"local": 9.9, "remote:cloud": None}
    print_solution(
        Solution(problem=problem, plan=plan, cost=cost, solver="by hand", bound=0.001, gap=0.5, candidates=candidates),
        console=console,
    )
    text = text_of(console)
    for words in ("by hand *", "gap", "50.0 %", "crossings (3)", "not possible", "9.9 s", "medium:air", "8 KiB"):
        assert words in text
    assert "task" not in text


def test_a_broken_constraint_is_printed(problem: Problem, console: Console) -> None:
    late = problem.replace(tasks=(problem.task.replace(deadline_s=1e-6),))
    plan = plan_for(problem.task.name, problem.task.graph, ["phone"] * 6)
    print_cost(evaluate(late, plan), console=console)
    assert "C3: 'diamond' is due after 1 us" in text_of(console)


def test_a_report_shows_predicted_beside_measured(console: Console) -> None:
    report = Figures(
        predicted_s=0.1, measured_s=Spread(p50=0.105, p90=0.12, n=20), prediction_error=0.05, predicted_period_s=0.05,
        throughput_per_s=16.0, max_abs_error=1e-6, max_rel_error=1e-7, emulated=True, segments=3, transfers=2,
    )  # fmt: skip
    print_report(report, console=console)
    lines = lines_of(console)
    assert lines[2] == ["latency", "100", "ms", "105", "ms", "+5.0", "%"]
    assert lines[3] == ["period", "50", "ms", "62.5", "ms", "+25.0", "%"]
    assert ["emulated", "yes"] in lines
    assert "disturb each other" not in text_of(console)


def test_a_crowded_computer_is_said_to_be_one(console: Console) -> None:
    report = Figures(
        predicted_s=0.1, measured_s=Spread(p50=0.2, p90=0.3, n=20), prediction_error=1.0, predicted_period_s=0.05,
        throughput_per_s=16.0, max_abs_error=0.0, max_rel_error=0.0, emulated=True, segments=3, transfers=2,
        crowding=1.5,
    )  # fmt: skip
    print_report(report, console=console)
    assert "The emulated nodes want 150% of this computer's processors" in " ".join(text_of(console).split())


def test_the_demo_marks_what_it_chose(console: Console) -> None:
    candidates = [
        {"name": "local", "predicted_s": 0.1, "measured_s": 0.12, "top1": 281, "label": "tabby"},
        {"name": "min_cut", "predicted_s": 0.05, "measured_s": 0.05, "top1": 281, "label": "tabby"},
    ]
    weak = {"candidates": {"local": 0.1}, "chosen": ["phone"], "predicted_s": 0.1}
    stages = [{"node": "phone", "operators": 3}]
    result = {"candidates": candidates, "chosen": "min_cut", "stages": stages, "bound_s": 0.05, "weak_links": weak}
    print_demo(result, console=console)
    lines = lines_of(console)
    assert lines[2] == ["local", "100", "ms", "120", "ms", "+20.0", "%", "281", "tabby"]
    assert lines[3][:2] == ["min_cut", "*"]
    assert ["phone", "3"] in lines
    assert ["bound", "50", "ms"] in lines
    assert text_of(console).endswith("With weak links the best plan computes on phone alone (100 ms predicted).\n")
