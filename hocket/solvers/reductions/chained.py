"""A DAG as a chain, solved by a solver of chains, and its plan carried back to the DAG.

Solves    one task whose chain the chosen solver accepts
Answer    what the chosen solver finds for the chain; as good for the DAG as the chain stands for it: exactly with
          `articulation`, as a restriction with the others; never claimed to be the best
Time      that of the chosen solver, and O(U (U + M)) for the chain; U = units, M = tensors
Source    -
Departs   -
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.errors import RefusedError
from hocket.solvers.bound import lower_bound
from hocket.solvers.checks import infeasible, refuses_tasks, require
from hocket.solvers.fixed import judged
from hocket.solvers.reductions.kinds import REDUCTIONS
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Chained:
    """See the module."""

    name: ClassVar[str] = "chained"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    reduction: str = "linearised"
    """`articulation`, `linearised` or `modules`."""
    solver: str = "chain_dp"
    """Name of the solver that gets the chain."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, an unknown name, a graph without a place to cut, or what the chosen solver refuses."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        if self.reduction not in REDUCTIONS:
            return f"a reduction is one of {', '.join(REDUCTIONS)}, and {self.reduction!r} is none"
        inner = self._inner()
        if inner is None:
            return f"it needs a solver for the chain, and {self.solver!r} is none"
        kind = REDUCTIONS[self.reduction]()
        if not kind.accepts(problem.task.graph):
            return f"the chain of {problem.task.graph.name!r} by {self.reduction} has no place to cut"
        reason = inner.refuses(kind.apply(problem).problem)
        return f"{inner.name} refuses the chain, because {reason}" if reason else None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """The chosen solver's plan, carried back.

        Raises:
            InfeasibleError: it keeps the constraints on the chain and not on the DAG.
        """
        require(self, problem)
        inner = self._inner()
        if inner is None:
            raise RefusedError(f"{self.name} cannot solve this problem: {self.solver!r} is no solver")
        reduced = REDUCTIONS[self.reduction]().apply(problem)
        found = inner(reduced.problem, seed=seed, stop=stop)
        plan = reduced.invert(found.plan)
        cost = judged(problem, plan)
        if cost is None or not cost.feasible:
            sentence = cost.violations[0].sentence if cost else "no way leads to another node and back"
            raise infeasible(problem, f"the chain by {self.reduction}", sentence)
        size = f"{len(reduced.groups)} operators of the chain for {len(problem.task.graph.operators)}"
        return Proposal(plan=plan, bound=lower_bound(problem), notes={**found.notes, "chain": size})

    def _inner(self) -> Solver | None:
        # The registry lists this very solver, so it can be asked only now.
        from hocket.solvers.registry import all_solvers

        found = all_solvers().get(self.solver)
        return None if found is None or self.solver == self.name else found()
