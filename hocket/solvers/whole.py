"""The best placement of whole operators that the general solvers find, and how far it may be from the best."""

from collections.abc import Sequence

from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.plan import Plan
from hocket.plan.placement import placement
from hocket.solvers.additive import SUMS
from hocket.solvers.bound import lower_bound
from hocket.solvers.chain_dp import ChainDp
from hocket.solvers.chains.linear_pipeline import LinearPipeline
from hocket.solvers.descent import Descent
from hocket.solvers.exact.milp import Milp
from hocket.solvers.exhaustive import Exhaustive
from hocket.solvers.fixed import fixed_plans, judged
from hocket.solvers.layout import Layout
from hocket.solvers.linear_scan import LinearScan
from hocket.solvers.min_cut import MinCut
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import MaxIterations, Stop

_SMALL = 1000
_MOST_STATES = 1_000_000  # of runs of blocks, which take about a second
_MOST_VARIABLES = 20_000  # of an integer program of sums, whose relaxation takes about a second
_MOST_WAYS = 4_500  # pairs of an integer program for the period times its nodes: 200 branches take three seconds
_MOST_JUDGED = 130_000  # operators in all plans that the last searches judge, which take about three seconds
_FEWEST = 40  # plans that it judges all the same
_CLOSE = 1e-4  # nearer to a bound than this, no search is worth its seconds


def best_whole(problem: Problem, *, seed: int, stop: Stop | None, judgements: int) -> Proposal:
    """The best plan of one task that computes each operator on one node.

    Args:
        problem: of one task.
        seed: of the searches that come last.
        stop: when those searches stop.
        judgements: how many plans the last two judge together without one; fewer of large models, which take longer.

    Raises:
        RefusedError: no solver does.
        InfeasibleError: no plan that was found keeps the constraints.
    """
    proven, proposals = _proven(problem, seed)
    if proven is not None:
        return proven
    proposals += [(name, Proposal(plan=plan)) for name, plan in fixed_plans(problem).items()]
    bound = lower_bound(problem)
    complaint: InfeasibleError | None = None
    for solver in _searches(problem, judgements):
        best = _best(problem, proposals, bound)
        if best is not None and evaluate(problem, best.plan).value <= (best.bound or 0.0) * (1 + _CLOSE):
            return best
        try:
            if isinstance(solver, _Onward):
                first = [] if best is None else [_places(problem, best.plan)]
                proposals.append((solver.name, solver.improved(problem, first, seed=seed, stop=stop)))
            else:
                proposals.append((solver.name, solver(problem, seed=seed, stop=_within(solver, stop))))
        except RefusedError:
            continue
        except InfeasibleError as error:
            complaint = error
    best = _best(problem, proposals, bound)
    if best is None:
        raise complaint or RefusedError("no solver finds a plan for this problem; give it a node that can compute")
    return best


def _proven(problem: Problem, seed: int) -> tuple[Proposal | None, list[tuple[str, Proposal]]]:
    """A proposal that is proven to be the best of all, or what exact solvers found in smaller spaces.

    None of them can be stopped half way, so each gets only what it is quick with.
    """
    found: list[tuple[str, Proposal]] = []
    for solver in _provers(problem):
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


def _provers(problem: Problem) -> Sequence[Solver]:
    solvers = (MinCut(), ChainDp(most_states=_MOST_STATES), Exhaustive(most=_SMALL))
    if not _metrics(problem) <= set(SUMS):
        return solvers
    return (*solvers, Milp(most_rounds=3, most_nodes=200, most_variables=_MOST_VARIABLES))


class _Onward(Descent):
    """Goes on from what the others found."""


def _searches(problem: Problem, judgements: int) -> Sequence[Solver]:
    """Each starts where the best plan is not proven; half of the judgements go to starts that nobody else found."""
    most = max(_MOST_JUDGED // max(len(problem.task.graph.operators), 1), _FEWEST)
    half = max(min(judgements, most) // 2, 1)
    last = Descent(judgements=half), _Onward(judgements=half)
    if "period" in _metrics(problem):
        hosts = sum(node.name in problem.task.profile.nodes for node in problem.cluster.nodes)
        program = Milp(most_rounds=1, most_nodes=200, most_variables=_MOST_WAYS // max(hosts, 1))
        return LinearScan(), program, LinearPipeline(most_states=_MOST_STATES), *last
    return LinearScan(), *last


def _within(solver: Solver, stop: Stop | None) -> Stop | None:
    """A rule that also ends a search which is not the last one, for which time has to be left."""
    if stop is None or not isinstance(solver, Descent):
        return stop
    enough = MaxIterations(solver.judgements)
    return lambda best: enough(best) or stop(best)


def _metrics(problem: Problem) -> set[str]:
    """What the objective is made of."""
    objective = problem.objective
    if objective.metric != "weighted":
        return {objective.metric}
    return {metric for metric, weight in objective.weights.items() if weight}


def _places(problem: Problem, plan: Plan) -> list[int]:
    """Node of each unit in a plan that computes each operator on one node."""
    layout = Layout(problem, problem.task)
    names = placement(problem.task.graph, plan.entries[0])
    return [problem.cluster.index[str(names[unit.operators[0]])] for unit in layout.units]


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
