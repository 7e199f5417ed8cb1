"""The one judge of plans: lower them, run their timeline, add up what it took."""

from collections.abc import Mapping

from hocket.cost.constraints import violations
from hocket.cost.cost import Cost
from hocket.cost.engine import Durations, Job, timeline
from hocket.cost.metrics import busy_s, energy_j, memory_bytes, price_usd, reliability, sending_s
from hocket.cost.objective import value
from hocket.cost.problem import Problem, Task
from hocket.cost.queueing import wait_s
from hocket.errors import InfeasibleError, PlanError
from hocket.plan import Entry, Plan
from hocket.plan.clocks import clocks_hz, slower_by
from hocket.plan.lower import lower
from hocket.program import INPUT, Program, Span, Trace


def evaluate(problem: Problem, plan: Plan, *, trace: bool = False) -> Cost:
    """Predict what a plan costs: one request of each task in an idle system.

    Args:
        problem: tasks, cluster, profiles, objective and constraints.
        plan: an entry for every task.
        trace: keep the timeline in the answer (one task only).

    Returns:
        A `Cost` with judge "predicted"; broken constraints are in `violations`, not raised.

    Raises:
        PlanError: the plan does not fit the problem (C1).
    """
    _check_tasks(problem, plan)
    costs = [_one(problem, task, entry_of(plan, task), trace) for task in problem.tasks]
    cost = costs[0] if len(costs) == 1 else _together(problem, costs)
    cost = cost.replace(violations=violations(problem, cost, costs))
    return cost.replace(value=value(problem, cost))


def _check_tasks(problem: Problem, plan: Plan) -> None:
    names = [task.name for task in problem.tasks]
    for entry in plan.entries:
        if entry.task not in names:
            raise PlanError(
                f"C1: an entry serves a task, and {entry.task!r} is none of {', '.join(names)}; correct its task"
            )


def durations(problem: Problem, task: Task, program: Program, entry: Entry | None = None) -> Durations:
    """Seconds of every segment and codec of a program, by the task's profile, at the clocks that its entry sets."""
    slower = _slower(problem, entry)
    segments = {}
    for segment in program.segments:
        known = task.profile.at(segment.node)
        seconds = sum(known.seconds[name] for name in segment.operators) + known.call_s
        segments[segment.id] = seconds * slower[segment.node]
    encode, decode, nbytes = {}, {}, {}
    for transfer in program.transfers:
        ends = [task.profile.nodes.get(node) for node in (transfer.path[0], transfer.path[-1])]
        first, last = (end.codecs.get(transfer.codec) if end else None for end in ends)
        ratio = nominal_ratio(transfer.codec)
        if first:
            encode[transfer.id] = transfer.nbytes * first.encode_s_per_byte * slower[transfer.path[0]]
            ratio = first.ratio
        if transfer.source == INPUT:
            ratio = task.input_codecs.get(transfer.codec, ratio)  # known of this very input
        nbytes[transfer.id] = transfer.nbytes * ratio
        if last:
            decode[transfer.id] = transfer.nbytes * last.decode_s_per_byte * slower[transfer.path[-1]]
    return Durations(segments=segments, encode=encode, decode=decode, wire_bytes=nbytes)


def _slower(problem: Problem, entry: Entry | None) -> dict[str, float]:
    """Node -> factor on everything that it computes: the margin and the clock."""
    ratios = slower_by(problem.cluster, entry) if entry else {}
    return {name: (1 + problem.margin) * ratios.get(name, 1.0) for name in problem.cluster.node}


def nominal_ratio(codec: str) -> float:
    """Bytes after / before of a codec that the profile does not know; lossless stages count as no gain.

    >>> nominal_ratio("float16"), nominal_ratio("int8+zlib")
    (0.5, 0.25)
    """
    base = codec.partition("+")[0]
    if base.startswith("bits") and base[4:].isdigit():
        return int(base[4:]) / 32
    return {"float16": 0.5, "int8": 0.25}.get(base, 1.0)


