"""Several tasks: each is planned by itself, then the plans are chosen that go best together."""

from itertools import product

from hocket.cost import Cost, Problem
from hocket.errors import InfeasibleError, RefusedError
from hocket.plan import Entry, Plan
from hocket.solvers.bound import lower_bound
from hocket.solvers.fixed import fixed_plans, judged
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import Stop

_MOST_CHOICES = 500
_ROUNDS = 20


def solve_several(problem: Problem, solver: Solver, *, seed: int, stop: Stop | None) -> Proposal:
    """Plan each task alone, then choose among its plan and the fixed ones by the judge.

    Raises:
        InfeasibleError: no choice keeps the constraints.
    """
    options = [_options(problem.replace(tasks=(task,)), solver, seed, stop) for task in problem.tasks]
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


def _options(problem: Problem, solver: Solver, seed: int, stop: Stop | None) -> list[tuple[Entry, str]]:
    """Entries for one task with the hash of its model, the one that is best alone first."""
    plans = list(fixed_plans(problem).values())
    try:
        plans.insert(0, solver(problem, seed=seed, stop=stop).plan)
    except (InfeasibleError, RefusedError):
        if not plans:
            raise
    unique: list[Plan] = []
    for plan in plans:
        if plan not in unique:
            unique.append(plan)
    return [(plan.entries[0], plan.graph.get(problem.task.name, "")) for plan in unique]


def _plan(problem: Problem, chosen: tuple[tuple[Entry, str], ...]) -> Plan:
    hashes = {task.name: sha256 for task, (_, sha256) in zip(problem.tasks, chosen, strict=True)}
    return Plan(entries=tuple(entry for entry, _ in chosen), graph=hashes)


def _rank(cost: Cost) -> tuple[int, float]:
    return len(cost.violations), cost.value


def _all(problem: Problem, options: list[list[tuple[Entry, str]]]) -> tuple[Plan, Cost] | None:
    plans = (_plan(problem, chosen) for chosen in product(*options))
    costs = [(plan, cost) for plan in plans if (cost := judged(problem, plan)) is not None]
    return min(costs, key=lambda found: _rank(found[1]), default=None)


def _in_turn(problem: Problem, options: list[list[tuple[Entry, str]]]) -> tuple[Plan, Cost] | None:
    """Each task in turn takes its best entry while the others stay, until nothing changes."""
    chosen = [entries[0] for entries in options]
    best: tuple[Plan, Cost] | None = None
    for _ in range(_ROUNDS):
        before = list(chosen)
        for number, entries in enumerate(options):
            for entry in entries:
                tried = [*chosen[:number], entry, *chosen[number + 1 :]]
                plan = _plan(problem, tuple(tried))
                cost = judged(problem, plan)
                if cost is not None and (best is None or _rank(cost) < _rank(best[1])):
                    best, chosen = (plan, cost), tried
        if chosen == before:
            break
    return best
