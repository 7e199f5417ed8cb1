"""Several tasks: each is planned by itself, then the plans are chosen that go best together."""

from collections.abc import Sequence
from itertools import product

from hocket.cost import Cost, Problem, Task
from hocket.errors import InfeasibleError, RefusedError
from hocket.plan import Entry, Plan
from hocket.solvers.bound import lower_bound
from hocket.solvers.fixed import fixed_plans, judged
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import MaxRuntime, Stop

_Option = tuple[Entry | None, str]
"""An entry of a task and the hash of its model; None = the task is refused."""
_MOST_CHOICES = 500
_ROUNDS = 20


def solve_several(problem: Problem, solver: Solver, *, seed: int, stop: Stop | None) -> Proposal:
    """Plan each task alone, then choose by the judge among its plan, the fixed ones and, where it may be, its refusal.

    Args:
        problem: tasks that share a cluster.
        solver: plans each of them alone.
        seed: of that solver.
        stop: when it stops; of a time each task gets an equal share.

    Raises:
        InfeasibleError: no choice keeps the constraints.
        RefusedError: some task has no plan at all and may not be refused.
    """
    options = [_options(problem, task, solver, seed, _share(stop, len(problem.tasks))) for task in problem.tasks]
    count = 1
    for entries in options:
        count *= len(entries)
    best = _all(problem, options) if count <= _MOST_CHOICES else _in_turn(problem, options)
    if best is None:
        raise RefusedError(f"{solver.name} cannot solve this problem: some task has no node with a way to it")
    plan, cost = best
    if not cost.feasible:
        raise InfeasibleError(
            f"no choice among the plans of {len(options)} tasks keeps the constraints: {cost.violations[0].sentence}"
        )
    return Proposal(plan=plan, bound=lower_bound(problem), notes={"choices": str(count)})


def _share(stop: Stop | None, parts: int) -> Stop | None:
    """One part of the time; what does not depend on time is for each part."""
    if not isinstance(stop, MaxRuntime):
        return stop
    return MaxRuntime(stop.seconds / parts)


def _options(problem: Problem, task: Task, solver: Solver, seed: int, stop: Stop | None) -> list[_Option]:
    """Entries for one task with the hash of its model, the one that is best alone first and no entry last."""
    alone = problem.replace(tasks=(task.replace(refusal_cost=None),))
    refusal: list[_Option] = [] if task.refusal_cost is None else [(None, "")]
    plans = list(fixed_plans(alone).values())
    try:
        plans.insert(0, solver(alone, seed=seed, stop=stop).plan)
    except (InfeasibleError, RefusedError):
        if not plans and not refusal:
            raise
    unique: list[Plan] = []
    for plan in plans:
        if plan not in unique:
            unique.append(plan)
    return [*((plan.entries[0], plan.graph.get(task.name, "")) for plan in unique), *refusal]


def _plan(chosen: Sequence[_Option]) -> Plan:
    entries = tuple(entry for entry, _ in chosen if entry is not None)
    return Plan(entries=entries, graph={entry.task: sha256 for entry, sha256 in chosen if entry is not None})


def _rank(cost: Cost) -> tuple[int, float]:
    return len(cost.violations), cost.value


def _all(problem: Problem, options: list[list[_Option]]) -> tuple[Plan, Cost] | None:
    plans = (_plan(chosen) for chosen in product(*options))
    costs = [(plan, cost) for plan in plans if (cost := judged(problem, plan)) is not None]
    return min(costs, key=lambda found: _rank(found[1]), default=None)


def _in_turn(problem: Problem, options: list[list[_Option]]) -> tuple[Plan, Cost] | None:
    """Each task in turn takes its best entry while the others stay, until nothing changes."""
    chosen = [entries[0] for entries in options]
    best: tuple[Plan, Cost] | None = None
    for _ in range(_ROUNDS):
        before = list(chosen)
        for number, entries in enumerate(options):
            for entry in entries:
                tried = [*chosen[:number], entry, *chosen[number + 1 :]]
                plan = _plan(tried)
                cost = judged(problem, plan)
                if cost is not None and (best is None or _rank(cost) < _rank(best[1])):
                    best, chosen = (plan, cost), tried
        if chosen == before:
            break
    return best
