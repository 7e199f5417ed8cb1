"""What the planner does with a question: the problem as the world is now, solved; and what deciding needs of a plan."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from hocket.cluster import Cluster, Direction, Link
from hocket.control.live.facts import Facts, Hop, Line, World
from hocket.cost import Cost, Problem, Task, evaluate
from hocket.cost.evaluate import entries_of
from hocket.errors import HocketError, PlanError
from hocket.plan import Plan
from hocket.plan.diff import diff
from hocket.plan.lower import lower
from hocket.profile import Profile
from hocket.program import Program, Resource
from hocket.solvers import Solver, all_solvers, solve

_KEPT = "kept plans of worlds"
_MOST_KEPT = 10_000
Kept = TypeVar("Kept")


class Manner(NamedTuple):
    """How to solve: a solver's name, its seed and how long it may search."""

    solver: str
    seed: int = 0
    time_limit_s: float | None = None


class Thoughts(NamedTuple):
    """Plans with their facts, the best first (none: the sentence says why), and how the plan in force would do."""

    found: tuple[tuple[Plan, Facts], ...]
    sentence: str
    current_value: float | None


def only(problem: Problem, task: str) -> Problem:
    """The problem of one of its tasks."""
    return problem.replace(tasks=tuple(each for each in problem.tasks if each.name == task))


def think(problem: Problem, manner: Manner, kind: str, world: World, current: Plan | None, factors: Sequence[float] = ()
          ) -> Thoughts:  # fmt: skip
    """Answer a question. What was found for a world is kept with the problem, so no world is solved twice.

    Args:
        problem: of one task, as it was planned.
        manner: how to solve it.
        kind: as in `events.Think`.
        world: how the cluster differs from the problem's.
        current: the plan in force.
        factors: for `table`: of the rates in that world.
    """
    found: list[tuple[Plan, Facts]] = []
    sentence, current_value = "", None
    for factor in factors if kind == "table" else (1.0,):
        answer = _best(problem, manner, faster(problem, world, factor))
        if isinstance(answer, str):
            sentence = sentence or _without(world, answer)
            continue
        plan, facts = answer
        move_s = _move_s(problem, world, plan, current)
        found.append((plan, replace(facts, move_s=move_s, factor=factor)))
    if current is not None:
        current_value = value_of(problem, world, current)
        if kind == "best" and current_value is not None and all(facts.value > current_value for _, facts in found):
            # A search may miss what it found before; the plan in force is always a candidate.
            found.insert(0, (current, facts_of(foreseen(problem, world), current)))
    return Thoughts(tuple(found), "" if found else sentence, current_value)


def with_others(
    thoughts: Thoughts, others: Mapping[str, tuple[Problem, float]], manner: Manner, world: World
) -> Thoughts:
    """Thoughts about a loss, with the best plan of each other model behind.

    Args:
        thoughts: about the task's own model.
        others: name -> the problem with another model, and its accuracy.
        manner: how to solve.
        world: what is lost.
    """
    found, sentence = list(thoughts.found), thoughts.sentence
    for name, (problem, accuracy) in others.items():
        answer = _best(problem, manner, world)
        if not isinstance(answer, str):
            plan, facts = answer
            move_s = _move_s(problem, world, plan, None)
            found.append((plan, replace(facts, variant=name, accuracy=accuracy, move_s=move_s)))
    return Thoughts(tuple(found), "" if found else sentence, thoughts.current_value)


def _best(problem: Problem, manner: Manner, world: World) -> tuple[Plan, Facts] | str:
    """The best plan of a world and its facts, or why there is none."""

    def work() -> tuple[Plan, Facts] | str:
        try:
            there = foreseen(problem, world)
            plan = solve(
                there, _solver(problem, manner.solver), seed=manner.seed, time_limit_s=manner.time_limit_s
            ).plan
            return plan, facts_of(there, plan)
        except HocketError as error:
            return str(error)

    return _kept(problem, (manner, _key(world)), work)


def _solver(problem: Problem, name: str) -> Solver | str:
    """A solver by its name, which is looked up once: to look through installed packages takes longer than to solve."""
    known = _kept(problem, ("solver", name), lambda: all_solvers().get(name))
    return name if known is None else known()


