"""A row of the table: what is solved by what, and what came of it."""

import hashlib
from typing import Any, Literal

import msgspec

from hocket.comparison.instances import Instance
from hocket.nouns import Value
from hocket.version import __version__

Kind = Literal["solve", "bound", "run"]
Status = Literal["solved", "refused", "infeasible", "late", "error"]


class Row(Value, frozen=True):
    """One thing to do: solve a problem with a solver, bound it, or run a plan."""

    kind: Kind
    instance: Instance
    solver: str = ""
    """Its name in the suite; empty for a bound."""
    base: str = ""
    """The solver's own name."""
    options: dict[str, Any] = {}
    family: str = ""
    seed: int = 0
    time_limit_s: float | None = None
    kill_after_s: float = 60.0
    requests: int = 0
    repeats: int = 0

    @property
    def key(self) -> str:
        """Of everything that the result follows from, the version of hocket included."""
        data = msgspec.json.encode((__version__, self), order="sorted")
        return hashlib.sha256(data).hexdigest()[:24]


class Record(Value, frozen=True):
    """What came of a row. Seconds, joules, US dollars; None = not known."""

    key: str
    kind: Kind
    problem: str
    group: str
    architecture: str
    objective: str
    metric: str
    solver: str
    family: str
    seed: int
    status: Status
    sentence: str = ""
    """Why there is no plan, or what came in the way."""
    value: float | None = None
    """Of the objective, as the judge sees it."""
    bound: float | None = None
    """What the solver itself proves, or for a bound the bound."""
    over: str = ""
    """Over which plans the solver proves its plan the best."""
    solve_s: float | None = None
    latency_s: float | None = None
    sequential_s: float | None = None
    period_s: float | None = None
    energy_j: float | None = None
    price_usd: float | None = None
    reliability: float | None = None
    nodes: int | None = None
    """How many compute."""
    covered: bool | None = None
    """Whether the bound is about such plans: each operator whole on one node, the same one for every request, and
    activations as they are."""
    predicted_s: float | None = None
    measured_s: float | None = None
    max_rel_error: float | None = None


def record_of(row: Row, status: Status, **figures: Any) -> Record:
    """The record of a row."""
    instance = row.instance
    return Record(
        key=row.key,
        kind=row.kind,
        problem=instance.name,
        group=instance.group,
        architecture=instance.architecture,
        objective=instance.objective_name,
        metric=instance.objective.metric,
        solver=row.solver,
        family=row.family,
        seed=row.seed,
        status=status,
        **figures,
    )
