"""Views of one scene: the slowest counts, so shares are divided until all end at once and cuts are best responses.

Solves    latency or sequential latency of many tasks, each cut between its source and one server
Answer    cuts and shares from which no best response and no new division makes the slowest task faster; the judge's own
          objective may be another aggregate
Time      O(K N L R); K = rounds, N = tasks, L = cuts, R = things that are shared
Source    Cheng, Zhang, Dong, Fu: Accelerate Multi-view Inference with End-edge Collaborative Computing, CSCWD 2023,
          pp. 1625-1631
Departs   [standard] the division is Newton's method on the common end of all, for each shared thing in turn; the part
          that fuses the views is not there, as tasks do not depend on each other; of several servers each is tried
Cards     mv_jramp
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.sharing.allocation import least_max_shares
from hocket.solvers.sharing.alternate import Course, alternate
from hocket.solvers.sharing.iao import users_at
from hocket.solvers.sharing.users import (
    Choice,
    Floats,
    Users,
    equal_shares,
    ratio,
    refuses_latency,
    refuses_servers,
    servers_of,
)
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_ROUNDS = 30
_SAME = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class MvJramp:
    """See the module."""

    name: ClassVar[str] = "mv_jramp"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """An objective that is no latency, or no server."""
        return refuses_latency(problem) or refuses_servers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Alternate best responses and divisions."""
        require(self, problem)
        everything = [users_at(problem, server) for server in servers_of(problem)]
        courses = [jointly(users, stop) for users in everything]
        plans = (users.plan(course.choice, course.shares) for users, course in zip(everything, courses, strict=True))
        rounds = sum(len(course.values) for course in courses)
        return Proposal(plan=everything[0].best(plans), notes={"rounds": str(rounds)})


def jointly(users: Users, stop: Stop | None = None) -> Course:
    """Best responses to shares, shares that equalise the ends, in turn."""
    shares = equal_shares(users)
    choice = tuple(users.all_latencies_s(shares).argmin(axis=1).tolist())
    return alternate(
        choice,
        equalised(users, choice, shares),
        cuts=lambda choice, shares: responses(users, choice, shares),
        divide=lambda choice, shares: equalised(users, choice, shares),
        value=lambda choice, shares: float(users.latencies_s(choice, shares).max()),
        stop=stop,
    )


def responses(users: Users, choice: Choice, shares: Floats) -> Choice:
    """The slowest view takes the way with which, once shares are divided again, all end soonest.

    If only the slowest moves, the greatest latency is a potential, so the responses come to an end.
    """
    took = users.latencies_s(choice, shares)
    best, chosen = float(took.max()), list(choice)
    for user in np.flatnonzero(took >= best * (1 - _SAME)).tolist():
        for way in range(len(users.ways[user])):
            tried = [*choice[:user], way, *choice[user + 1 :]]
            ends = float(users.latencies_s(tried, equalised(users, tried, shares, rounds=2)).max())
            if ends < best:
                best, chosen = ends, tried
    return chosen


def equalised(users: Users, choice: Choice, shares: Floats, *, rounds: int = _ROUNDS) -> Floats:
    """(N, R) shares that make the slowest faster: each thing in turn is divided so that all who need it end at once."""
    fixed, work = users.chosen(choice)
    shares = np.where(work > 0, np.maximum(shares, 1e-9), 0.0)
    shares = shares / np.where(shares.sum(axis=0) > 0, shares.sum(axis=0), 1.0)
    # Whoever begins to use a thing gets an equal part of it first.
    new = (work > 0) & (shares < 1e-6)
    if new.any():
        equal = (work > 0) / np.maximum((work > 0).sum(axis=0), 1)
        shares = np.where(new.any(axis=0), equal, shares)
    before = np.inf
    for _ in range(rounds):
        for thing in range(work.shape[1]):
            mine = work[:, thing] > 0
            if not mine.any():
                continue
            others = fixed + ratio(work, shares).sum(axis=1) - ratio(work[:, thing], shares[:, thing])
            _, divided = least_max_shares(others[mine], work[mine, thing])
            shares[mine, thing] = divided / divided.sum()
        now = float((fixed + ratio(work, shares).sum(axis=1)).max())
        if not now < before * (1 - _SAME):
            break
        before = now
    return np.asarray(shares)
