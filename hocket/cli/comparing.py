"""The command that compares solvers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hocket import view
from hocket.cli.common import Json, console, print_json, progress_bar
from hocket.comparison import SUITES, Comparison, load_suite
from hocket.comparison import compare as compare_suite
from hocket.comparison.scores import Summary


def compare(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help=f"A suite file (TOML), or one of {', '.join(SUITES)}.")],
    on: Annotated[str | None, typer.Option(help="A Ray cluster: ray://HOST:PORT; default: this computer.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Processes at the same time; default: one per core.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the results; default: compare-NAME.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Keep the rows that the folder has, or do all again.")
    ] = True,
    json: Json = False,
) -> None:
    """Solve every problem of a suite with every solver: a table, a report, ranks and gaps."""
    chosen = load_suite(suite)
    with progress_bar(quiet=json) as tell:
        found = compare_suite(
            chosen, folder=output or Path(f"compare-{chosen.name}"), on=on, jobs=jobs, resume=resume, progress=tell
        )
    if json:
        print_json(_summary(found))
        return
    rows = [_row(summary) for summary in found.scores.solvers if summary.counts["solved"]]
    view.print_table(f"{chosen.title or chosen.name}: {len(found.scores.problems)} problems", rows)
    failed = sum(summary.counts["error"] for summary in found.scores.solvers)
    if failed:
        console.print(f"{failed} rows ended with an error; the report says which")
    console.print(f"wrote {found.report}")


def _row(summary: Summary) -> dict[str, Any]:
    """A solver in the table of the terminal, which has no room for more."""
    return {
        "solver": summary.name,
        "solved": summary.counts["solved"],
        "late": summary.counts["late"],
        "best": summary.best,
        "within 1 %": summary.near,
        "factor": summary.factor,
        "gap": summary.gap,
        "time_s": summary.solve_s,
    }


def _summary(found: Comparison) -> dict[str, Any]:
    scores = found.scores
    return {
        "suite": found.suite.name,
        "folder": str(found.folder),
        "report": str(found.report),
        "rows": len(scores.records) + len(scores.bounds) + len(scores.runs),
        "new_rows": found.new,
        "problems": [
            {
                "name": problem.name,
                "best": problem.best,
                "bound": problem.bound,
                "gap": problem.gap,
                "winners": problem.winners,
            }
            for problem in scores.problems.values()
        ],
        "solvers": [
            {
                "name": summary.name,
                "family": summary.family,
                **summary.counts,
                "best": summary.best,
                "near": summary.near,
                "rank": summary.rank,
                "factor": summary.factor,
                "gap": summary.gap,
                "solve_s": summary.solve_s,
            }
            for summary in scores.solvers
        ],
        "runs": [
            {
                "problem": run.problem,
                "solver": run.solver,
                "status": run.status,
                "sentence": run.sentence,
                "predicted_s": run.predicted_s,
                "measured_s": run.measured_s,
            }
            for run in scores.runs
        ],
        "broken_bounds": scores.broken,
    }


COMMANDS = (compare,)
