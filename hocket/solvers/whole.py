"""The best placement of whole operators that the general solvers find, and how far it may be from the best."""

from collections.abc import Sequence

from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.solvers.bound import lower_bound
from hocket.solvers.chain_dp import ChainDp
from hocket.solvers.descent import Descent
from hocket.solvers.exhaustive import Exhaustive
from hocket.solvers.fixed import fixed_plans, judged
from hocket.solvers.linear_scan import LinearScan
from hocket.solvers.min_cut import MinCut
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import Stop

_SMALL = 1000
_IN_HASTE = 1_000_000  # states that chain_dp searches in about a second
_CLOSED = 1e-9


def best_whole(problem: Problem, *, seed: int, stop: Stop | None, judgements: int) -> Proposal:
    """The best plan of one task that computes each operator on one node.

    Args:
        problem: of one task.
        seed: of the search that comes last.
        stop: when that search stops.
        judgements: how many plans it judges without one.

    Raises:
        RefusedError: no solver does.
        InfeasibleError: no plan that was found keeps the constraints.
    """
    proven, proposals = _proven(problem, seed, hasty=stop is not None)
    if proven is not None:
        return proven
    proposals += [(name, Proposal(plan=plan)) for name, plan in fixed_plans(problem).items()]
    bound = lower_bound(problem)
    complaint: InfeasibleError | None = None
    for solver in (LinearScan(), Descent(judgements=judgements)):
        best = _best(problem, proposals, bound)
        if best is not None and evaluate(problem, best.plan).value <= bound * (1 + _CLOSED):
            return best
        try:
            proposals.append((solver.name, solver(problem, seed=seed, stop=stop)))
        except RefusedError:
            continue
        except InfeasibleError as error:
            complaint = error
    best = _best(problem, proposals, bound)
    if best is None:
        raise complaint or RefusedError("no solver finds a plan for this problem; give it a node that can compute")
    return best


def _proven(problem: Problem, seed: int, *, hasty: bool) -> tuple[Proposal | None, list[tuple[str, Proposal]]]:
    """A proposal that is proven to be the best of all, or what exact solvers found in smaller spaces."""
    found: list[tuple[str, Proposal]] = []
    # These cannot be stopped half way, so with a limit the one that may take long is left out.
    chain = ChainDp(most_states=_IN_HASTE) if hasty else ChainDp()
    solvers: Sequence[Solver] = (MinCut(), chain, Exhaustive(most=_SMALL))
    for solver in solvers:
        if solver.refuses(problem) is not None:
            continue
        try:
            proposal = solver(problem, seed=seed)
        except RefusedError:
            continue
        except InfeasibleError:
            if solver.name == "exhaustive":
                raise
            continue
        if proposal.over == "units":
            return _noted(proposal, solver.name), found
        found.append((solver.name, proposal))
    return None, found


def _best(problem: Problem, proposals: list[tuple[str, Proposal]], bound: float) -> Proposal | None:
    """The proposal that the judge likes best, with the best bound of all."""
    costs = [
        (cost.value, number)
        for number, (_, proposal) in enumerate(proposals)
        if (cost := judged(problem, proposal.plan)) is not None and cost.feasible
    ]
    if not costs:
        return None
    name, proposal = proposals[min(costs)[1]]
    bounds = [found.bound for _, found in proposals if found.bound is not None]
    return _noted(
        Proposal(plan=proposal.plan, bound=max([bound, *bounds]), over=proposal.over, notes=proposal.notes), name
    )


def _noted(proposal: Proposal, name: str) -> Proposal:
    return Proposal(
        plan=proposal.plan, bound=proposal.bound, over=proposal.over, notes={**proposal.notes, "found_by": name}
    )
