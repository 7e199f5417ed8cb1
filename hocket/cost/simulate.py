"""The second judge: many requests through the same timeline, with arrivals, queues and traces."""

import numpy as np

from hocket.cost.constraints import violations
from hocket.cost.cost import Cost
from hocket.cost.engine import Job, timeline
from hocket.cost.evaluate import durations, entry_of, evaluate
from hocket.cost.metrics import busy_s
from hocket.cost.objective import value
from hocket.cost.problem import Problem, Task
from hocket.errors import PlanError
from hocket.plan import Plan
from hocket.plan.lower import lower
from hocket.program import Span, Trace


def simulate(problem: Problem, plan: Plan, *, requests: int = 100, seed: int = 0, trace: bool = False) -> Cost:
    """Simulate many requests of every task at once on the shared cluster.

    Tasks with a rate have Poisson arrivals; those without arrive all at once, which shows the throughput.

    Args:
        problem: tasks, cluster, profiles.
        plan: an entry for every task.
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
    generator = np.random.default_rng(seed)
    jobs = []
    for task in problem.tasks:
        entry = entry_of(plan, task)
        program = lower(task.graph, entry, problem.cluster, task.inputs, task.outputs)
        jobs.append(Job(program, durations(problem, task, program, entry), _arrivals(task, requests, generator)))
    spans = timeline(jobs)
    ended = [span for span in spans if span.kind == "request"]
    if len(ended) < requests * len(problem.tasks):
        raise PlanError(
            f"{requests * len(problem.tasks) - len(ended)} of {requests * len(problem.tasks)} requests never end;"
            " a link that the plan needs has the rate 0 for ever"
        )
    predicted = evaluate(problem, plan)
    latencies = np.array([span.stop_s - span.start_s for span in ended])
    busy = [_busy_s(job, spans, requests) for job in jobs]
    names = sorted({name for each in busy for name in each})
    cost = predicted.replace(
        judge="simulated",
        latency_s=float(latencies.mean()),
        latency_p95_s=float(np.quantile(latencies, 0.95)),
        period_s=_period_s(ended),
        busy_s={name: sum(each.get(name, 0.0) for each in busy) for name in names},
        sojourn_s=float(latencies.mean()),
        trace=Trace(name=problem.tasks[0].name, judge="simulated", spans=tuple(spans)) if trace else None,
    )
    cost = cost.replace(violations=violations(problem, cost, [cost.replace(busy_s=each) for each in busy]))
    return cost.replace(value=value(problem, cost))


def _arrivals(task: Task, requests: int, generator: np.random.Generator) -> list[float]:
    if not task.rate_per_s:
        return [0.0] * requests
    return [float(at_s) for at_s in np.cumsum(generator.exponential(1 / task.rate_per_s, requests))]


def _busy_s(job: Job, spans: list[Span], requests: int) -> dict[str, float]:
    """Seconds per request of one task that each resource is busy with it."""
    ids = {part.id for part in job.program.segments}
    ids |= {part.id for part in job.program.transfers}
    own = (span for span in spans if span.id in ids)
    return {name: seconds / requests for name, seconds in busy_s(own, job.program).items()}


def _period_s(ended: list[Span]) -> float:
    stops = sorted(span.stop_s for span in ended)
    return (stops[-1] - stops[0]) / (len(stops) - 1) if len(stops) > 1 else stops[0]
