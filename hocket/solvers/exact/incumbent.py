"""The best plan that the judge has seen so far, and how much time is left to look for others."""

import math
import time
from dataclasses import dataclass, field

from hocket.cost import Cost, Problem
from hocket.errors import InfeasibleError, RefusedError
from hocket.plan import Plan
from hocket.solvers.additive import Additive
from hocket.solvers.checks import infeasible
from hocket.solvers.fixed import judged
from hocket.solvers.solver import SPACES
from hocket.solvers.stop import MaxRuntime, Stop

SAME = 1e-9


class Clock:
    """A stop, asked between steps, and its seconds for what cannot be asked on the way."""

    def __init__(self, stop: Stop | None) -> None:
        self._stop = stop
        self._until = time.monotonic() + stop.seconds if isinstance(stop, MaxRuntime) else math.inf

    @property
    def left_s(self) -> float | None:
        """Seconds left; None = no limit in time."""
        return None if self._until == math.inf else max(self._until - time.monotonic(), 0.0)

    def ends(self, best: float) -> bool:
        """Whether to stop now."""
        return self._stop is not None and self._stop(best)


@dataclass(slots=True)
class Incumbent:
    """The best feasible plan, and of those that are not the one that breaks fewest constraints."""

    problem: Problem
    value: float = math.inf
    plan: Plan | None = None
    nearest: Cost | None = field(default=None)

    def try_whole(self, additive: Additive) -> None:
        """Start from everything on one node, each in turn."""
        for host in additive.layout.hosts:
            self.try_plan(additive.plan([host] * len(additive.layout.units)))

    def try_plan(self, plan: Plan) -> Cost | None:
        """Judge a plan and keep it if it is better; None if it has no way."""
        cost = judged(self.problem, plan)
        if cost is None:
            return None
        if cost.feasible and cost.value < self.value:
            self.value, self.plan = cost.value, plan
        if self.nearest is None or len(cost.violations) < len(self.nearest.violations):
            self.nearest = cost
        return cost

    def closes(self, bound: float) -> bool:
        """Whether nothing better is left."""
        return self.plan is not None and self.value <= bound + SAME * max(abs(self.value), abs(bound))

    def none(self) -> InfeasibleError:
        """What to raise if all plans have been excluded."""
        said = self.nearest.violations[0].sentence if self.nearest and self.nearest.violations else ""
        return infeasible(self.problem, SPACES["units"], said or "memory, limits or missing ways leave none")

    def unknown(self, name: str) -> RefusedError:
        """What to raise if the search ended before it found a plan."""
        return RefusedError(
            f"{name} cannot solve this problem: it found no plan that keeps the constraints before it had to stop;"
            " give it more time or loosen a limit"
        )
