"""What all searches of this package share: vectors of nodes, judged once each and compared by Deb's rule."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.cost import Cost, Problem
from hocket.plan import Plan, Setting
from hocket.solvers.additive import additive_of, weights_of
from hocket.solvers.batch import bounds_of
from hocket.solvers.bound import lower_bound
from hocket.solvers.checks import infeasible, refuses_nodes, require
from hocket.solvers.descent import excess
from hocket.solvers.fixed import judged
from hocket.solvers.solver import Proposal, Solver
from hocket.solvers.stop import Stop

Vector = NDArray[np.int64]
"""(U,) node of each unit, as a position in the cluster."""
Settings = tuple[Setting, ...]


class Rank(NamedTuple):
    """Deb's rule as an order: what breaks less is better; of what breaks nothing, what has the lower value.

    >>> Rank(0.0, 9.0) < Rank(0.5, 1.0), Rank(0.0, 1.0) < Rank(0.0, 2.0)
    (True, True)
    """

    excess: float
    """How far constraints are broken; 0 = none is, inf = it cannot run at all."""
    value: float


NOWHERE = Rank(np.inf, np.inf)


def refuses_search(problem: Problem) -> str | None:
    """The reason of a search over vectors: several tasks, or nothing that can compute."""
    return refuses_nodes(problem)


class Judge:
    """Judges vectors of one task, each once, and remembers the best.

    Args:
        solver: who asks; its `refuses` is heeded.
        problem: what to solve.
        stop: asked by `over`, once per iteration.

    Raises:
        RefusedError: the solver refuses the problem.
    """

    def __init__(self, solver: Solver, problem: Problem, stop: Stop) -> None:
        require(solver, problem)
        self.solver, self.problem, self.stop = solver, problem, stop
        self.additive = additive_of(problem)
        self.layout = self.additive.layout
        self.hosts: Vector = np.array(self.layout.hosts, dtype=np.int64)
        self.bounds = bounds_of(problem, self.layout)
        self.adds_up = weights_of(problem) is not None and self.additive.departs is None and _is_free(problem)
        self.size = len(self.layout.units)
        self.judgements = 0
        self.best, self.best_vector, self.best_settings = NOWHERE, self._anywhere(), Settings()
        self._complaint = "no way leads from the inputs to the answers"
        self._known: dict[tuple[bytes, Settings], tuple[Rank, Cost | None]] = {}

    def _anywhere(self) -> Vector:
        return np.full(self.size, self.hosts[0], dtype=np.int64)

    @property
    def is_trivial(self) -> bool:
        """Whether there is nothing to choose."""
        return self.size == 0 or len(self.hosts) == 1

    def rank(self, vector: Sequence[int] | Vector, settings: Settings = ()) -> Rank:
        """How good a vector is, with settings of its nodes."""
        return self._judge(np.asarray(vector, dtype=np.int64), settings)[0]

    def ranks(self, vectors: Iterable[Vector]) -> list[Rank]:
        """How good each vector is."""
        together = np.array(list(vectors), dtype=np.int64).reshape(-1, self.size)
        bounds = self.bounds(together) if self.size else np.zeros(len(together))
        return [
            NOWHERE if np.isinf(bound) else self._exact(vector, float(bound)) if self.adds_up else self.rank(vector)
            for vector, bound in zip(together, bounds, strict=True)
        ]

    def cost(self, vector: Vector) -> Cost | None:
        """The judge's figures; None if it cannot run."""
        return self._judge(vector, ())[1]

    def _exact(self, vector: Vector, value: float) -> Rank:
        """Where the bound is the judge's figure and nothing can be broken, no plan needs to be lowered."""
        rank = Rank(0.0, value)
        self._keep(rank, vector, ())
        return rank

    def _judge(self, vector: Vector, settings: Settings) -> tuple[Rank, Cost | None]:
        key = (vector.tobytes(), settings)
        if key not in self._known:
            cost = judged(self.problem, self.plan(vector, settings))
            self.judgements += 1
            rank = NOWHERE if cost is None else Rank(excess(self.problem, cost), cost.value)
            if rank < self.best and cost and cost.violations:
                self._complaint = cost.violations[0].sentence
            self._known[key] = rank, cost
            self._keep(rank, vector, settings)
        return self._known[key]

    def _keep(self, rank: Rank, vector: Vector, settings: Settings) -> None:
        if rank < self.best:
            self.best, self.best_vector, self.best_settings = rank, vector.copy(), settings

    def plan(self, vector: Vector, settings: Settings = ()) -> Plan:
        """The plan of a vector."""
        plan = self.additive.plan([int(node) for node in vector])
        return plan.replace(entries=(plan.entries[0].replace(settings=settings),)) if settings else plan

    def prefer(self, vector: Vector) -> None:
        """Propose a vector whatever else was better: a method may choose by more than the objective."""
        self.best, self.best_vector, self.best_settings = self.rank(vector), vector, ()

    def over(self) -> bool:
        """Whether to stop, asked once per iteration."""
        return self.stop(self.best.value if self.best.excess == 0 else np.inf)

    def proposal(self, **notes: str) -> Proposal:
        """The best that was judged.

        Raises:
            InfeasibleError: nothing that was judged keeps the constraints.
        """
        if self.best.excess > 0:
            raise infeasible(self.problem, f"the plans that {self.solver.name} tried", self._complaint)
        plan = self.plan(self.best_vector, self.best_settings)
        # A plan at another clock than the profile's may be below the bound, which knows of none.
        bound = None if self.best_settings else lower_bound(self.problem)
        return Proposal(plan=plan, bound=bound, notes={"judgements": str(self.judgements), **notes})


def _is_free(problem: Problem) -> bool:
    """Whether no plan that can run breaks a constraint."""
    task = problem.task
    floors = (task.deadline_s, task.accuracy_floor, task.reliability_floor)
    limited = any(problem.cluster.node[name].memory_bytes is not None for name in task.profile.nodes
                  if name in problem.cluster.node)  # fmt: skip
    return not limited and not problem.objective.limits and not task.rate_per_s and floors == (None,) * 3