def entry_of(plan: Plan, task: Task) -> Entry:
    """The entry of a task.

    Raises:
        PlanError: there is none, there are several, or the plan is for another model file (C1).
    """
    found = [entry for entry in plan.entries if entry.task == task.name]
    if not found:
        raise PlanError(f"C1: every task has an entry, and {task.name!r} has none; add one or drop the task")
    if len(found) > 1:
        raise PlanError(
            f"this version serves a task by one entry, and {task.name!r} has {len(found)}; keep one of them"
        )
    expected, sha256 = (task.graph.source.sha256 if task.graph.source else ""), plan.graph.get(task.name, "")
    if expected and sha256 and expected != sha256:
        raise PlanError(
            f"C1: a plan is for one model file, and that of {task.name!r} is {sha256[:12]} where {expected[:12]} was"
            " given; plan again for this model"
        )
    return found[0]


def _one(problem: Problem, task: Task, entry: Entry, trace: bool) -> Cost:
    program = lower(task.graph, entry, problem.cluster, task.inputs, task.outputs)
    spans = timeline([Job(program, durations(problem, task, program, entry))])
    requests = [span for span in spans if span.kind == "request"]
    latency = requests[0].stop_s if requests else float("inf")
    busy = busy_s(spans, program)
    sends, receives = sending_s(spans, program)
    computes = {node: busy[node] for node in busy if node in problem.cluster.node}
    joules = energy_j(problem.cluster, computes, sends, receives, latency, clocks_hz(problem.cluster, entry))
    waits = _waits(problem, task, busy)
    return Cost(
        judge="predicted",
        latency_s=latency,
        sequential_s=_sequential_s(task, program, spans, _slower(problem, entry)),
        period_s=max(busy.values(), default=0.0),
        energy_j=sum(joules.values()),
        price_usd=price_usd(problem.cluster, computes, sends, joules),
        reliability=reliability(problem.cluster, program),
        memory_bytes=memory_bytes(task.graph, program, whole_model=problem.whole_model),
        wait_s=waits,
        sojourn_s=latency + waits if task.rate_per_s else None,
        busy_s=busy,
        trace=Trace(name=task.name, judge="predicted", spans=tuple(spans)) if trace else None,
    )


def _sequential_s(task: Task, program: Program, spans: list[Span], slower: Mapping[str, float]) -> float:
    """The survey's sum: operators, codecs and crossings, but no cost per call, of which it knows nothing."""
    calls = sum(task.profile.at(segment.node).call_s * slower[segment.node] for segment in program.segments)
    return sum(span.stop_s - span.start_s for span in spans if span.kind != "request") - calls


def _waits(problem: Problem, task: Task, busy: Mapping[str, float]) -> float:
    """Waiting summed over the stations of a request; infinite where a station is overloaded (C2 says which)."""
    if problem.queue == "none" or not task.rate_per_s:
        return 0.0
    try:
        return sum(wait_s(problem.queue, task.rate_per_s, seconds) for seconds in busy.values())
    except InfeasibleError:
        return float("inf")


def _together(problem: Problem, costs: list[Cost]) -> Cost:
    """Several tasks: times by the objective's aggregate, resources and money added up by rate."""
    arrivals = any(task.rate_per_s for task in problem.tasks)
    busy: dict[str, float] = {}
    memory: dict[str, int] = {}
    survives = 1.0
    for cost in costs:
        survives *= cost.reliability
        for name, seconds in cost.busy_s.items():
            busy[name] = busy.get(name, 0.0) + seconds
        for name, nbytes in cost.memory_bytes.items():
            memory[name] = memory.get(name, 0) + nbytes
    return Cost(
        judge="predicted",
        latency_s=problem.together([cost.latency_s for cost in costs]),
        sequential_s=problem.together([cost.sequential_s for cost in costs]),
        period_s=max(busy.values(), default=0.0),
        energy_j=sum(cost.energy_j for cost in costs),
        price_usd=sum(cost.price_usd for cost in costs),
        reliability=survives,
        memory_bytes=memory,
        wait_s=problem.together([cost.wait_s for cost in costs]),
        sojourn_s=problem.together([cost.latency_s + cost.wait_s for cost in costs]) if arrivals else None,
        busy_s=busy,
    )
