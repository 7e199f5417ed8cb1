"""The constraints C2 to C6 of the survey and the limits of an objective, each in one place.

C1 (the plan covers the graph, on nodes that exist and can reach each other) is checked by `plan.lower`, and who sees
private tensors by `cost.trust`, entry by entry.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from hocket.cost.cost import Cost, Violation
from hocket.cost.objective import FIELDS, figure
from hocket.cost.problem import Problem
from hocket.plan import Plan
from hocket.plan.shares import overbooked, reserved, whole_of_station
from hocket.units import show

Shares = Mapping[str, Mapping[str, float]]
"""Node or resource -> task -> the fraction that it takes from the others."""
_LEAST_LEFT = 1e-9


def violations(
    problem: Problem, cost: Cost, costs: Mapping[str, Cost], plan: Plan | None = None
) -> tuple[Violation, ...]:
    """Every broken constraint, with the values and what would make it fit.

    Args:
        problem: the constraints.
        cost: of all tasks together.
        costs: task -> its own cost, with what its entries break by themselves; refused tasks are not there.
        plan: whose shares are added up; absent = nobody has a share.
    """
    shares = reserved(problem.cluster, plan) if plan else {}
    return (
        *(broken for own in costs.values() for broken in own.violations),
        *_shares(problem, shares),
        *_load(problem, costs, shares),
        *_per_task(problem, costs),
        *_memory(problem, cost),
        *_limits(problem, cost),
    )


def _constraint(problem: Problem, whole: str) -> Literal["C2", "C4"]:
    return "C2" if whole in problem.cluster.node else "C4"


def _shares(problem: Problem, shares: Shares) -> Iterator[Violation]:
    """C2 and C4 for what is given away in shares."""
    for whole, total in overbooked(shares):
        constraint = _constraint(problem, whole)
        yield Violation(
            constraint=constraint,
            sentence=f"{constraint}: the shares of a resource add up to at most 1, and those of {whole!r} to"
            f" {total:.6g}; lower one",
        )


def _load(problem: Problem, costs: Mapping[str, Cost], shares: Shares) -> Iterator[Violation]:
    """C2 for nodes, C4 for links: what arrives per second must be less than what can be done."""
    loads: dict[str, float] = {}
    for task in problem.tasks:
        if task.name in costs:
            for name, seconds in costs[task.name].busy_s.items():
                if seconds:
                    loads[name] = loads.get(name, 0.0) + task.rate_per_s * seconds
    for name, load in sorted(loads.items()):
        whole = whole_of_station(name)
        constraint = _constraint(problem, whole)
        left = 1 - sum(shares.get(name, {}).values())  # a share itself has no shares
        if load >= 1:
            remedy = "use a larger share" if whole != name else "move work elsewhere"
            yield Violation(
                constraint=constraint,
                sentence=f"{constraint}: a station works less than all the time, and {name!r} would be busy"
                f" {load:.3g} seconds per second; lower the rate or {remedy}",
            )
        elif load >= left or left < _LEAST_LEFT:
            yield Violation(
                constraint=constraint,
                sentence=f"{constraint}: tasks without a share have what the shares leave, and of {name!r} that is"
                f" {max(left, 0.0):.3g} where they would need {load:.3g}; lower the shares or give them some",
            )


def _per_task(problem: Problem, costs: Mapping[str, Cost]) -> Iterator[Violation]:
    for task in problem.tasks:
        if task.name not in costs:
            continue
        cost = costs[task.name]
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
        if metric == "leakage":
            continue  # it says which tensors are private
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
