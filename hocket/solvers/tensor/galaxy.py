"""Tensor parallelism inside attention and MLP, positions between them, shares by speed and then by memory.

Solves    every metric of one task that is a Transformer loaded from ONNX, on two or more nodes
Answer    one plan, that of the rule; notes: its own price, the sum over halves of the slowest node's seconds
Time      O(D V + D^2), and a judgement, up to four where memory is short; V = operators, D = nodes
Source    Ye, Du, Zeng, Ou, Chu, Lu, Chen: Galaxy, INFOCOM 2024 (arXiv:2405.17245), section III
Departs   [standard] positions between the products in equal shares. Products are not cut into tiles that overlap with
          the rings. Overflow moves in whole hidden units first and in whole heads where that is not enough. The main
          node computes the embedding and what follows the layers, and their weights count in its memory. What arrives
          takes memory too, of which the rule knows nothing: where the judge finds too little, the budget is lowered by
          that and the rule applied again, a few times
Cards     -
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np

from hocket.cost import Cost, Problem
from hocket.plan import Run
from hocket.plan.cuts import shared
from hocket.solvers.checks import infeasible, require
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tensor.layers import Half
from hocket.solvers.tensor.team import Team, refuses_team, some

Counts = list[int]
_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Galaxy:
    """See the module."""

    name: ClassVar[str] = "galaxy"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no Transformer, or fewer than two nodes."""
        return refuses_team(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the rule."""
        require(self, problem)
        team = Team(problem)
        budgets = team.rooms() - _fixed_bytes(team)
        for _ in range(_ROUNDS):
            by_kind = _shares(team, budgets)
            if by_kind is None:
                break
            runs, seconds = _runs(team, by_kind)
            plan = team.plan(runs)
            cost = judged(problem, plan)
            over = _over(team, cost)
            if not over.any():
                shares = {f"{kind} units": ", ".join(map(str, counts)) for kind, counts in by_kind.items()}
                return team.proposed(self.name, plan, cost, layers_s=f"{seconds:.6g}", **shares)
            budgets = np.where(over > 0, np.minimum(budgets, _held(team, by_kind)) - over, budgets)
        raise infeasible(problem, f"the division of {self.name}", "C6: the nodes together cannot hold all layers")


def _runs(team: Team, by_kind: dict[str, Counts]) -> tuple[list[Run | None], float]:
    """The runs, and the seconds of all layers: of each half those of the slowest node."""
    runs: list[Run | None] = [some(team.layers.prologue, team.main)]
    seconds = 0.0
    for half in team.layers.halves:
        weights = np.array(by_kind[half.kind], dtype=np.float64)
        runs.append(team.by_units(half, weights))
        runs.append(team.by_rows(half.tail, np.ones(len(team.hosts))))
        seconds += float((team.seconds(half.head) * weights / weights.sum()).max())
        seconds += float(team.seconds(half.tail).max() / len(team.hosts)) if half.tail else 0.0
    runs.append(some(team.layers.epilogue, team.main))
    return runs, seconds


def _over(team: Team, cost: Cost | None) -> Floats:
    """(K,) bytes that each host lacks, what arrives at it included."""
    used = cost.memory_bytes if cost is not None else {}
    return np.maximum(np.array([used.get(host, 0) for host in team.hosts]) - team.rooms(), 0)


def _shares(team: Team, budgets: Floats) -> dict[str, Counts] | None:
    """Kind of half -> heads or hidden units of each host; None if they do not fit."""
    capacity = team.speeds(tuple(name for half in team.layers.halves for name in half.head))
    by_kind = {kind: [half for half in team.layers.halves if half.kind == kind] for kind in ("mlp", "attention")}
    kinds = {kind: halves for kind, halves in by_kind.items() if halves}
    counts = [list(shared([float(speed) for speed in capacity], halves[0].units)) for halves in kinds.values()]
    sizes = [_unit_bytes(team, halves) for halves in kinds.values()]
    fitting = balanced(counts, sizes, budgets, capacity)
    return None if fitting is None else dict(zip(kinds, fitting, strict=True))


def _held(team: Team, by_kind: dict[str, Counts]) -> Floats:
    """(K,) weights of heads and hidden units."""
    return np.asarray(
        sum(
            np.array(counts) * _unit_bytes(team, [half for half in team.layers.halves if half.kind == kind])
            for kind, counts in by_kind.items()
        )
    )


def _unit_bytes(team: Team, halves: Sequence[Half]) -> float:
    """Weights of one head or hidden unit in all layers."""
    return sum(team.weight_bytes(half.head) for half in halves) / halves[0].units


def _fixed_bytes(team: Team) -> Floats:
    """(K,) weights that a host holds whatever its share is."""
    tails = tuple(name for half in team.layers.halves for name in half.tail)
    found = np.full(len(team.hosts), float(team.weight_bytes(tails)))
    found[0] += team.weight_bytes(team.layers.prologue + team.layers.epilogue)
    return found


def balanced(
    counts: Sequence[Counts], sizes: Sequence[float], budgets: Floats, capacity: Floats
) -> list[Counts] | None:
    """Move what does not fit to nodes with room, in proportion to their capacity, until all fits; None if nobody has.

    Args:
        counts: for each kind of unit how many each node has; kinds in the order in which they are moved.
        sizes: bytes of a unit of each kind.
        budgets: bytes that each node may hold.
        capacity: speeds of the nodes.

    >>> balanced([[6, 3, 3]], [10.0], np.array([40.0, 100.0, 35.0]), np.array([2.0, 1.0, 1.0]))
    [[4, 5, 3]]
    """
    held = [list(each) for each in counts]
    nodes = range(len(budgets))

    def room(node: int) -> float:
        return float(budgets[node]) - sum(each[node] * size for each, size in zip(held, sizes, strict=True))

    for kind, (each, size) in enumerate(zip(held, sizes, strict=True)):
        for node in nodes:
            excess = min(ceil(-room(node) / size), each[node]) if size and room(node) < 0 else 0
            while excess > 0:
                free = [other for other in nodes if other != node and room(other) >= size]
                if not free:
                    if kind == len(held) - 1:
                        return None
                    break
                given = shared([float(capacity[other]) for other in free], excess)
                for other, wanted in zip(free, given, strict=True):
                    moved = min(wanted, int(min(room(other) / size, excess)))
                    each[other] += moved
                    each[node] -= moved
                    excess -= moved
    return None if any(room(node) < 0 for node in nodes) else held
