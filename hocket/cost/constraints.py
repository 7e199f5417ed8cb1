"""The constraints C2 to C6 of the survey and the limits of an objective, each in one place.

C1 (the plan covers the graph, on nodes that exist and can reach each other) is checked by `plan.lower`.
"""

from collections.abc import Iterator, Sequence

from hocket.cost.cost import Cost, Violation
from hocket.cost.objective import FIELDS, figure
from hocket.cost.problem import Problem
from hocket.units import show


def violations(problem: Problem, cost: Cost, costs: Sequence[Cost]) -> tuple[Violation, ...]:
    """Every broken constraint, with the values and what would make it fit.

    Args:
        problem: the constraints.
        cost: of all tasks together.
        costs: of each task, in the order of the problem's tasks.
    """
    return (*_load(problem, costs), *_per_task(problem, costs), *_memory(problem, cost), *_limits(problem, cost))


def _load(problem: Problem, costs: Sequence[Cost]) -> Iterator[Violation]:
    """C2 for nodes, C4 for links: what arrives per second must be less than what can be done."""
    loads: dict[str, float] = {}
    for task, cost in zip(problem.tasks, costs, strict=True):
        for name, seconds in cost.busy_s.items():
            loads[name] = loads.get(name, 0.0) + task.rate_per_s * seconds
    for name, load in sorted(loads.items()):
        if load >= 1:
            constraint = "C2" if name in problem.cluster.node else "C4"
            yield Violation(
                constraint=constraint,
                sentence=f"{constraint}: a station works less than all the time, and {name!r} would be busy"
                f" {load:.3g} seconds per second; lower the rate or move work elsewhere",
            )


def _per_task(problem: Problem, costs: Sequence[Cost]) -> Iterator[Violation]:
    for task, cost in zip(problem.tasks, costs, strict=True):
        latency = cost.sojourn_s if cost.sojourn_s is not None else cost.latency_s
        if task.deadline_s is not None and latency > task.deadline_s:
            yield Violation(
                constraint="C3",
                sentence=f"C3: {task.name!r} is due after {show(task.deadline_s, 's')} and takes {show(latency, 's')};"
                " allow more time or use faster nodes",
            )
        if task.accuracy_floor is not None and (cost.accuracy is None or cost.accuracy < task.accuracy_floor):
            known = "is not known" if cost.accuracy is None else f"is {cost.accuracy:.4g}"
            yield Violation(
                constraint="C5",
                sentence=f"C5: {task.name!r} needs an accuracy of {task.accuracy_floor:.4g} and this plan's {known};"
                " measure it or lower the floor",
            )
        if task.reliability_floor is not None and cost.reliability < task.reliability_floor:
            yield Violation(
                constraint="limit",
                sentence=f"reliability: {task.name!r} needs {task.reliability_floor:.6g} and gets"
                f" {cost.reliability:.6g}; use fewer or more reliable nodes",
            )


def _memory(problem: Problem, cost: Cost) -> Iterator[Violation]:
    for name, need in sorted(cost.memory_bytes.items()):
        room = problem.cluster.node[name].memory_bytes
        if room is not None and need > room:
            yield Violation(
                constraint="C6",
                sentence=f"C6: {name!r} has {show(room, 'B')} and would need {show(need, 'B')};"
                f" add {show(need - room, 'B')} or move operators elsewhere",
            )


def _limits(problem: Problem, cost: Cost) -> Iterator[Violation]:
    for metric, limit in sorted(problem.objective.limits.items()):
        if metric == "reliability":
            if cost.reliability < limit:
                yield Violation(
                    constraint="limit",
                    sentence=f"limit: reliability is at least {limit:.6g}, and this plan's is {cost.reliability:.6g};"
                    " lower the limit or use fewer nodes",
                )
        elif metric == "accuracy":
            if cost.accuracy is None or cost.accuracy < limit:
                known = "is not known" if cost.accuracy is None else f"is {cost.accuracy:.4g}"
                yield Violation(
                    constraint="limit",
                    sentence=f"limit: accuracy is at least {limit:.4g}, and this plan's {known};"
                    " measure it or lower the limit",
                )
        elif (found := figure(cost, metric)) > limit:
            yield Violation(
                constraint="limit",
                sentence=f"limit: {FIELDS[metric]} is at most {limit:.6g}, and this plan's is {found:.6g};"
                " raise the limit or change the objective",
            )
