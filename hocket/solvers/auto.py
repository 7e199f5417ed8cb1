"""The strongest solver that does not refuse, and whatever else is better.

Solves    every problem; several tasks one by one, then the best choice of their plans
Answer    proven optimal where min_cut, chain_dp or exhaustive proves it; else the best that any solver finds, and
          how far it may be from the best
Time      that of the solvers that it tries
Source    -
Departs   -
Cards     -
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.solvers.bound import lower_bound
from hocket.solvers.chain_dp import ChainDp
from hocket.solvers.descent import Descent
from hocket.solvers.exhaustive import Exhaustive
from hocket.solvers.fixed import fixed_plans, judged
from hocket.solvers.linear_scan import LinearScan
from hocket.solvers.min_cut import MinCut
from hocket.solvers.several import solve_several
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import Stop

_SMALL = 1000
_IN_HASTE = 1_000_000  # states that chain_dp searches in about a second
_CLOSED = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """See the module."""

    name: ClassVar[str] = "auto"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    judgements: int = 400
    """How many plans the search judges that comes last."""

    def refuses(self, problem: Problem) -> str | None:
        """Nothing that can compute."""
        for task in problem.tasks:
            if not any(node.name in task.profile.nodes for node in problem.cluster.nodes):
                return f"the profile of {task.name!r} knows no node of the cluster"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan found."""
        reason = self.refuses(problem)
        if reason:
            raise RefusedError(f"{self.name} cannot solve this problem: {reason}")
        if len(problem.tasks) > 1:
            return solve_several(problem, self, seed=seed, stop=stop)
        proven, proposals = _proven(problem, seed, hasty=stop is not None)
        if proven is not None:
            return proven
        proposals += [(name, Proposal(plan=plan)) for name, plan in fixed_plans(problem).items()]
        bound = lower_bound(problem)
        complaint: InfeasibleError | None = None
        for solver in (LinearScan(), Descent(judgements=self.judgements)):
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
            raise complaint or RefusedError(f"{self.name} cannot solve this problem: no solver does")
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
