"""Our own: cuts of many devices and their shares of a server and its air together, by prices, with a gap.

Solves    latency or sequential latency of many tasks, as mean, sum or maximum, each cut between its source and a server
Answer    a plan and in `notes` a value that no cuts with shares beat and the gap to it; one thing to share and the
          maximum: optimal but for the bisection. Tasks without shares are not in the space
Time      O(K N W R); K = 200 rounds of prices, N = tasks, W = cuts x servers, R = things that are shared
Source    -
Departs   -
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.sharing.dual import (
    Answer,
    Offer,
    answer_for_sum,
    answer_in_time,
    climb,
    first_prices,
    offer_of,
    shares_for_sum,
    shares_in_time,
)
from hocket.solvers.sharing.users import Choice, Floats, Users, refuses_latency, servers_of, tier_ways
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_ROUNDS = 200
_TRIED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CutAndShare:
    """See the module."""

    name: ClassVar[str] = "cut_and_share"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """An objective that is no latency."""
        return refuses_latency(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best cuts with shares that prices and single changes find."""
        require(self, problem)
        users = users_of(problem)
        offer = offer_of(users)
        for user, task in enumerate(users.tasks):
            if (offer.fixed[user] > users.deadlines_s[user]).all():
                raise InfeasibleError(
                    f"C3: {task.name!r} is due after {users.deadlines_s[user]:g} s and takes"
                    f" {offer.fixed[user].min():g} s whatever it shares; allow more time or use faster nodes"
                )
        worst = problem.objective.aggregate == "max"
        bound, found = _least_max(offer) if worst else _least_sum(offer)
        plan = users.best(users.plan(choice, shares) for choice, shares in found)
        if not worst and problem.objective.aggregate == "mean":
            bound /= float(users.weights.sum()) or 1.0
        value = users.judge.evaluate(plan).value
        bound = max(min(bound, value), 0.0)
        gap = (value - bound) / value if value > 0 else 0.0
        return Proposal(plan=plan, notes={"bound_with_shares": repr(bound), "gap_with_shares": f"{gap:.3g}"})


def users_of(problem: Problem) -> Users:
    """Each task whole at home, and cut before each block between its source and each server."""
    servers = servers_of(problem)
    return Users(
        problem,
        {
            task.name: [way for server in servers or [task.source] for way in tier_ways(task, (task.source, server))]
            + tier_ways(task, (task.source,))
            for task in problem.tasks
        },
    )


def _least_sum(offer: Offer) -> tuple[float, list[tuple[Choice, Floats]]]:
    """A lower bound of the weighted sum, and choices with their shares."""
    seen: dict[tuple[int, ...], None] = {}

    def enough(found: Answer) -> bool:
        seen[found.choice] = None
        return False

    bound = climb(lambda prices: answer_for_sum(offer, prices), first_prices(offer), _ROUNDS, enough)
    choices = dict.fromkeys(improved(offer, choice) for choice in list(seen)[-_TRIED:])
    ranked = sorted(choices, key=lambda choice: sum_of(offer, choice))[:3]
    home = tuple(np.where(offer.work.sum(axis=2) == 0, offer.fixed, np.inf).argmin(axis=1).tolist())
    return bound, [
        (choice, shares_for_sum(offer, choice)) for choice in dict.fromkeys([*ranked[:2], list(seen)[-1], home])
    ]


def sum_of(offer: Offer, choice: Choice) -> float:
    """Weighted sum at the best shares, deadlines not looked at: sum w fixed + sum_r (sum sqrt(w work))^2."""
    alone = offer.only(choice)
    roots = np.sqrt(offer.weights[:, None] * alone.work[:, 0]).sum(axis=0)
    return float((offer.weights * alone.fixed[:, 0]).sum() + (roots**2).sum())


def improved(offer: Offer, choice: Choice) -> tuple[int, ...]:
    """The choice after the best change of one user, again and again, until none makes the sum less."""
    rows, chosen = np.arange(len(offer.fixed)), np.array(choice)
    roots = np.sqrt(offer.weights[:, None, None] * offer.work)
    fixed = offer.weights[:, None] * offer.fixed
    while True:
        own = roots[rows, chosen]
        total = own.sum(axis=0)
        others = total - own
        change = fixed - fixed[rows, chosen][:, None]
        change = change + ((others[:, None, :] + roots) ** 2).sum(axis=2) - (total**2).sum()
        user, way = divmod(int(change.argmin()), change.shape[1])
        if not change[user, way] < -1e-12 * (1 + float((total**2).sum())):
            return tuple(chosen.tolist())
        chosen[user] = way


def _least_max(offer: Offer) -> tuple[float, list[tuple[Choice, Floats]]]:
    """A time that is too short for any choice, and choices with their shares."""
    start = tuple(np.nanargmin(np.where(np.isfinite(offer.fixed), offer.fixed, np.nan), axis=1).tolist())
    home = tuple(np.where(offer.work.sum(axis=2) == 0, offer.fixed, np.inf).argmin(axis=1).tolist())
    best: dict[tuple[int, ...], tuple[float, Floats]] = {c: shares_in_time(offer, c) for c in {start, home}}
    low, high = float(offer.fixed.min(axis=1).max()), min(time for time, _ in best.values())
    for _ in range(60):
        if high - low <= 1e-9 * high:
            break
        middle = (low + high) / 2
        too_short, choices = _try(offer, middle)
        if too_short:
            low = middle
            continue
        for choice in choices:
            if choice not in best:
                best[choice] = shares_in_time(offer, choice)
        least = min(time for time, _ in best.values())
        # Between the bound and the best choice: nothing is proven, so search on below the time that was tried.
        high = min(middle, least)
    ranked = sorted(best, key=lambda choice: best[choice][0])[:3]
    return low, [(choice, best[choice][1]) for choice in ranked]


def _try(offer: Offer, until_s: float) -> tuple[bool, list[tuple[int, ...]]]:
    """Whether a time is proven to be too short; else the choices met, the last of them first."""
    seen: dict[tuple[int, ...], None] = {}

    def enough(found: Answer) -> bool:
        seen[found.choice] = None
        return found.bound > 1e-12 or bool((found.shares.sum(axis=0) <= 1).all())

    bound = climb(lambda prices: answer_in_time(offer, prices, until_s), first_prices(offer), _ROUNDS // 3, enough)
    return bound > 1e-12, list(seen)[::-1][:2]
