"""What the records say: ranks, factors of the best, gaps to the bound, shares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median

from hocket.comparison.rows import Record, Status

SAME = 1e-9
"""Values that differ relatively by less are equal."""
NEAR = 0.01
"""A value within this fraction of the best counts as near."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One solver on one problem, its seeds taken together."""

    solver: str
    family: str
    problem: str
    status: Status
    """Solved if one seed is; else what came of the first."""
    sentence: str
    seeds: int
    value: float | None = None
    """Median of the seeds that are solved."""
    solve_s: float | None = None
    covered: bool | None = None
    over: str = ""
    factor: float | None = None
    """Value / best value of all solvers on the problem, at least 1."""
    rank: int | None = None
    """1 + how many solvers have a better value."""
    gap: float | None = None
    """(Value - bound) / value; below 0 where the bound is not about such plans."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One problem, with every solver on it."""

    name: str
    group: str
    architecture: str
    objective: str
    metric: str
    best: float | None
    bound: float | None
    """The highest that is proven: by the general bound or by a solver."""
    cells: dict[str, Cell]
    broken: tuple[str, ...] = ()
    """Bounds that a plan contradicts, in sentences; they are not used."""

    @property
    def gap(self) -> float | None:
        """Of the best value."""
        return gap_of(self.best, self.bound)

    @property
    def winners(self) -> list[str]:
        """The solvers of rank 1."""
        return [cell.solver for cell in self.cells.values() if cell.rank == 1]


@dataclass(frozen=True, slots=True)
class Summary:
    """One solver, or the best of one family, over all problems that it was asked to solve."""

    name: str
    family: str
    counts: dict[Status, int]
    best: int
    """Problems where no solver is better."""
    near: int
    """Problems where it is within 1 % of the best."""
    rank: float | None
    """Mean over the problems that it solved."""
    factor: float | None
    """Median over the problems that it solved."""
    gap: float | None
    solve_s: float | None
    worst_s: float | None
    factors: tuple[float, ...]
    """Rising, of the problems that it solved."""
    asked: int


class Scores:
    """The records of a comparison, and what follows from them."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = tuple(record for record in records if record.kind == "solve")
        self.bounds = {record.problem: record for record in records if record.kind == "bound"}
        self.runs = tuple(record for record in records if record.kind == "run")
        self.family = {record.solver: record.family for record in self.records}

    @cached_property
    def problems(self) -> dict[str, Scored]:
        """By name, in the suite's order."""
        found: dict[str, list[Record]] = {name: [] for name in self.bounds}
        for record in self.records:
            found.setdefault(record.problem, []).append(record)
        return {name: _scored(name, its, self.bounds.get(name)) for name, its in found.items() if its}

    @cached_property
    def solvers(self) -> list[Summary]:
        """In the order of the list of solvers."""
        cells: dict[str, list[Cell]] = {name: [] for name in self.family}
        for problem in self.problems.values():
            for cell in problem.cells.values():
                cells[cell.solver].append(cell)
        return [_summary(name, self.family[name], its) for name, its in cells.items()]

    @cached_property
    def families(self) -> list[Summary]:
        """Each as if one took the best of its solvers on every problem."""
        names = dict.fromkeys(self.family.values())
        return [
            _summary(
                name,
                name,
                [cell for problem in self.problems.values() if (cell := _best_of(name, problem)) is not None],
            )
            for name in names
        ]

    @property
    def broken(self) -> list[str]:
        """Every bound that a plan contradicts."""
        return [sentence for problem in self.problems.values() for sentence in problem.broken]


def gap_of(value: float | None, bound: float | None) -> float | None:
    """How far a value may be from the best possible, as a fraction of it.

    >>> gap_of(2.0, 1.5), gap_of(0.0, 0.0), gap_of(2.0, None)
    (0.25, 0.0, None)
    """
    if value is None or bound is None:
        return None
    return (value - bound) / value if value else 0.0


def factor_of(value: float, best: float) -> float:
    """Value / best; equal values have 1, and no multiple of 0 is another value.

    >>> factor_of(3.0, 2.0), factor_of(0.0, 0.0), factor_of(1.0, 0.0)
    (1.5, 1.0, inf)
    """
    if value <= best * (1 + SAME):
        return 1.0
    return value / best if best > 0 else float("inf")


