"""The list of solvers, and the one verb: find a plan for a problem."""

import difflib
import math
import time
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import entry_points

from hocket.cost import Cost, Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.solvers import chains, cuts, exact, games, joint, reductions, robust, rules, search, sharing, tensor, tiles
from hocket.solvers.auto import Auto
from hocket.solvers.chain_dp import ChainDp
from hocket.solvers.descent import Descent
from hocket.solvers.exhaustive import Exhaustive
from hocket.solvers.fixed import fixed_plans, judged
from hocket.solvers.linear_scan import LinearScan
from hocket.solvers.local import Local
from hocket.solvers.min_cut import MinCut
from hocket.solvers.remote import Remote
from hocket.solvers.solution import Option, Solution
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import MaxRuntime

GENERAL: tuple[type[Solver], ...] = (Auto, Local, Remote, LinearScan, MinCut, ChainDp, Exhaustive, Descent)
"""Ours for one task and whole operators; the families follow."""
_FAMILIES = (joint, cuts, chains, sharing, games, search, robust, tiles, tensor, reductions, exact, rules)
SOLVERS: Mapping[str, type[Solver]] = {
    solver.name: solver for solver in (*GENERAL, *(one for family in _FAMILIES for one in family.SOLVERS))
}
"""The solvers that come with hocket."""
GROUP = "hocket.solvers"
"""Entry points of this group are classes of solvers of other packages."""


def all_solvers() -> dict[str, type[Solver]]:
    """The solvers that come with hocket, then those of other packages; a name that is taken is not taken over."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    others = {name: found[name].load() for name in sorted(found.keys() - SOLVERS.keys())}
    return {**SOLVERS, **others}


def solve(
    problem: Problem,
    solver: str | Solver = "auto",
    *,
    seed: int = 0,
    time_limit_s: float | None = None,
    **options: Option,
) -> Solution:
    """Find a plan.

    Args:
        problem: tasks, cluster, objective and constraints.
        solver: a name of `all_solvers()`, or a solver.
        seed: of all that is random.
        time_limit_s: how long an iterative solver may search, though it goes on until it has a plan; absent = its own
            rule, which does not depend on time.
        options: fields of the solver, if it is given by name.

    Returns:
        The plan with its cost as `cost.evaluate` judges it, its gap, and the obvious alternatives.

    Raises:
        RefusedError: there is no such solver or option, or it cannot solve this problem; who can is said.
        InfeasibleError: the constraints leave no plan; the sentence names what binds and what would make it fit.
    """
    chosen, names = _chosen(solver, options)
    reason = chosen.refuses(problem)
    if reason:
        raise RefusedError(f"{chosen.name} cannot solve this problem: {reason}; {_who_can(problem, chosen.name)}")
    stop = None if time_limit_s is None else MaxRuntime(time_limit_s)
    if stop is not None:
        stop(math.inf)  # what comes before the search takes of its time too
    begin = time.perf_counter()
    try:
        proposal = chosen(problem, seed=seed, stop=stop)
    except RefusedError as error:
        raise RefusedError(f"{error}; {_who_can(problem, chosen.name)}") from None
    except InfeasibleError as error:
        raise InfeasibleError(f"{error}{_kept_by_trust(problem, str(error))}") from None
    solve_s = time.perf_counter() - begin
    cost = evaluate(problem, proposal.plan)
    if not cost.feasible:
        raise InfeasibleError(f"the plan of {chosen.name} breaks a constraint: {cost.violations[0].sentence}")
    return _solution(problem, proposal, cost).replace(solver=chosen.name, options=names, seed=seed, solve_s=solve_s)


def _chosen(solver: str | Solver, options: Mapping[str, Option]) -> tuple[Solver, dict[str, Option]]:
    """The solver, and its options by name."""
    if not isinstance(solver, str):
        if options:
            raise RefusedError(f"options go with the name of a solver, got {solver!r}; give it the options itself")
        return solver, _options_of(solver)
    known = all_solvers()
    if solver not in known:
        near = difflib.get_close_matches(solver, known, n=1)
        remedy = (
            f"did you mean {near[0]!r}?"
            if near
            else f"use 'auto', or one of the {len(known)} that `hocket solvers` lists"
        )
        raise RefusedError(f"there is no solver {solver!r}; {remedy}")
    names = [field.name for field in fields(known[solver])]  # type: ignore[arg-type]
    for option in options:
        if option not in names:
            has = f"its options are {', '.join(names)}" if names else "it has none"
            raise RefusedError(f"{solver} has no option {option!r}; {has}")
    made = known[solver](**options)
    return made, _options_of(made)


def _kept_by_trust(problem: Problem, said: str) -> str:
    """What may be behind a way that is missing: searches see no way to where a private tensor may not go."""
    found = [task for task in problem.tasks if task.private and task.trust]
    if not found or "trust" in said:
        return ""
    return f", where {found[0].name!r} keeps private tensors on nodes of trust {found[0].trust} or more"


def _options_of(solver: Solver) -> dict[str, Option]:
    return {field.name: getattr(solver, field.name) for field in fields(solver)}  # type: ignore[arg-type]


def _who_can(problem: Problem, other: str) -> str:
    """The end of a refusal: the general solvers that do not refuse; `hocket solvers --for` tells of the others."""
    able = [solver.name for solver in GENERAL if solver.name != other and solver().refuses(problem) is None]
    if not able:
        return "no other solver can; give a profile of a node that has a way to the inputs"
    return f"{able[0]} can" if len(able) == 1 else f"{', '.join(able[:-1])} or {able[-1]} can"


def _solution(problem: Problem, proposal: Proposal, cost: Cost) -> Solution:
    bound = None if proposal.bound is None else min(proposal.bound, cost.value)
    gap = None if bound is None else (cost.value - bound) / cost.value if cost.value > 0 else 0.0
    judgements = {name: judged(problem, plan) for name, plan in fixed_plans(problem).items()}
    return Solution(
        problem=problem,
        plan=proposal.plan,
        cost=cost,
        bound=bound,
        gap=gap,
        optimal_over=proposal.over,
        candidates={name: found.value if found and found.feasible else None for name, found in judgements.items()},
        notes=dict(proposal.notes),
    )
