"""What the commands print: a solution, a cost, a run, the demo."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from hocket.cost import Cost
from hocket.solvers import Solution
from hocket.units import show
from hocket.view.tables import Row, print_facts, print_table

if TYPE_CHECKING:  # the figures of a run come from a part that loads the runtime, which tables do not need
    from hocket.control.run import Figures

_METRIC_UNITS = {"latency": "s", "sequential": "s", "period": "s", "energy": "J", "price": "USD"}
_CROSSINGS = 12  # more are counted, not listed


def print_solution(solution: Solution, *, console: Console | None = None) -> None:
    """Print the figures of a solution, its stages, what crosses, and what else there would have been."""
    cost = solution.cost
    metric = solution.problem.objective.metric
    facts = {
        "solver": solution.solver,
        metric: valued(metric, cost.value),
        "bound": None if solution.bound is None else valued(metric, solution.bound),
        "gap": solution.gap,
        "planned in_s": solution.solve_s,
    }
    print_facts(solution.problem.tasks[0].name, facts, console=console)
    several = len(solution.problem.tasks) > 1
    print_table("stages", [_stage(row) for row in _of_task(solution.stages(), several)], console=console)
    crossings = _of_task(solution.crossings(), several)
    print_table(f"crossings ({len(crossings)})", crossings[:_CROSSINGS], console=console)
    others = {**solution.candidates, solution.solver: cost.value}
    rows = [
        {"plan": name, metric: "not possible" if value is None else valued(metric, value)}
        for name, value in sorted(others.items(), key=lambda item: math.inf if item[1] is None else item[1])
    ]
    print_table("candidates", rows, mark=solution.solver, console=console)
    print_cost(cost, console=console)


def _of_task(rows: Sequence[Row], several: bool) -> list[Row]:
    """Without the task's name where there is only one task."""
    return [row if several else {key: value for key, value in row.items() if key != "task"} for row in rows]


def valued(metric: str, value: float) -> str:
    """A value of an objective with its unit.

    >>> valued("latency", 0.0123), valued("weighted", 0.7512)
    ('12.3 ms', '0.751')
    """
    unit = _METRIC_UNITS.get(metric)
    return show(value, unit) if unit else f"{value:.3g}"


def _stage(row: Row) -> Row:
    """A stage with its operators as first..last and their number."""
    operators = row.get("operators")
    if not isinstance(operators, list | tuple) or not operators:
        return row
    ends = str(operators[0]) if len(operators) == 1 else f"{operators[0]}..{operators[-1]}"
    return {
        **{key: value for key, value in row.items() if key != "operators"},
        "operators": ends,
        "count": len(operators),
    }


def print_cost(cost: Cost, *, console: Console | None = None) -> None:
    """Print what a plan costs, what each resource does, and every broken constraint."""
    console = console or Console()
    facts = {
        "latency_s": cost.latency_s,
        "p95 latency_s": cost.latency_p95_s,
        "one after another_s": cost.sequential_s,
        "period_s": cost.period_s,
        "with waiting_s": cost.sojourn_s,
        "energy_j": cost.energy_j or None,
        "price_usd": cost.price_usd or None,
        "reliability": cost.reliability if cost.reliability != 1 else None,
        "accuracy": cost.accuracy,
    }
    print_facts(cost.judge, facts, console=console)
    busy = [
        {"resource": name, "busy_s": seconds, "memory_bytes": cost.memory_bytes.get(name)}
        for name, seconds in cost.busy_s.items()
    ]
    print_table("resources, per request", busy, console=console)
    for violation in cost.violations:
        console.print(Text(violation.sentence, style="bold red"))


MOST_CROWDING = 0.8
"""Share of a computer's processors that emulated nodes may want at once before they disturb each other."""


def print_report(report: "Figures", *, console: Console | None = None) -> None:
    """Print a run: predicted beside measured, distributed beside whole."""
    measured = report.measured_s
    rows: Sequence[Row] = [
        {
            "": "latency",
            "predicted_s": report.predicted_s,
            "measured_s": measured.p50,
            "error": report.prediction_error,
        },
        {
            "": "period",
            "predicted_s": report.predicted_period_s,
            "measured_s": 1 / report.throughput_per_s if report.throughput_per_s else None,
            "error": _error(report.predicted_period_s, report.throughput_per_s),
        },
    ]
    print_table(f"{measured.n} requests", rows, console=console)
    facts = {
        "slowest tenth from_s": measured.p90,
        "throughput_per_s": report.throughput_per_s,
        "max_abs_error": report.max_abs_error,
        "max_rel_error": report.max_rel_error,
        "emulated": report.emulated,
        "segments": report.segments,
        "transfers": report.transfers,
    }
    print_facts("against the whole model", facts, console=console)
    if report.crowding > MOST_CROWDING:
        said = (
            f"The emulated nodes want {report.crowding:.0%} of this computer's processors when all compute at once, so"
            " they disturb each other; slow them down more before these times are believed."
        )
        (console or Console()).print(Text(said, style="bold red"))


def _error(predicted_s: float, throughput_per_s: float) -> float | None:
    return 1 / throughput_per_s / predicted_s - 1 if throughput_per_s and predicted_s else None


def print_demo(result: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print the demo: what was run, the chosen plan marked, what it does, and what weak links would change."""
    console = console or Console()
    rows = [_with_error(row) for row in result["candidates"]]
    print_table("candidates", rows, mark=str(result.get("chosen")), console=console)
    for part in ("stages", "crossings"):
        if part in result:
            print_table(part, _of_task(result[part], several=False), console=console)
    facts = {key: value for key, value in result.items() if not isinstance(value, Mapping | list | tuple)}
    print_facts("the chosen plan", facts, console=console)
    stream = result.get("stream")
    if stream:
        where = ", ".join(f"{stage['operators']} operators on {stage['node']}" for stage in stream["stages"])
        console.print(
            Text(
                f"For pictures in a row: {where}; {stream['measured_per_s']:.3g} pictures/s measured,"
                f" {stream['predicted_per_s']:.3g} predicted, {stream['best_single_per_s']:.3g} on the best single"
                " device."
            )
        )
    weak = result.get("weak_links")
    if weak:
        where, latency = " and ".join(weak["chosen"]), show(weak["predicted_s"], "s")
        console.print(Text(f"With weak links the best plan computes on {where} alone ({latency} predicted)."))


def _with_error(row: Row) -> Row:
    predicted, measured = row.get("predicted_s"), row.get("measured_s")
    if not isinstance(predicted, int | float) or not isinstance(measured, int | float) or not predicted:
        return row
    items = list(row.items())
    at = next(number for number, (key, _) in enumerate(items) if key == "measured_s") + 1
    return dict([*items[:at], ("error", measured / predicted - 1), *items[at:]])