def _scored(name: str, records: Sequence[Record], bound: Record | None) -> Scored:
    seeds: dict[str, list[Record]] = {}
    for record in records:
        seeds.setdefault(record.solver, []).append(record)
    cells = {solver: _cell(its) for solver, its in seeds.items()}
    values = sorted(cell.value for cell in cells.values() if cell.value is not None)
    proven, broken = _proven(records, bound)
    first = records[0]
    return Scored(
        name=name,
        group=first.group,
        architecture=first.architecture,
        objective=first.objective,
        metric=first.metric,
        best=values[0] if values else None,
        bound=proven,
        cells={solver: _ranked(cell, values, proven) for solver, cell in cells.items()},
        broken=tuple(broken),
    )


def _cell(records: Sequence[Record]) -> Cell:
    solved = [record for record in records if record.status == "solved" and record.value is not None]
    shown = solved[0] if solved else records[0]
    times = [record.solve_s for record in solved or records if record.solve_s is not None]
    return Cell(
        solver=shown.solver,
        family=shown.family,
        problem=shown.problem,
        status=shown.status,
        sentence=shown.sentence,
        seeds=len(records),
        value=median([record.value for record in solved if record.value is not None]) if solved else None,
        solve_s=median(times) if times else None,
        covered=shown.covered,
        over=shown.over,
    )


def _ranked(cell: Cell, values: Sequence[float], bound: float | None) -> Cell:
    """The cell with its place among the values of its problem, which rise."""
    if cell.value is None:
        return cell
    return replace(
        cell,
        factor=factor_of(cell.value, values[0]),
        rank=1 + sum(value * (1 + SAME) < cell.value for value in values),
        gap=gap_of(cell.value, bound),
    )


def _proven(records: Sequence[Record], bound: Record | None) -> tuple[float | None, list[str]]:
    """The highest bound that no plan contradicts, and sentences about those that one does."""
    plans = [record for record in records if record.status == "solved" and record.covered and record.value is not None]
    least = min(plans, key=lambda record: record.value or 0.0, default=None)
    proven, broken = None, []
    for record in [*([bound] if bound else []), *records]:
        if record.bound is None:
            continue
        if least is not None and least.value is not None and record.bound > least.value * (1 + SAME):
            broken.append(
                f"{record.problem}: {record.solver or 'the general bound'} says that nothing is below"
                f" {record.bound:.6g}, and the plan of {least.solver} has {least.value:.6g}"
            )
        elif proven is None or record.bound > proven:
            proven = record.bound
    return proven, broken


def _best_of(family: str, problem: Scored) -> Cell | None:
    """The best cell of a family on a problem; without a plan, the one that came nearest to having one."""
    cells = [cell for cell in problem.cells.values() if cell.family == family]
    order = ("solved", "late", "error", "infeasible", "refused")
    return min(
        cells,
        key=lambda cell: (order.index(cell.status), cell.value if cell.value is not None else 0.0, cell.solve_s or 0.0),
        default=None,
    )


def _summary(name: str, family: str, cells: Sequence[Cell]) -> Summary:
    counts: dict[Status, int] = dict.fromkeys(("solved", "refused", "infeasible", "late", "error"), 0)
    for cell in cells:
        counts[cell.status] += 1
    factors = sorted(_known(cell.factor for cell in cells))
    ranks = [cell.rank for cell in cells if cell.rank is not None]
    times = _known(cell.solve_s for cell in cells if cell.status == "solved")
    gaps = _known(cell.gap for cell in cells)
    return Summary(
        name=name,
        family=family,
        counts=counts,
        best=ranks.count(1),
        near=sum(factor <= 1 + NEAR for factor in factors),
        rank=sum(ranks) / len(ranks) if ranks else None,
        factor=median(factors) if factors else None,
        gap=median(gaps) if gaps else None,
        solve_s=median(times) if times else None,
        worst_s=max(times, default=None),
        factors=tuple(factors),
        asked=len(cells),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def share_within(summary: Summary, factor: float, *, of: int) -> float:
    """Share of a number of problems that a solver solves within a factor of the best: its performance profile.

    Source: Dolan and More, Benchmarking optimization software with performance profiles, 2002, section 2.
    """
    return sum(known <= factor * (1 + SAME) for known in summary.factors) / of if of else 0.0
