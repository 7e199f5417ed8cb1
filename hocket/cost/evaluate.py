"""The one judge of plans: lower them, run their timeline, add up what it took."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from hocket.cluster import Cluster
from hocket.cost.combine import Part, combine
from hocket.cost.cost import Cost
from hocket.cost.engine import Durations, Job, timeline
from hocket.cost.metrics import busy_s, energy_j, memory_bytes, price_usd, sending_s
from hocket.cost.problem import Problem, Task
from hocket.cost.survival import reliability
from hocket.cost.trust import exposures
from hocket.cost.work import segment_s
from hocket.errors import PlanError
from hocket.plan import Entry, Plan
from hocket.plan.clocks import clocks_hz, slower_by
from hocket.plan.lower import lower
from hocket.plan.shares import held, station, whole_of_station
from hocket.program import INPUT, Program, Span, Trace


def evaluate(problem: Problem, plan: Plan, *, trace: bool = False) -> Cost:
    """Predict what a plan costs: one request of each task in an idle system, and mean waiting where it has a rate.

    Args:
        problem: tasks, cluster, profiles, objective and constraints.
        plan: an entry for every task that may not be refused, or several among which its requests are dealt.
        trace: keep the timeline in the answer (one task only).

    Returns:
        A `Cost` with judge "predicted"; broken constraints are in `violations`, not raised.

    Raises:
        PlanError: the plan does not fit the problem (C1).
    """
    return combine(problem, plan, parts_of(problem, plan, trace=trace))


def parts_of(problem: Problem, plan: Plan, *, trace: bool = False) -> dict[str, list[Part]]:
    """Task -> its entries, each judged alone and without waiting; refused tasks are not there.

    Raises:
        PlanError: the plan does not fit the problem (C1).
    """
    tasks, by_task = served(problem, plan), _by_task(plan)
    return {
        task.name: [
            Part(fraction, *judge_entry(problem, task, entry, trace=trace))
            for fraction, entry in _fractions(plan, task, by_task.get(task.name, ()))
        ]
        for task in tasks
    }


def _by_task(plan: Plan) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in plan.entries:
        found.setdefault(entry.task, []).append(entry)
    return found


def served(problem: Problem, plan: Plan) -> list[Task]:
    """The tasks that a plan serves, in the order of the problem.

    Raises:
        PlanError: an entry of no task, or a task without an entry that may not be refused (C1).
    """
    _check_tasks(problem, plan)
    having = {entry.task for entry in plan.entries}
    return [task for task in problem.tasks if task.refusal_cost is None or task.name in having]


def _check_tasks(problem: Problem, plan: Plan) -> None:
    names = dict.fromkeys(task.name for task in problem.tasks)
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
        seconds = segment_s(task.graph, segment, known)
        segments[segment.id] = seconds * slower[segment.node]
    encode, decode, message, nbytes = {}, {}, {}, {}
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
        message[transfer.id] = ends[1].message_s if ends[1] else 0.0
    return Durations(segments=segments, encode=encode, decode=decode, message=message, wire_bytes=nbytes)


def _slower(problem: Problem, entry: Entry | None) -> Mapping[str, float]:
    """Node -> factor on everything that it computes: the margin, the clock and the share."""
    margin = 1 + problem.margin
    factors: defaultdict[str, float] = defaultdict(lambda: margin)
    if entry:
        factors.update((name, margin * ratio) for name, ratio in slower_by(problem.cluster, entry).items())
    return factors


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
    """The only entry of a task.

    Raises:
        PlanError: there is none, there are several, or the plan is for another model file (C1).
    """
    found = entries_of(plan, task)
    if len(found) > 1:
        raise PlanError(
            f"this version serves a task by one entry, and {task.name!r} has {len(found)}; keep one of them"
        )
    return found[0][1]


def entries_of(plan: Plan, task: Task) -> list[tuple[float, Entry]]:
    """The entries of a task, each with the fraction of the requests that it is dealt.

    Raises:
        PlanError: there is none, or the plan is for another model file (C1).
    """
    return _fractions(plan, task, [entry for entry in plan.entries if entry.task == task.name])


def _fractions(plan: Plan, task: Task, found: Sequence[Entry]) -> list[tuple[float, Entry]]:
    if not found:
        raise PlanError(f"C1: every task has an entry, and {task.name!r} has none; add one or drop the task")
    check_model(plan, task)
    total = sum(entry.weight for entry in found)
    return [(entry.weight / total, entry) for entry in found]


def check_model(plan: Plan, task: Task) -> None:
    """Refuse a plan for another model.

    Raises:
        PlanError: it is for another model file (C1).
    """
    expected, sha256 = (task.graph.source.sha256 if task.graph.source else ""), plan.graph.get(task.name, "")
    if expected and sha256 and expected != sha256:
        raise PlanError(
            f"C1: a plan is for one model file, and that of {task.name!r} is {sha256[:12]} where {expected[:12]} was"
            " given; plan again for this model"
        )


def judge_entry(problem: Problem, task: Task, entry: Entry, *, trace: bool = False) -> tuple[Cost, Program]:
    """What one request costs that an entry serves in an idle system, and its program with what it uses of the cluster.

    Raises:
        PlanError: the entry does not fit the problem (C1).
    """
    cluster, shares = problem.cluster, held(problem.cluster, entry)
    program = trimmed(lower(task.graph, entry, cluster, task.inputs, task.outputs), cluster)
    spans = timeline([Job(program, durations(problem, task, program, entry))])
    requests = [span for span in spans if span.kind == "request"]
    latency = requests[0].stop_s if requests else float("inf")
    busy = busy_s(spans, program)
    sends, receives = sending_s(spans, program)
    # A share of a node draws, and is charged for, that part of it.
    computes = {
        node: seconds * (shares[node].portion if node in shares else 1.0)
        for node, seconds in busy.items()
        if node in cluster.node
    }
    joules = energy_j(cluster, computes, sends, receives, latency, clocks_hz(cluster, entry))
    stations = {
        station(name, task.name) if name in cluster.node and name in shares else name: seconds
        for name, seconds in busy.items()
    }
    cost = Cost(
        judge="predicted",
        latency_s=latency,
        sequential_s=_sequential_s(task, program, spans, _slower(problem, entry)),
        period_s=max(busy.values(), default=0.0),
        energy_j=sum(joules.values()),
        price_usd=price_usd(cluster, computes, sends, joules),
        reliability=reliability(cluster, program),
        memory_bytes=memory_bytes(task.graph, program, whole_model=problem.whole_model),
        busy_s=stations,
        violations=tuple(exposures(problem, task, program)),
        trace=Trace(name=task.name, judge="predicted", spans=tuple(spans)) if trace else None,
    )
    return cost, program


def trimmed(program: Program, cluster: Cluster) -> Program:
    """The program with those sites, wires and resources only that it uses; a large cluster has many others.

    A program has the same ones as its cluster, in the same order, some of them with shares (`plan.equipment`).
    """
    wire_at, resource_at = cluster.places
    hops = {hop for transfer in program.transfers for hop in pairwise(transfer.path)}
    wires = tuple(program.wires[number] for number in sorted(wire_at[hop] for hop in hops))
    used = {whole_of_station(name) for wire in wires for name in wire.resources}
    return program.replace(
        sites=tuple(program.sites[number] for number in sorted(cluster.index[name] for name in program.nodes())),
        wires=wires,
        resources=tuple(program.resources[number] for number in sorted(resource_at[name] for name in used)),
    )


def _sequential_s(task: Task, program: Program, spans: list[Span], slower: Mapping[str, float]) -> float:
    """The survey's sum: operators, codecs and crossings, but no cost per call, of which it knows nothing."""
    calls = sum(task.profile.at(segment.node).call_s * slower[segment.node] for segment in program.segments)
    return sum(span.stop_s - span.start_s for span in spans if span.kind != "request") - calls