def value_of(problem: Problem, world: World, plan: Plan) -> float | None:
    """Predicted value of a plan in a world, latency unless the objective is another; None = it cannot run there."""

    def work() -> float | None:
        try:
            cost = evaluate(foreseen(problem, world), plan)
        except HocketError:
            return None
        value = _seconds(cost) if problem.objective.metric == "latency" else cost.value
        return value if cost.feasible else None

    return _kept(problem, (plan.to_json(), _key(world)), work)


def _kept(problem: Problem, key: Hashable, work: Callable[[], Kept]) -> Kept:
    """What was worked out before, or is now."""
    kept: dict[Hashable, Any] = problem.__dict__.setdefault(_KEPT, {})
    if key not in kept:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[key] = work()
    found: Kept = kept[key]
    return found


def _key(world: World) -> Hashable:
    return frozenset(world.rates.items()), frozenset(world.loads.items()), world.missing, world.cut


def facts_of(problem: Problem, plan: Plan) -> Facts:
    """What deciding needs of a plan, judged in a problem; it is where it is needed already.

    Raises:
        PlanError: the plan does not fit the problem, or refuses its task.
    """
    task = problem.task
    programs = programs_of(problem, plan)
    fractions = [fraction for fraction, _ in entries_of(plan, task)]
    cost = evaluate(problem, plan)
    return Facts(
        plan=0,
        nodes=frozenset(node for program in programs for node in program.nodes()),
        hops=frozenset(hops_of(programs)),
        sources=frozenset(task.inputs.values()) | frozenset(task.outputs.values()),
        lines=tuple(Line(program.window, part) for program, part in zip(programs, fractions, strict=True)),
        value_s=_seconds(cost),
        objective=None if problem.objective.metric == "latency" else cost.value,
        memory_bytes=dict(cost.memory_bytes),
        carried=_carried(programs, fractions),
    )


def programs_of(problem: Problem, plan: Plan) -> list[Program]:
    """The program of every entry that serves the only task.

    Raises:
        PlanError: the plan refuses the task, or does not fit.
    """
    task = problem.task
    programs = [
        lower(task.graph, entry, problem.cluster, task.inputs, task.outputs) for _, entry in entries_of(plan, task)
    ]
    if not programs:
        raise PlanError(
            f"the plan refuses task {task.name!r}, so there is nothing to keep alive; give one that serves it"
        )
    return programs


def hops_of(programs: Sequence[Program]) -> set[Hop]:
    """The direct ways that transfers take."""
    return {
        hop
        for program in programs
        for transfer in program.transfers
        for hop in zip(transfer.path, transfer.path[1:], strict=False)
    }


def _carried(programs: Sequence[Program], fractions: Sequence[float]) -> dict[Hop, float]:
    carried: dict[Hop, float] = {}
    for program, fraction in zip(programs, fractions, strict=True):
        for transfer in program.transfers:
            for hop in zip(transfer.path, transfer.path[1:], strict=False):
                carried[hop] = carried.get(hop, 0.0) + fraction * transfer.nbytes
    return carried


# ------------------------------------------------------------ worlds


def stated(cluster: Cluster) -> World:
    """The rates of all direct ways as the cluster states them; of a trace, its mean."""
    _, wires, resources = cluster.to_program()
    known = {resource.name: _mean(resource) for resource in resources}
    rates: dict[Hop, float] = {}
    for wire in wires:
        limits = [rate for name in wire.resources if (rate := known[name]) is not None]
        if limits:
            rates[wire.source, wire.target] = min(limits)
    return World(rates=rates, delays={(wire.source, wire.target): wire.latency_s for wire in wires})


def described(cluster: Cluster) -> Cluster:
    """The cluster with the mean rate in place of every trace: what is known before anything is seen."""
    links = tuple(link.replace(up=_steady(link.up), down=_steady(link.down)) for link in cluster.links)
    media = tuple(
        medium if medium.trace is None
        else medium.replace(bytes_per_s=medium.trace.mean_bytes_per_s, trace=None)
        for medium in cluster.media
    )  # fmt: skip
    return cluster.replace(links=links, media=media)


