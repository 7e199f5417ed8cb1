"""Whole cores of one server: units move from who can spare them to who is slowest.

Solves    latency or sequential latency of many tasks, each cut between its source and one server that has units to give
Answer    the cuts and units with the least maximum of the latencies, where more units never hurt and the air is fixed;
          the judge's own objective may be another aggregate, and plans without shares are not in the space
Time      O(K log K + N L K); K = units, N = tasks, L = cuts
Source    Tang, Chen, Zeng, Yu, Chen: Joint Multiuser DNN Partitioning and Computational Resource Allocation for
          Collaborative Edge Intelligence, IEEE IoT-J 8(12), 2021, pp. 9511-9522
Departs   ends when the slowest can only be helped by making another as slow, so that ties of the slowest do not end it;
          the rate of each link is fixed as in the paper: a shared medium is divided equally; the compensation function
          is `Node.core_gains`, and where the server has one core its time is divided into 4 units per task; of several
          servers each is tried
Cards     iao
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cluster import Node
from hocket.cost import Problem
from hocket.plan import Plan
from hocket.solvers.checks import require
from hocket.solvers.sharing.users import (
    Floats,
    Users,
    equal_shares,
    refuses_latency,
    refuses_servers,
    servers_of,
    tier_ways,
)
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Iao:
    """See the module."""

    name: ClassVar[str] = "iao"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    units: int | None = None
    """Of the server; None = its cores, or 4 per task where it has one core."""
    halving: bool = False
    """IAO-DS: many units move at first, then half as many, and so on to one."""

    def refuses(self, problem: Problem) -> str | None:
        """An objective that is no latency, or no server."""
        return refuses_latency(problem) or refuses_servers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The least maximum."""
        require(self, problem)
        plans, moves = [], 0
        for server in servers_of(problem):
            users = users_at(problem, server)
            plan, count = self._plan(users, server, stop)
            plans.append((users, plan))
            moves += count
        chosen = plans[0][0].best(plan for _, plan in plans)
        return Proposal(plan=chosen, notes={"moves": str(moves)})

    def _plan(self, users: Users, server: str, stop: Stop | None) -> tuple[Plan, int]:
        shares = equal_shares(users)
        if server not in users.things:  # nobody, or only one task, can use it
            choice = users.all_latencies_s(shares).argmin(axis=1)
            return users.plan(choice.tolist(), shares), 0
        node, column = users.problem.cluster.node[server], users.things.index(server)
        count = self.units or (node.cores if node.cores > 1 else 4 * len(users.tasks))
        table = latencies_s(users, shares, column, speeds(node, count))
        held, moves = exchanged(table, spread(count, len(users.tasks)), halving=self.halving, stop=stop)
        shares[:, column] = speeds(node, count)[held]
        choice = users.all_latencies_s(shares).argmin(axis=1).tolist()
        return users.plan(choice, shares, {server: held} if counts_cores(node, count) else None), moves


def users_at(problem: Problem, server: str) -> Users:
    """Each task cut between its source and one server."""
    return Users(
        problem,
        {t.name: tier_ways(t, (t.source, server)) + tier_ways(t, (t.source,)) for t in problem.tasks},
    )


def speeds(node: Node, units: int) -> Floats:
    """(K + 1,) speed of 0, 1, ... units as a fraction of the whole node: the compensation function."""
    if units == node.cores:
        return np.array([0.0] + [node.gain(number) / node.gain(units) for number in range(1, units + 1)])
    return np.arange(units + 1) / units


def counts_cores(node: Node, units: int) -> bool:
    """Whether the units are cores whose gains are known, so that a plan has to say their number."""
    return bool(node.core_gains) and units == node.cores


def latencies_s(users: Users, shares: Floats, column: int, speed: Floats) -> Floats:
    """(N, K + 1) least seconds over cuts of each user with each number of units."""
    table = []
    for fraction in speed:
        shares = shares.copy()
        shares[:, column] = fraction
        table.append(users.all_latencies_s(shares).min(axis=1))
    return np.stack(table, axis=1)


def spread(units: int, users: int) -> list[int]:
    """Any units to begin with: the same for all, the first ones more."""
    return [units // users + (number < units % users) for number in range(users)]


def exchanged(
    table: Floats, held: Sequence[int], *, halving: bool = False, stop: Stop | None = None
) -> tuple[list[int], int]:
    """Move units to the slowest from who is fastest after the loss, until that makes nobody faster who matters.

    Args:
        table: (N, K + 1) seconds of each user by its units, falling.
        held: units of each user.
        halving: begin with large steps.
        stop: asked once per move.

    Returns:
        Units of each user, and the number of moves.
    """
    held, moves = list(held), 0
    step = max(int(sum(held) // 2), 1) if halving else 1
    while True:
        moved = _move(table, held, step)
        if moved is None and step == 1:
            return held, moves
        if moved is None:
            step //= 2
            continue
        held, moves = moved, moves + 1
        if stop is not None and stop(_slowest(table, held)):
            return held, moves


def _slowest(table: Floats, held: Sequence[int]) -> float:
    return max(float(table[user, units]) for user, units in enumerate(held))


def _move(table: Floats, held: Sequence[int], step: int) -> list[int] | None:
    took = [float(table[user, units]) for user, units in enumerate(held)]
    slowest = max(range(len(held)), key=lambda user: (took[user], -user))
    givers = [user for user, units in enumerate(held) if user != slowest and units >= step]
    if not givers:
        return None
    giver = min(givers, key=lambda user: (float(table[user, held[user] - step]), user))
    if not float(table[giver, held[giver] - step]) < took[slowest]:
        return None
    after = list(held)
    after[giver] -= step
    after[slowest] += step
    return after
