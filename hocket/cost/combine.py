"""From entries judged alone to what a plan of several tasks costs: dealing, waiting at shared stations, totals.

A station is what serves one request at a time: a node, a resource of a link, or the share that one task holds of one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hocket.cost.constraints import violations
from hocket.cost.cost import Cost
from hocket.cost.metrics import memory_bytes
from hocket.cost.objective import value
from hocket.cost.problem import Problem, Task
from hocket.cost.queueing import Queue, Stream, wait_of_streams_s
from hocket.errors import InfeasibleError
from hocket.plan import Plan
from hocket.program import Program


class Part(NamedTuple):
    """One entry of a task, judged alone and without waiting."""

    fraction: float
    """Of the task's requests; the fractions of a task add up to 1."""
    cost: Cost
    program: Program


Parts = Mapping[str, Sequence[Part]]
"""Task -> its entries; a refused task is not there."""


def combine(problem: Problem, plan: Plan, parts: Parts) -> Cost:
    """The cost of a plan from the parts of its tasks."""
    costs = costs_of(problem, parts)
    cost = together(problem, costs)
    cost = cost.replace(violations=violations(problem, cost, costs, plan))
    return cost.replace(value=value(problem, cost))


def costs_of(problem: Problem, parts: Parts, waits: Mapping[str, float] | None = None) -> dict[str, Cost]:
    """Task -> its cost with waiting, in the order of the problem.

    Args:
        problem: the tasks.
        parts: of the tasks that are asked for.
        waits: station -> mean seconds in its queue; absent = with the tasks of `parts` and no others.
    """
    if waits is None:
        waits = waits_s(problem.queue, streams_of(problem, parts))
    arrivals = any(task.rate_per_s for task in problem.tasks)
    return {
        task.name: _of_task(problem, task, parts[task.name], waits, arrivals)
        for task in problem.tasks
        if task.name in parts
    }


def streams_of(problem: Problem, parts: Parts) -> dict[str, list[Stream]]:
    """Station -> what comes to it, of all tasks."""
    streams: dict[str, list[Stream]] = {}
    for task in problem.tasks:
        for part in parts.get(task.name, ()):
            for name, seconds in visited(part):
                streams.setdefault(name, []).append(Stream(task.rate_per_s * part.fraction, seconds))
    return streams


def waits_s(queue: Queue, streams: Mapping[str, Sequence[Stream]]) -> dict[str, float]:
    """Station -> mean seconds in its queue; infinite where it is overloaded (C2 and C4 say which)."""
    if queue == "none":
        return {}
    waits = {}
    for name, met in streams.items():
        try:
            waits[name] = wait_of_streams_s(queue, met)
        except InfeasibleError:
            waits[name] = float("inf")
    return waits


def visited(part: Part) -> Iterator[tuple[str, float]]:
    """(station, seconds) of each station that a request has something to do at."""
    return ((name, seconds) for name, seconds in part.cost.busy_s.items() if seconds)


def _of_task(problem: Problem, task: Task, parts: Sequence[Part], waits: Mapping[str, float], arrivals: bool) -> Cost:
    cost = parts[0].cost if len(parts) == 1 else _dealt(problem, task, parts)
    if not arrivals:
        return cost
    wait = sum(part.fraction * sum(waits.get(name, 0.0) for name, _ in visited(part)) for part in parts)
    return cost.replace(wait_s=wait, sojourn_s=cost.latency_s + wait)


def _dealt(problem: Problem, task: Task, parts: Sequence[Part]) -> Cost:
    """One task whose requests are dealt out: means over requests; each node holds what any of them needs."""

    def mean(field: str) -> float:
        return sum(part.fraction * float(getattr(part.cost, field)) for part in parts)

    busy: dict[str, float] = {}
    for part in parts:
        for name, seconds in part.cost.busy_s.items():
            busy[name] = busy.get(name, 0.0) + part.fraction * seconds
    segments = tuple(
        segment.replace(id=f"{number}:{segment.id}")
        for number, part in enumerate(parts)
        for segment in part.program.segments
    )
    merged = parts[0].program.replace(
        segments=segments,
        tensors=tuple({tensor.name: tensor for part in parts for tensor in part.program.tensors}.values()),
        window=max(part.program.window for part in parts),
    )
    return Cost(
        judge="predicted",
        latency_s=mean("latency_s"),
        sequential_s=mean("sequential_s"),
        period_s=max(busy.values(), default=0.0),
        energy_j=mean("energy_j"),
        price_usd=mean("price_usd"),
        reliability=mean("reliability"),
        memory_bytes=memory_bytes(task.graph, merged, whole_model=problem.whole_model),
        busy_s=dict(sorted(busy.items())),
        violations=tuple(dict.fromkeys(broken for part in parts for broken in part.cost.violations)),
    )


def together(problem: Problem, costs: Mapping[str, Cost]) -> Cost:
    """Several tasks: times by the objective's aggregate, resources and money of one request of each added up."""
    refused = tuple(task.name for task in problem.tasks if task.name not in costs)
    if len(costs) == 1 and not refused:
        return next(iter(costs.values()))
    served = [task for task in problem.tasks if task.name in costs]
    each = [costs[task.name] for task in served]
    busy: dict[str, float] = {}
    memory: dict[str, int] = {}
    survives = 1.0
    for cost in each:
        survives *= cost.reliability
        for name, seconds in cost.busy_s.items():
            busy[name] = busy.get(name, 0.0) + seconds
        for name, nbytes in cost.memory_bytes.items():
            memory[name] = memory.get(name, 0) + nbytes
    sojourns = [cost.latency_s if cost.sojourn_s is None else cost.sojourn_s for cost in each]
    arrivals = any(task.rate_per_s for task in problem.tasks)
    return Cost(
        judge="predicted",
        latency_s=problem.together([cost.latency_s for cost in each], served),
        sequential_s=problem.together([cost.sequential_s for cost in each], served),
        period_s=max(busy.values(), default=0.0),
        energy_j=sum(cost.energy_j for cost in each),
        price_usd=sum(cost.price_usd for cost in each),
        reliability=survives,
        memory_bytes=memory,
        wait_s=problem.together([cost.wait_s for cost in each], served),
        sojourn_s=problem.together(sojourns, served) if arrivals else None,
        busy_s=busy,
        refused=refused,
    )