def _steady(direction: Direction) -> Direction:
    return direction if direction.trace is None else Direction(bytes_per_s=direction.trace.mean_bytes_per_s)


def faster(problem: Problem, world: World, factor: float) -> World:
    """A world in which every link is faster by a factor than it was seen or, unseen, than stated."""
    if factor == 1.0:
        return world
    rates = {hop: rate * factor for hop, rate in {**stated(problem.cluster).rates, **world.rates}.items()}
    return replace(world, rates=rates)


def foreseen(problem: Problem, world: World) -> Problem:
    """The problem as planners count with it: a link that follows a trace, and over which nothing was seen, has its
    mean, for nobody knows what will come.

    Raises:
        ClusterError, PlanError: the task's own nodes are missing.
    """
    return changed(problem.replace(cluster=described(problem.cluster)), world)


def changed(problem: Problem, world: World) -> Problem:
    """The problem as the world is: without what is missing, with the rates and loads that were seen.

    Raises:
        ClusterError, PlanError: the task's own nodes are missing.
    """
    cluster = problem.cluster
    nodes = tuple(node for node in cluster.nodes if node.name not in world.missing)
    links = tuple(
        _link(link, world) for link in cluster.links
        if world.missing.isdisjoint(link.between)
        and link.between not in world.cut and link.between[::-1] not in world.cut
    )  # fmt: skip
    media = []
    for medium in cluster.media:
        seen = [world.rates[hop] for link in links if medium.name in link.media
                for hop in (link.between, link.between[::-1]) if hop in world.rates]  # fmt: skip
        media.append(medium.replace(bytes_per_s=max(seen), trace=None) if seen else medium)
    there = cluster.replace(nodes=nodes, links=links, media=tuple(media))
    tasks = tuple(task.replace(profile=_loaded(task, world)) for task in problem.tasks)
    return problem.replace(cluster=there, tasks=tasks)


def _link(link: Link, world: World) -> Link:
    first, second = link.between
    up, down = world.rates.get((first, second)), world.rates.get((second, first))
    return link.replace(
        up=link.up if up is None else Direction(bytes_per_s=up),
        down=link.down if down is None else Direction(bytes_per_s=down),
    )


def _loaded(task: Task, world: World) -> Profile:
    profile = task.profile
    entries = tuple(
        entry.replace(
            seconds={name: seconds * world.loads.get(entry.node, 1.0) for name, seconds in entry.seconds.items()},
            call_s=entry.call_s * world.loads.get(entry.node, 1.0),
        )
        if world.loads.get(entry.node, 1.0) != 1.0
        else entry
        for entry in profile.entries
        if entry.node not in world.missing
    )
    return profile.replace(entries=entries) if entries != profile.entries else profile


def _mean(resource: Resource) -> float | None:
    if not resource.trace:
        return resource.bytes_per_s
    ends = [*(at_s for at_s, _ in resource.trace[1:]), resource.trace_s or resource.trace[-1][0] + 1.0]
    steps = zip(resource.trace, ends, strict=True)
    return sum(rate * (end_s - at_s) for (at_s, rate), end_s in steps) / ends[-1]


def _seconds(cost: Cost) -> float:
    return cost.latency_s if cost.sojourn_s is None else cost.sojourn_s


def _move_s(problem: Problem, world: World, plan: Plan, current: Plan | None) -> float:
    """How long the slowest node waits for what it lacks, which comes from the task's source."""
    if current is not None and plan == current:
        return 0.0
    task, rates = problem.task, {**stated(problem.cluster).rates, **world.rates}
    slowest = 0.0
    for change in diff(current, plan, {task.name: task.graph}):
        rate = rates.get((task.source, change.node))
        if change.node != task.source and rate:
            slowest = max(slowest, change.nbytes / rate)
    return slowest


def _without(world: World, sentence: str) -> str:
    if not world.missing and not world.cut:
        return sentence
    lost = [f"node {node!r}" for node in sorted(world.missing)]
    lost += [f"the way from {first!r} to {second!r}" for first, second in sorted(world.cut)]
    return f"without {', '.join(lost)} no plan can run: {sentence}"
