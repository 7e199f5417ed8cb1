"""The one number that is minimised."""

from hocket.cost.cost import Cost
from hocket.cost.problem import Problem
from hocket.errors import FormatError

FIELDS = {
    "latency": "latency_s",
    "sequential": "sequential_s",
    "period": "period_s",
    "energy": "energy_j",
    "price": "price_usd",
}


def value(problem: Problem, cost: Cost) -> float:
    """The objective of a cost, in the metric's SI unit; for `weighted` without unit.

    `weighted` adds weight x metric / reference, where the reference is the metric when everything runs at the source
    (1 where that is 0), because seconds, joules and dollars cannot be added (survey 2.3, S15). What it costs to
    refuse tasks is added as it is.
    """
    objective = problem.objective
    refusals = sum(task.refusal_cost or 0.0 for task in problem.tasks if task.name in cost.refused)
    if objective.metric != "weighted":
        return figure(cost, objective.metric) + refusals
    references = problem.references
    return refusals + sum(
        weight * figure(cost, metric) / (references[metric] or 1.0)
        for metric, weight in sorted(objective.weights.items())
    )


def figure(cost: Cost, metric: str) -> float:
    """A metric of a cost by its name.

    Raises:
        FormatError: no such metric.
    """
    if metric not in FIELDS:
        raise FormatError(f"a metric is one of {', '.join(FIELDS)}, got {metric!r}; correct the name")
    return float(getattr(cost, FIELDS[metric]))
