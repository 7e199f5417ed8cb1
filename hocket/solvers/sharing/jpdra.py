"""Given partitions on many servers as tandem queues: deployment by single moves, rates by a Markov chain.

Solves    latency or sequential latency of many tasks, given partitions (blocks) each on any server or the source
Answer    a deployment that no single move improves, as the sum of rate x sojourn counts (every station M/M/1), with the
          computing rates that are best for it; the judge counts latency
Time      O(K P S N P) for the deployment, P = partitions, S = nodes, N = tasks, K = rounds; O(M) steps of the chain
Source    He, Guo, Guo, Qiu, Qi: Joint DNN Partition Deployment and Resource Allocation for Delay-Sensitive Deep
          Learning Inference in IoT, IEEE IoT-J 7(10), 2020, pp. 9241-9254
Departs   [standard] bodies of both steps; the chain starts from the convex optimum rounded to units, so that it only
          has to mend the rounding, and keeps the best that it met; links are not queued, a shared medium is divided
          by the rule of square roots; a task has one share of a node, so its partitions there are one station;
          without rates the sum of latencies is made small
Cards     jpdra
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem, Task
from hocket.errors import RefusedError
from hocket.graph.topology import blocks
from hocket.solvers.checks import require
from hocket.solvers.sharing.allocation import least_sum_shares, tandem_rates
from hocket.solvers.sharing.users import Floats, Users, ratio, refuses_latency, refuses_servers, servers_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpdra:
    """See the module."""

    name: ClassVar[str] = "jpdra"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    partitions: int = 4
    """Of each task: its blocks in so many runs of about equal length."""
    units: int = 100
    """Into which a node is divided for the chain."""
    beta: float = 50.0
    """The greater, the more the chain stays at small delays."""
    steps: int = 300
    """Of the chain."""

    def refuses(self, problem: Problem) -> str | None:
        """An objective that is no latency, or no server."""
        return refuses_latency(problem) or refuses_servers(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:
        """Deploy, then allocate."""
        require(self, problem)
        parts = [parts_of(task, self.partitions) for task in problem.tasks]
        deployed = deployment(problem, parts, stop)
        users = Users(problem, {task.name: [way] for task, way in zip(problem.tasks, deployed, strict=True)})
        choice = [0] * len(users.tasks)
        exact = convex_shares(users)
        chained = markov(users, exact, self.units, self.beta, self.steps, np.random.default_rng(seed))
        plan = users.best([users.plan(choice, chained), users.plan(choice, exact)])
        notes = {"delay": repr(delay(users, chained)), "delay_convex": repr(delay(users, exact))}
        return Proposal(plan=plan, notes=notes)


def parts_of(task: Task, partitions: int) -> list[int]:
    """The partition of each block."""
    size = len(blocks(task.graph))
    return [block * min(partitions, size) // size for block in range(size)]


def deployment(problem: Problem, parts: list[list[int]], stop: Stop | None = None) -> list[tuple[str, ...]]:
    """The node of each block of each task: greedy, then single moves of partitions while the delay falls."""
    nodes = [[name for name in (task.source, *servers_of(problem)) if name in task.profile.nodes]
             for task in problem.tasks]  # fmt: skip
    where = [[some[0]] * (max(own, default=-1) + 1) for own, some in zip(parts, nodes, strict=True)]
    figures = _Delays(problem, parts)
    best = figures.of(where)
    for _ in range(_ROUNDS):
        before = best
        for task, own in enumerate(where):
            for part in range(len(own)):
                for node in nodes[task]:
                    kept, own[part] = own[part], node
                    now = figures.of(where)
                    if now < best * (1 - 1e-12):
                        best = now
                    else:
                        own[part] = kept
            if stop is not None and stop(best):
                return figures.blocks(where)
        if not best < before:
            break
    return figures.blocks(where)


class _Delays:
    """The optimal delay of deployments: each entry is judged alone once."""

    def __init__(self, problem: Problem, parts: list[list[int]]) -> None:
        self.problem, self.parts = problem, parts
        self.known: dict[tuple[int, tuple[str, ...]], tuple[float, dict[str, float]] | None] = {}

    def blocks(self, where: list[list[str]]) -> list[tuple[str, ...]]:
        return [tuple(own[part] for part in parts) for own, parts in zip(where, self.parts, strict=True)]

    def of(self, where: list[list[str]]) -> float:
        """Sum of rate x sojourn at the best rates; infinite where a way is missing or a node overloaded."""
        stations: dict[str, list[tuple[float, float]]] = {}
        total = 0.0
        for number, way in enumerate(self.blocks(where)):
            alone = self._alone(number, way)
            if alone is None:
                return float("inf")
            rate = self.problem.tasks[number].rate_per_s
            count = rate or self.problem.tasks[number].weight
            total += count * alone[0]
            for name, seconds in alone[1].items():
                stations.setdefault(name, []).append((rate, seconds))
        return total + sum(_least_delay(met) - sum((rate or 1.0) * s for rate, s in met) for met in stations.values())

    def _alone(self, number: int, way: tuple[str, ...]) -> tuple[float, dict[str, float]] | None:
        key = number, way
        if key not in self.known:
            task = self.problem.tasks[number]
            try:
                users = Users(self.problem.replace(tasks=(task,)), {task.name: [way]})
            except RefusedError:
                self.known[key] = None
            else:
                cost = users.ways[0][0].cost
                busy = {name: s for name, s in cost.busy_s.items() if s and name in servers_of(self.problem)}
                self.known[key] = cost.latency_s, busy
        return self.known[key]


def _least_delay(met: list[tuple[float, float]]) -> float:
    """Least sum of rate x sojourn of M/M/1 stations on one node; without rates, of work / share."""
    rates, work = (np.array(column) for column in zip(*met, strict=True))
    if not rates.all():
        weights = np.where(rates > 0, rates, 1.0)
        return float(np.sqrt(weights * work).sum() ** 2)
    if float((rates * work).sum()) >= 1:
        return float("inf")
    return float((rates / (tandem_rates(rates, work) - rates)).sum())


def convex_shares(users: Users) -> Floats:
    """(N, R) shares: of nodes those of the best M/M/1 rates, of media those of the rule of square roots."""
    _, work = users.chosen([0] * len(users.tasks))
    shares = np.zeros_like(work)
    counted = np.where(users.rates_per_s > 0, users.rates_per_s, users.weights)
    for column, thing in enumerate(users.things):
        mine = work[:, column]
        queued = thing in users.problem.cluster.node and users.rates_per_s[mine > 0].all()
        if queued and float((users.rates_per_s * mine).sum()) < 1:
            rates = tandem_rates(users.rates_per_s, mine)
            shares[:, column] = np.where(mine > 0, mine * np.where(mine > 0, rates, 0.0), 0.0)
        else:
            shares[:, column] = least_sum_shares(counted, mine)
    return shares


def delay(users: Users, shares: Floats) -> float:
    """Sum of rate x sojourn over the stations of nodes, each M/M/1 at share / work; of others work / share."""
    _, work = users.chosen([0] * len(users.tasks))
    total = 0.0
    for column, thing in enumerate(users.things):
        took = ratio(work[:, column], shares[:, column])
        if thing in users.problem.cluster.node:
            load = users.rates_per_s * took
            if (load >= 1).any():
                return float("inf")
            took = took / (1 - load)
        total += float((np.where(users.rates_per_s > 0, users.rates_per_s, users.weights) * took).sum())
    return total


def markov(users: Users, start: Floats, units: int, beta: float, steps: int, generator: np.random.Generator) -> Floats:
    """A chain over allocations in whole units whose stationary distribution is in proportion to exp(-beta delay).

    One unit moves between two users of a thing with the rate exp(beta (before - after) / 2); uniformised, so that a
    move that helps is taken. The best allocation that it met is the answer.
    """
    held = np.stack([_rounded(start[:, r], units) for r in range(start.shape[1])], axis=1) if start.size else start
    now = delay(users, held / units)
    best, least = held.copy(), now
    columns = [r for r in range(held.shape[1]) if (held[:, r] > 0).sum() > 1]
    scale = beta / now if columns and np.isfinite(now) and now > 0 else 0.0
    for _ in range(steps if columns else 0):
        column = columns[int(generator.integers(len(columns)))]
        giver, taker = generator.choice(np.flatnonzero(held[:, column] > 0), size=2, replace=False)
        if held[giver, column] <= 1:
            continue
        held[giver, column] -= 1
        held[taker, column] += 1
        after = delay(users, held / units)
        if np.isfinite(now) and generator.random() >= np.exp(min(0.5 * scale * (now - after), 0.0)):
            held[giver, column] += 1
            held[taker, column] -= 1
            continue
        now = after
        if now < least:
            best, least = held.copy(), now
    return np.asarray(best / units)


def _rounded(shares: Floats, units: int) -> Floats:
    """Whole units in these proportions, at least one for each that has some, by largest remainder."""
    mine = shares > 0
    if not mine.any():
        return shares
    units = max(units, int(mine.sum()))
    wanted = shares / shares.sum() * (units - mine.sum())
    whole = np.floor(wanted) + mine
    for index in np.argsort(-(wanted - np.floor(wanted)), kind="stable")[: int(units - whole.sum())]:
        whole[index] += 1
    return np.asarray(whole)
