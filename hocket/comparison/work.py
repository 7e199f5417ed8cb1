"""Doing rows, in the process that is there for it."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from hocket.comparison.instances import Instance, model_of, problem_of
from hocket.comparison.load import known_solvers
from hocket.comparison.rows import Record, Row, Status, record_of
from hocket.control.measure import measure
from hocket.control.run import Figures, run
from hocket.cost import Cost, Problem, Task, evaluate
from hocket.errors import HocketError, InfeasibleError, RefusedError
from hocket.plan import Copies, Entry, Plan, Split
from hocket.solvers import MaxRuntime, Solver, lower_bound
from hocket.solvers import solve as solve_problem

_FIGURES = ("latency_s", "sequential_s", "period_s", "energy_j", "price_usd", "reliability")


class Desk:
    """Does rows; keeps what rows of one problem share."""

    def __init__(self) -> None:
        self._instance: Instance | None = None
        self._problem: Problem | None = None
        self._figures: dict[str, Figures] = {}
        """Plan -> what running it gave: the same plan of another solver is not run again."""

    def do(self, row: Row, ready: Callable[[], None]) -> Record:
        """Do a row. What hocket refuses is in the record, what is a defect is raised.

        Args:
            row: what to do.
            ready: called when the problem is made, and the time of the row begins.
        """
        try:
            problem = self._made(row)
        except HocketError as error:
            return record_of(row, "error", sentence=f"the problem cannot be made: {error}")
        ready()
        if row.kind == "run":
            return self._run(row, problem)
        try:
            if row.kind == "bound":
                return record_of(row, "solved", bound=_finite(lower_bound(problem)))
            return _solved(row, problem)
        except HocketError as error:
            return record_of(row, "error", sentence=str(error))

    def _made(self, row: Row) -> Problem:
        """The problem of a row; of a plan that is run with a measured profile."""
        if self._problem is None or self._instance != row.instance:
            self._instance, self._problem, self._figures = row.instance, problem_of(row.instance), {}
            if row.kind == "run":
                self._problem = _measured(self._problem, row.instance, row.repeats)
        return self._problem

    def _run(self, row: Row, problem: Problem) -> Record:
        """Solve, and run the plan on its nodes."""
        try:
            solution = solve_problem(problem, row.base, seed=row.seed, time_limit_s=row.time_limit_s, **row.options)
            plan = solution.plan.to_json()
            if plan not in self._figures:
                self._figures[plan] = run(solution, requests=row.requests).figures
        except RefusedError as error:
            return record_of(row, "refused", sentence=str(error))
        except InfeasibleError as error:
            return record_of(row, "infeasible", sentence=str(error))
        except HocketError as error:
            return record_of(row, "error", sentence=str(error))
        figures = self._figures[plan]
        return record_of(
            row,
            "solved",
            solve_s=solution.solve_s,
            **_of_cost(solution.cost),
            **_of_plan(problem, solution.plan),
            predicted_s=figures.predicted_s,
            measured_s=figures.measured_s.p50,
            max_rel_error=figures.max_rel_error,
        )


def _solved(row: Row, problem: Problem) -> Record:
    """Ask one solver for a plan and let the judge say what it costs."""
    solver: Solver = known_solvers()[row.base](**row.options)
    reason = solver.refuses(problem)
    if reason is not None:
        return record_of(row, "refused", sentence=reason)
    stop = None if row.time_limit_s is None else MaxRuntime(row.time_limit_s)
    if stop is not None:
        stop(math.inf)  # what comes before the search takes of its time too
    begin = time.perf_counter()
    try:
        proposal = solver(problem, seed=row.seed, stop=stop)
    except RefusedError as error:
        return record_of(row, "refused", sentence=str(error), solve_s=time.perf_counter() - begin)
    except InfeasibleError as error:
        return record_of(row, "infeasible", sentence=str(error), solve_s=time.perf_counter() - begin)
    solve_s = time.perf_counter() - begin
    cost = evaluate(problem, proposal.plan)
    status: Status = "solved" if cost.feasible else "infeasible"
    return record_of(
        row,
        status,
        sentence="" if cost.feasible else f"its plan breaks a constraint: {cost.violations[0].sentence}",
        solve_s=solve_s,
        bound=None if proposal.bound is None else _finite(proposal.bound),
        over=proposal.over,
        **_of_cost(cost),
        **_of_plan(problem, proposal.plan),
    )


def _measured(problem: Problem, instance: Instance, repeats: int) -> Problem:
    """The problem with a profile that is measured on its nodes, which this computer imitates."""
    profile = measure(model_of(instance.models[0]), problem.cluster, repeats=repeats)
    return problem.replace(tasks=(problem.task.replace(profile=profile),))


def _of_cost(cost: Cost) -> dict[str, Any]:
    return {"value": _finite(cost.value)} | {name: _finite(getattr(cost, name)) for name in _FIGURES}


def _finite(value: float) -> float | None:
    """A number as JSON can have it; what is not finite is not known."""
    return float(value) if math.isfinite(value) else None


def _of_plan(problem: Problem, plan: Plan) -> dict[str, Any]:
    """How many nodes compute, and whether the lower bound is about such plans."""
    inputs = {task.name: task for task in problem.tasks}
    runs = [run for entry in plan.entries for run in entry.where]
    nodes = {node for run in runs for node in _nodes(run.on)}
    # Requests that are dealt among several entries of one task share the load, which no single entry can do.
    dealt = len({entry.task for entry in plan.entries}) < len(plan.entries)
    covered = not (plan.variant or dealt) and all(_plain(entry, inputs[entry.task]) for entry in plan.entries)
    return {"nodes": len(nodes), "covered": covered}


def _plain(entry: Entry, task: Task) -> bool:
    """Each operator whole on one node, activations as they are, inputs in one of the task's codecs, nodes as set."""
    packed = all(crossing.tensor in task.inputs and crossing.codec in task.input_codecs for crossing in entry.codecs)
    whole = all(isinstance(run.on, str) for run in entry.where)
    return whole and packed and not (entry.gates or entry.slices or entry.settings)


def _nodes(where: str | Split | Copies) -> Iterator[str]:
    if isinstance(where, str):
        yield where
        return
    for part in where.nodes if isinstance(where, Copies) else where.parts:
        yield from _nodes(part)
