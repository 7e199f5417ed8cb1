"""The records as tables for other programs: CSV, and Parquet with the same columns."""

import csv
import io
from importlib import import_module
from pathlib import Path
from typing import Any

from hocket.comparison.scores import Scores, factor_of, gap_of
from hocket.errors import MissingError
from hocket.nouns import write_whole

COLUMNS: dict[str, type] = {
    "problem": str,
    "group": str,
    "architecture": str,
    "objective": str,
    "metric": str,
    "solver": str,
    "family": str,
    "seed": int,
    "status": str,
    "value": float,
    "lower_bound": float,
    "gap": float,
    "covered": bool,
    "rank": int,
    "factor": float,
    "solve_s": float,
    "latency_s": float,
    "sequential_s": float,
    "period_s": float,
    "energy_j": float,
    "price_usd": float,
    "reliability": float,
    "nodes": int,
    "over": str,
    "predicted_s": float,
    "measured_s": float,
    "max_rel_error": float,
    "sentence": str,
}
"""Column -> type; a row per solver, problem and seed, and one per plan of the sample that was run."""


def rows_of(scores: Scores) -> list[dict[str, Any]]:
    """The rows of the table. `lower_bound`, `gap`, `rank` and `factor` are against all solvers of the problem."""
    rows = []
    for record in (*scores.records, *scores.runs):
        problem = scores.problems.get(record.problem)
        found = {name: getattr(record, name, None) for name in COLUMNS}
        if problem is not None and record.kind == "solve":
            solved = record.status == "solved" and record.value is not None and problem.best is not None
            found |= {
                "lower_bound": problem.bound,
                "gap": gap_of(record.value, problem.bound) if solved else None,
                "rank": problem.cells[record.solver].rank,
                "factor": factor_of(record.value or 0.0, problem.best or 0.0) if solved else None,
            }
        rows.append(found)
    return rows


def write_csv(scores: Scores, path: Path) -> Path:
    """Write `results.csv`; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows_of(scores))
    return write_whole(path, text.getvalue().encode())


def parquet_package() -> Any:
    """The package that writes Parquet.

    Raises:
        MissingError: it is not installed.
    """
    try:
        return import_module("pyarrow.parquet")
    except ImportError:
        raise MissingError(
            "a comparison writes Parquet with pyarrow, which is not installed; install hocket[compare]"
        ) from None


def write_parquet(scores: Scores, path: Path) -> Path:
    """Write `results.parquet`."""
    parquet, arrow = parquet_package(), import_module("pyarrow")
    types = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
    schema = arrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pylist(rows_of(scores), schema=schema), sink)
    return write_whole(path, sink.getvalue().to_pybytes())
