"""The strongest solver that does not refuse, and whatever else is better.

Solves    every problem; several tasks one by one, then the best choice of their plans, or of cuts with shares
Answer    proven optimal where min_cut, chain_dp, exhaustive or milp proves it; else the best that any solver finds,
          divided operators included, and how far it may be from the best
Time      that of the solvers that it tries, each within limits that make it quick
Source    -
Departs   -
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.solvers.bound import lower_bound
from hocket.solvers.checks import require
from hocket.solvers.fixed import judged
from hocket.solvers.games.many_to_many import ManyToMany
from hocket.solvers.joint.joint_split import JointSplit
from hocket.solvers.several import solve_several
from hocket.solvers.sharing.cut_and_share import CutAndShare
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.whole import best_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """See the module."""

    name: ClassVar[str] = "auto"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    judgements: int = 400
    """How many plans the search judges that comes last; fewer of large models."""
    divide: bool = True
    """Consider plans that divide operators too."""

    def refuses(self, problem: Problem) -> str | None:
        """Nothing that can compute."""
        for task in problem.tasks:
            if not any(node.name in task.profile.nodes for node in problem.cluster.nodes):
                return f"the profile of {task.name!r} knows no node of the cluster"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The best plan found."""
        require(self, problem)
        if len(problem.tasks) > 1 or problem.task.refusal_cost is not None:
            return self._several(problem, seed, stop)
        # What is divided comes first: the last search for the other takes whatever time is left.
        divided = self._divided(problem, seed, stop)
        complaint: InfeasibleError | None = None
        whole: Proposal | None = None
        try:
            whole = best_whole(problem, seed=seed, stop=stop, judgements=self.judgements)
        except InfeasibleError as error:  # a model that no node holds may still be divided
            complaint = error
        found = [proposal for proposal in (whole, divided) if proposal is not None]
        if not found:
            raise complaint or RefusedError(f"{self.name} cannot solve this problem: no solver does")
        return min(found, key=lambda proposal: evaluate(problem, proposal.plan).value)

    def _several(self, problem: Problem, seed: int, stop: Stop | None) -> Proposal:
        """The best choice among plans of each task alone, or cuts of all tasks with their shares."""
        found: list[Proposal] = []
        complaint: InfeasibleError | RefusedError | None = None
        try:
            found.append(solve_several(problem, self, seed=seed, stop=stop))
        except (InfeasibleError, RefusedError) as error:
            complaint = error
        for solver in (CutAndShare(), ManyToMany()):
            if solver.refuses(problem) is not None:
                continue
            try:
                found.append(_found_by(solver.name, problem, solver(problem, seed=seed, stop=stop)))
            except (InfeasibleError, RefusedError):
                continue
        costs = [judged(problem, proposal.plan) for proposal in found]
        values = [(cost.value, number) for number, cost in enumerate(costs) if cost is not None and cost.feasible]
        if not values:
            raise complaint or RefusedError(f"{self.name} cannot solve this problem: no solver does")
        return found[min(values)[1]]

    def _divided(self, problem: Problem, seed: int, stop: Stop | None) -> Proposal | None:
        """A plan that divides operators, where that can pay."""
        solver = JointSplit(others=False, whole=False)
        if not self.divide or _adds_up(problem) or solver.refuses(problem) is not None:
            return None
        try:
            return solver(problem, seed=seed, stop=stop)
        except (InfeasibleError, RefusedError):
            return None


def _found_by(name: str, problem: Problem, proposal: Proposal) -> Proposal:
    """A proposal with who found it and the bound of all plans."""
    notes = {**proposal.notes, "found_by": name}
    return Proposal(plan=proposal.plan, bound=lower_bound(problem), notes=notes)


def _adds_up(problem: Problem) -> bool:
    """Whether the objective is a sum over operators, which dividing one never makes less."""
    metric = problem.objective.metric
    waiting = any(node.idle_w for node in problem.cluster.nodes)
    return metric == "sequential" or (metric in ("energy", "price") and not waiting)
