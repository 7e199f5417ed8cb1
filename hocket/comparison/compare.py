"""The verb: do every row of a suite, and write the table and the report."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hocket.comparison import on_ray, pool
from hocket.comparison.instances import instances_of
from hocket.comparison.load import check_suite, chosen_solvers, known_solvers, load_suite
from hocket.comparison.report import write_report
from hocket.comparison.rows import Record, Row
from hocket.comparison.scores import Scores
from hocket.comparison.store import Store
from hocket.comparison.suite import Suite
from hocket.comparison.tables import parquet_package, write_csv, write_parquet
from hocket.control.progress import Progress, silent
from hocket.errors import FormatError
from hocket.solvers.heads import family_of
from hocket.units import parse

Do = Callable[[Sequence[Row]], Iterator[Record]]
_RUN_S = 300.0
"""Most seconds to solve and run one plan of the sample."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison found, and where it is written."""

    suite: Suite
    scores: Scores
    folder: Path
    new: int
    """How many rows were done now; the others were there already."""

    @property
    def report(self) -> Path:
        """The page to open in a browser."""
        return self.folder / "report.html"


def compare(
    suite: Suite | str | Path,
    *,
    folder: str | Path,
    on: str | None = None,
    jobs: int | None = None,
    resume: bool = True,
    progress: Progress = silent,
) -> Comparison:
    """Solve every problem of a suite with every solver, and write `results.csv`, `results.parquet`, `report.html`.

    Args:
        suite: a suite, the path of one, or the name of one that comes with hocket.
        folder: where the results go; rows that are finished are kept in it.
        on: a Ray cluster such as "ray://head:10001"; absent = processes on this computer.
        jobs: processes at the same time; absent = as many as there are cores.
        resume: keep rows that are done, if neither they nor the version of hocket changed.
        progress: told how many rows are done.

    Raises:
        FormatError: a suite that contradicts itself, or a folder that cannot be written.
        NodeError: the Ray cluster cannot be reached.
        MissingError: pyarrow is not installed, or Ray where it is needed.
    """
    parquet_package()  # better missed now than after the last row
    if on is not None:
        if not on.startswith("ray://"):
            raise FormatError(f"rows are done here or on ray://HOST:PORT, got {on!r}; correct the address")
        on_ray.ray_package()
    if jobs is not None and jobs < 1:
        raise FormatError(f"a comparison needs at least one process, got {jobs}; ask for more")
    suite = suite if isinstance(suite, Suite) else load_suite(suite)
    check_suite(suite)
    rows, sample = rows_of(suite), sample_of(suite)
    folder = Path(folder)
    store = Store(folder, resume=resume)
    here: Do = partial(pool.records, jobs=jobs or os.cpu_count() or 1)
    new = _do(rows, partial(on_ray.records, address=on) if on else here, store, progress, "solving")
    # One at a time: what is measured must not be disturbed.
    new += _do(sample, partial(pool.records, jobs=1), store, progress, "running the sample")
    scores = Scores(tuple(store.records[row.key] for row in (*rows, *sample)))
    write_csv(scores, folder / "results.csv")
    write_parquet(scores, folder / "results.parquet")
    write_report(suite, scores, folder / "report.html")
    return Comparison(suite=suite, scores=scores, folder=folder, new=new)


def rows_of(suite: Suite) -> list[Row]:
    """A bound for every problem, then each of its solvers with each seed."""
    kill_after_s = parse(suite.kill_after, "seconds")
    limits: dict[str, Any] = {"time_limit_s": _time_limit_s(suite), "kill_after_s": kill_after_s}
    rows = []
    for group in suite.problems:
        names = chosen_solvers(suite, group)
        for instance in instances_of(suite, group):
            rows.append(Row(kind="bound", instance=instance, kill_after_s=kill_after_s))
            rows += [
                Row(kind="solve", instance=instance, **_solver(suite, name), seed=seed, **limits)
                for name in names
                for seed in suite.seeds
            ]
    return rows


def sample_of(suite: Suite) -> list[Row]:
    """Each plan that is run; the first seed only."""
    return [
        Row(
            kind="run",
            instance=instance,
            **_solver(suite, name),
            seed=suite.seeds[0],
            time_limit_s=_time_limit_s(suite),
            kill_after_s=_RUN_S,
            requests=group.requests,
            repeats=group.repeats,
        )
        for group in suite.sample
        for instance in instances_of(suite, group)
        for name in chosen_solvers(suite, group)
    ]


def _time_limit_s(suite: Suite) -> float | None:
    return parse(suite.time_limit, "seconds") if suite.time_limit else None


def _solver(suite: Suite, name: str) -> dict[str, Any]:
    options = dict(suite.settings.get(name, {}))
    base = options.pop("solver", name)
    return {"solver": name, "base": base, "options": options, "family": family_of(known_solvers()[base])}


def _do(rows: Sequence[Row], do: Do, store: Store, progress: Progress, what: str) -> int:
    """Do the rows that are not done; how many those were."""
    missing = [row for row in rows if row.key not in store.records]
    done = len(rows) - len(missing)
    if rows:
        progress(what, done, len(rows))
    for number, record in enumerate(do(missing) if missing else (), 1):
        store.add(record)
        progress(what, done + number, len(rows))
    return len(missing)
