"""What solvers check in common: reasons to refuse, and whether a best plan also keeps the constraints."""

from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.solvers.additive import SUMS, weights_of
from hocket.solvers.solver import SPACES, Proposal, Solver


def require(solver: Solver, problem: Problem) -> None:
    """Raise what `refuses` says.

    Raises:
        RefusedError: the solver cannot solve this problem.
    """
    reason = solver.refuses(problem)
    if reason:
        raise RefusedError(f"{solver.name} cannot solve this problem: {reason}")


def refuses_tasks(problem: Problem) -> str | None:
    """The reason of a solver for one task."""
    if len(problem.tasks) == 1:
        return None
    return f"it plans one task, and this problem has {len(problem.tasks)}"


def refuses_nodes(problem: Problem) -> str | None:
    """The reason of a solver for one task, on nodes of which at least one can compute it."""
    known = any(node.name in task.profile.nodes for task in problem.tasks for node in problem.cluster.nodes)
    return refuses_tasks(problem) or (None if known else "the profile knows no node of the cluster")


def refuses_metric(problem: Problem) -> str | None:
    """The reason of a solver for objectives that add up."""
    if weights_of(problem) is not None:
        return None
    metric: str = problem.objective.metric
    if metric == "weighted":
        metric = " and ".join(sorted(problem.objective.weights.keys() - set(SUMS)))
    return f"{metric} does not add up over units and tensors, as {', '.join(SUMS)} do"


def checked(problem: Problem, name: str, proposal: Proposal) -> Proposal:
    """A proposal that is the best of its space without constraints; with them, if it keeps them.

    Raises:
        RefusedError: it breaks one, so the best plan is another one, which this solver cannot find.
    """
    cost = evaluate(problem, proposal.plan)
    if not cost.feasible:
        raise RefusedError(
            f"{name} cannot solve this problem: the best of {SPACES[proposal.over]} without constraints breaks one"
            f" ({cost.violations[0].sentence})"
        )
    if proposal.over != "units":
        return proposal
    return Proposal(plan=proposal.plan, bound=cost.value, over="units", notes=proposal.notes)


def infeasible(problem: Problem, space: str, sentence: str) -> InfeasibleError:
    """No plan of a space is allowed; the sentence is about the one that comes nearest."""
    return InfeasibleError(
        f"no plan of {problem.task.graph.name!r} keeps the constraints, searched over {space}: {sentence}"
    )
