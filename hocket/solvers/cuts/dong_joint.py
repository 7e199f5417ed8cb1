"""For each task the cut that meets its deadline with the least rent, and the least share of the server that it takes.

Solves    any number of tasks with deadlines whose sources can compute, and a server that is no source
Answer    the least rent over all cuts of one topological order, each with the smallest share of the server that still
          meets the deadline; optimal by the method's own sums where those shares fit on one server together
Time      O(n (U + M)) per server; n = tasks
Source    Dong, Hu, Chen, Wen: Joint optimization with DNN partitioning and resource allocation in mobile edge
          computing, IEEE TNSM 18(4), 2021, pp. 3973-3986
Departs   the agent that the paper trains is left out: [standard] the least share has a closed form, a / (T - b), so a
          scan of the cuts is exact where the agent searches; rent is for the share until the deadline and for sending;
          where the server asks no rent, the share itself is least; where shares of least rent do not fit, the least
          shares are tried; links are not divided
Cards     dong_joint
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cost import Problem, Task
from hocket.errors import InfeasibleError
from hocket.plan.shares import LEAST
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import (
    CutTable,
    allowed,
    allowed_cut,
    cloudlets_of,
    cut_table,
    joined,
    refuses_deadlines,
    sequential,
)
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.units import show

_SPARE = 1 + 1e-9  # so that a share that just meets the deadline does so after rounding


class Rented(NamedTuple):
    """What one task rents."""

    table: CutTable
    cut: int
    share: float
    rent_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DongJoint:
    """See the module."""

    name: ClassVar[str] = "dong_joint"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """A task without a deadline, a source that cannot compute, or no server."""
        return refuses_deadlines(problem, "it rents what the deadlines ask for")

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Cuts and shares of least rent.

        Raises:
            InfeasibleError: a deadline cannot be met, the shares do not fit, or the plan breaks a constraint.
        """
        require(self, problem)
        complaint: InfeasibleError | None = None
        fits: list[tuple[float, int, list[Rented]]] = []
        need = np.inf
        for server in cloudlets_of(problem):
            for thrifty in (False, True):
                try:
                    rented = [_cheapest(problem, task, server, thrifty) for task in problem.tasks]
                except InfeasibleError as error:
                    complaint = error
                    break
                need = min(need, sum(some.share for some in rented))
                if sum(some.share for some in rented) <= 1:
                    fits.append((sum(some.rent_usd for some in rented), server, rented))
                    break
        if not fits:
            raise complaint or InfeasibleError(
                f"C2: a server is shared out once, and {len(problem.tasks)} tasks need {need:.4g} of it to be in time;"
                " allow more time or use a faster server"
            )
        rent_usd, server, rented = min(fits, key=lambda some: some[:2])
        name = problem.cluster.nodes[server].name
        plan = joined((some.table.plan(some.cut), {name: some.share}) for some in rented)
        return allowed(problem, plan, "the cuts of least rent", {"rent_usd": f"{rent_usd:.9g}"})


def _cheapest(problem: Problem, task: Task, server: int, thrifty: bool) -> Rented:
    """The cut of one task that keeps the constraints alone, of least rent, or if there is none or thrift is asked for,
    of the least share."""
    table = cut_table(sequential(problem, task), problem.cluster.index[task.source], server)
    deadline_s = task.deadline_s or 0.0
    shares = least_shares(table, deadline_s)
    if not np.isfinite(shares).any():
        raise InfeasibleError(
            f"C3: {task.name!r} is due after {show(deadline_s, 's')}, and its fastest cut takes"
            f" {show(float(table.total_s().min()), 's')}; allow more time or use faster nodes"
        )
    rents = _rents(problem, table, shares, deadline_s)
    free = not rents[np.isfinite(rents)].any()
    alone = problem.replace(tasks=(task,))
    searched = "all cuts of one topological order with their least shares"
    cut = allowed_cut(alone, table, shares if thrifty or free else rents, searched)
    return Rented(table, cut, float(shares[cut]), float(rents[cut]))


def least_shares(table: CutTable, deadline_s: float) -> Floats:
    """(C,) the smallest part of the server with which each cut meets a deadline: a / (T - b); inf = none does."""
    spare_s = deadline_s - (table.first_s + table.across_s + table.answer_s)
    work_s = table.second_s
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(work_s > 0, np.maximum(work_s / spare_s * _SPARE, LEAST), 0.0)
    meets = (spare_s > 0) & (shares <= 1) | (work_s <= 0) & (spare_s >= 0)
    return np.where(meets, shares, np.inf)


def _rents(problem: Problem, table: CutTable, shares: Floats, deadline_s: float) -> Floats:
    """(C,) US dollars of a share until the deadline, and of sending the cut tensors."""
    device, server = problem.cluster.nodes[table.first], problem.cluster.nodes[table.second]
    rent = server.compute_price_per_s * deadline_s * np.where(np.isfinite(shares), shares, 0.0)
    sent = device.transmit_price_per_s * np.where(np.isfinite(table.across_s), table.across_s, 0.0)
    return np.where(np.isfinite(shares), rent + sent, np.inf)
