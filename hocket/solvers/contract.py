"""What every solver keeps, for tests of our own solvers and of those of other packages."""

from collections.abc import Iterable

from hocket.cost import Cost, Problem, Task, evaluate
from hocket.errors import HocketError, InfeasibleError, RefusedError
from hocket.profile import Profile
from hocket.solvers.exhaustive import Exhaustive
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import MaxIterations

_SAME = 1e-9
_PREFIX = "renamed-"
_BASELINES = ("local", "remote")
"""They have one plan only; whether it fits is for `solve` to say."""


class ContractError(HocketError, RuntimeError):
    """A solver does not do what it says."""


def check_solver(solver: Solver, problems: Iterable[Problem], *, seed: int = 0, iterations: int = 60) -> int:
    """Check a solver on problems.

    Its plans can be lowered and keep the constraints; equal seeds give equal plans; a plan that it claims to be the
    best of a space has the value of exhaustive search, where that does not refuse, or is better because it is outside
    of the space; a bound is not above the value of
    its plan, nor above the best there is; the problem stays as it was; other names of nodes leave the value; private
    inputs do not get to nodes that may not see them.

    Args:
        solver: what is checked.
        problems: small ones, so that the oracle can solve them.
        seed: given to the solver.
        iterations: given to the solver as its stop.

    Returns:
        How many problems it accepted; a contract says nothing of a solver that refuses all.

    Raises:
        ContractError: the first promise that is broken.
    """
    return sum(_accepts(solver, problem, seed, iterations) for problem in problems)


def _accepts(solver: Solver, problem: Problem, seed: int, iterations: int) -> bool:
    reason = solver.refuses(problem)
    if reason is not None:
        _check(solver, "says why it refuses", bool(reason.strip()) and not reason.rstrip().endswith("."), reason)
        return False
    before = problem.to_json()
    try:
        proposal = solver(problem, seed=seed, stop=MaxIterations(iterations))
    except (RefusedError, InfeasibleError) as error:
        _check(solver, "says why it refuses", bool(str(error).strip()), str(error))
        return False
    _check(solver, "leaves the problem as it was", problem.to_json() == before, problem.objective.metric)
    cost = _judged(solver, problem, proposal)
    _check_same_again(solver, problem, proposal, seed, iterations)
    _check_claims(solver, problem, proposal, cost)
    _check_renamed(solver, problem, cost, seed, iterations)
    _check_private(solver, problem, seed, iterations)
    return True


def _check(solver: Solver, promise: str, kept: bool, found: object) -> None:
    if not kept:
        raise ContractError(f"a solver {promise}, and {solver.name} does not ({found}); correct the solver")


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= _SAME * max(abs(a), abs(b))


def _judged(solver: Solver, problem: Problem, proposal: Proposal) -> Cost:
    try:
        cost = evaluate(problem, proposal.plan)
    except HocketError as error:
        raise ContractError(
            f"a plan can be lowered, and that of {solver.name} cannot ({error}); correct the solver"
        ) from error
    if solver.name not in _BASELINES:
        _check(solver, "keeps the constraints", cost.feasible, [violation.sentence for violation in cost.violations])
    return cost


def _check_same_again(solver: Solver, problem: Problem, proposal: Proposal, seed: int, iterations: int) -> None:
    again = solver(problem, seed=seed, stop=MaxIterations(iterations))
    _check(solver, "gives the same plan for the same seed", again.plan == proposal.plan, f"seed {seed}")


def _check_claims(solver: Solver, problem: Problem, proposal: Proposal, cost: Cost) -> None:
    metric = problem.objective.metric
    claimed = metric in solver.exact_for and not getattr(solver, "relaxed", False)
    _check(solver, f"names a space where it is exact for {metric}", not claimed or bool(proposal.over), proposal.over)
    if proposal.bound is not None:
        kept = proposal.bound <= cost.value * (1 + _SAME)
        _check(solver, "gives a bound that is not above its value", kept, f"{proposal.bound} > {cost.value}")
    for space in {proposal.over, "units"} - {""}:
        oracle = Exhaustive(over=space)
        if oracle.refuses(problem) is not None or not cost.feasible:
            continue
        best = evaluate(problem, oracle(problem).plan).value
        if space == proposal.over:
            what = f"gives the best over {space} that it claims for {metric}"
            # Outside of a smaller space a plan may be better than all of it.
            kept = _close(cost.value, best) or (cost.value < best and space != "units")
            _check(solver, what, kept, f"{cost.value} where {best} is possible")
        if space == "units" and proposal.bound is not None:
            kept = proposal.bound <= best * (1 + _SAME)
            _check(solver, "gives a bound that no plan beats", kept, f"{proposal.bound} where {best} is possible")


def _check_renamed(solver: Solver, problem: Problem, cost: Cost, seed: int, iterations: int) -> None:
    if getattr(solver, "node", None) is not None:
        return
    other = renamed(problem)
    try:
        again = solver(other, seed=seed, stop=MaxIterations(iterations))
    except (RefusedError, InfeasibleError) as error:
        raise ContractError(
            f"names of nodes do not matter, and with others {solver.name} refuses ({error}); correct the solver"
        ) from error
    value = evaluate(other, again.plan).value
    _check(
        solver, "gives the same value under other names of nodes", _close(value, cost.value), f"{value}, {cost.value}"
    )


def _check_private(solver: Solver, problem: Problem, seed: int, iterations: int) -> None:
    if solver.name in _BASELINES:
        return
    secret = kept_private(problem)
    if solver.refuses(secret) is not None:
        return
    try:
        proposal = solver(secret, seed=seed, stop=MaxIterations(iterations))
    except (RefusedError, InfeasibleError):
        return
    broken = [one.sentence for one in evaluate(secret, proposal.plan).violations if one.constraint == "trust"]
    _check(solver, "keeps private inputs on trusted nodes", not broken, broken)


def kept_private(problem: Problem) -> Problem:
    """The same problem with all inputs private to the nodes that have an input or need an answer."""
    ends = {node for task in problem.tasks for node in (*task.inputs.values(), *task.outputs.values())}
    nodes = tuple(node.replace(trust=int(node.name in ends)) for node in problem.cluster.nodes)
    return problem.replace(
        tasks=tuple(task.replace(private=tuple(task.inputs), trust=1) for task in problem.tasks),
        cluster=problem.cluster.replace(nodes=nodes),
    )


def renamed(problem: Problem) -> Problem:
    """The same problem with other names of nodes, in the same order."""
    cluster = problem.cluster
    nodes = tuple(node.replace(name=_PREFIX + node.name) for node in cluster.nodes)
    links = tuple(
        link.replace(between=(_PREFIX + link.between[0], _PREFIX + link.between[1])) for link in cluster.links
    )
    return problem.replace(
        tasks=tuple(_renamed_task(task) for task in problem.tasks),
        cluster=cluster.replace(nodes=nodes, links=links, source=_PREFIX + cluster.source),
    )


def _renamed_task(task: Task) -> Task:
    profile: Profile = task.profile.replace(
        entries=tuple(entry.replace(node=_PREFIX + entry.node) for entry in task.profile.entries)
    )
    return task.replace(
        profile=profile,
        inputs={name: _PREFIX + node for name, node in task.inputs.items()},
        outputs={name: _PREFIX + node for name, node in task.outputs.items()},
    )
