"""The second judge: many requests through the same timeline, with arrivals, queues and traces."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hocket.cost.combine import combine, costs_of, together
from hocket.cost.constraints import violations
from hocket.cost.cost import Cost
from hocket.cost.engine import Job, timeline
from hocket.cost.evaluate import durations, entries_of, parts_of, served, trimmed
from hocket.cost.metrics import busy_s
from hocket.cost.objective import value
from hocket.cost.problem import Problem, Task
from hocket.errors import PlanError
from hocket.plan import Entry, Plan
from hocket.plan.dealing import dealt
from hocket.plan.lower import lower
from hocket.plan.shares import held, station
from hocket.program import Span, Trace


def simulate(problem: Problem, plan: Plan, *, requests: int = 100, seed: int = 0, trace: bool = False) -> Cost:
    """Simulate many requests of every task at once on the shared cluster.

    Tasks with a rate have Poisson arrivals; those without arrive all at once, which shows the throughput. The
    programs of several tasks take turns on a node; a task with a share of a node has a lane of its own there.

    Args:
        problem: tasks, cluster, profiles.
        plan: an entry for every task, or several among which its requests are dealt out.
        requests: how many of each task.
        seed: of the arrivals.
        trace: keep the spans in the answer.

    Returns:
        A `Cost` with judge "simulated": `latency_s` is the mean over requests, `latency_p95_s` their 95th percentile,
        `period_s` the time from the first answer to the last over the answers between; the other figures as predicted.

    Raises:
        PlanError: the plan does not fit, or a request never ends.
    """
    if requests < 1:
        raise PlanError(f"a simulation needs at least one request, got {requests}; ask for more")
    parts = parts_of(problem, plan)
    tasks = served(problem, plan)
    if not tasks:
        return combine(problem, plan, parts).replace(judge="simulated")
    streams = _streams(problem, plan, tasks, requests, seed)
    spans = timeline([stream.job for stream in streams])
    ended = [span for span in spans if span.kind == "request"]
    if len(ended) < requests * len(tasks):
        raise PlanError(
            f"{requests * len(tasks) - len(ended)} of {requests * len(tasks)} requests never end;"
            " a link that the plan needs has the rate 0 for ever"
        )
    costs = {name: _of_task(cost, name, streams, spans, requests) for name, cost in costs_of(problem, parts).items()}
    latencies = np.array([span.stop_s - span.start_s for span in ended])
    cost = together(problem, costs).replace(
        judge="simulated",
        latency_s=float(latencies.mean()),
        latency_p95_s=float(np.quantile(latencies, 0.95)),
        period_s=_period_s(ended),
        sojourn_s=float(latencies.mean()),
        trace=Trace(name=problem.tasks[0].name, judge="simulated", spans=tuple(spans)) if trace else None,
    )
    cost = cost.replace(violations=violations(problem, cost, costs, plan))
    return cost.replace(value=value(problem, cost))


class _Stream(NamedTuple):
    """The requests of a task that one of its entries serves."""

    task: Task
    entry: Entry
    job: Job


def _streams(problem: Problem, plan: Plan, tasks: Sequence[Task], requests: int, seed: int) -> list[_Stream]:
    generator = np.random.default_rng(seed)
    arrivals = [_arrivals(task, requests, generator) for task in tasks]
    # Requests of one number go in the order of the tasks, so those that come at once take turns.
    order = sorted((at_s, index, number) for number, times in enumerate(arrivals) for index, at_s in enumerate(times))
    ranks = {(number, index): rank for rank, (_, index, number) in enumerate(order)}
    streams = []
    for number, task in enumerate(tasks):
        entries = entries_of(plan, task)
        chosen = dealt([fraction for fraction, _ in entries], requests)
        for position, (_, entry) in enumerate(entries):
            mine = [index for index in range(requests) if chosen[index] == position]
            job = _job(problem, task, entry)._replace(
                arrivals_s=[arrivals[number][index] for index in mine],
                numbers=[ranks[number, index] for index in mine],
            )
            streams.append(_Stream(task, entry, job))
    return streams


def _job(problem: Problem, task: Task, entry: Entry) -> Job:
    program = trimmed(lower(task.graph, entry, problem.cluster, task.inputs, task.outputs), problem.cluster)
    own = {name: station(name, task.name) for name in held(problem.cluster, entry) if name in problem.cluster.node}
    return Job(program, durations(problem, task, program, entry), lanes=own)


def _arrivals(task: Task, requests: int, generator: np.random.Generator) -> list[float]:
    if not task.rate_per_s:
        return [0.0] * requests
    return [float(at_s) for at_s in np.cumsum(generator.exponential(1 / task.rate_per_s, requests))]


def _of_task(predicted: Cost, name: str, streams: Sequence[_Stream], spans: Sequence[Span], requests: int) -> Cost:
    """One task as it was simulated; its figures without time are as predicted."""
    busy: dict[str, float] = {}
    for stream in streams:
        if stream.task.name == name:
            for at, seconds in _busy_s(stream, spans).items():
                busy[at] = busy.get(at, 0.0) + seconds / requests
    took = [span.stop_s - span.start_s for span in spans if span.kind == "request" and span.id == name]
    latency = sum(took) / len(took)
    return predicted.replace(latency_s=latency, sojourn_s=latency, busy_s=dict(sorted(busy.items())))


def _busy_s(stream: _Stream, spans: Sequence[Span]) -> dict[str, float]:
    """Seconds in all that each station is busy with the requests of one stream."""
    program, numbers = stream.job.program, set(stream.job.numbers)
    ids = {part.id for part in program.segments} | {part.id for part in program.transfers}
    own = (span for span in spans if span.id in ids and span.request in numbers)
    return {stream.job.lanes.get(name, name): seconds for name, seconds in busy_s(own, program).items()}


def _period_s(ended: Sequence[Span]) -> float:
    stops = sorted(span.stop_s for span in ended)
    return (stops[-1] - stops[0]) / (len(stops) - 1) if len(stops) > 1 else stops[0]
