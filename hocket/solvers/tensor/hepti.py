"""Rows, one-dimensional or two-dimensional tiles of weights, chosen by memory and number of nodes; shares by bisection.

Solves    every metric of one task that is a Transformer loaded from ONNX, on two or more nodes
Answer    one plan: the layout of the rule, with the shares that end at the same time by its own price: seconds of the
          products on each node, and of what it exchanges with the main one
Time      O(D V), a bisection for each half, and one judgement; V = operators, D = nodes
Source    Lee, Bahk, Kim, Jeong, Lee, Min: An Autonomous Parallelization of Transformer Model Inference on Heterogeneous
          Edge Devices, ICS 2024, pp. 50-61
Departs   [standard] the price of a share and the bisection on it. Speeds and rates are those of the profile and the
          cluster; the original averages the times of earlier requests. Rows: queries, keys and values are computed by
          position, and keys and values are gathered. Two dimensions: the MLP on a grid, attention by heads; without a
          divisor that helps, one dimension
Cards     hepti
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.plan import Run, Split
from hocket.plan.cuts import shared
from hocket.solvers.checks import require
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tensor.collectives import best_grid
from hocket.solvers.tensor.grid import by_grid, two_products
from hocket.solvers.tensor.layers import Half
from hocket.solvers.tensor.rows import row_runs
from hocket.solvers.tensor.team import Team, cuts, refuses_team, run, some

Mode = Literal["rows", "1d", "2d"]
MANY = 16
"""Nodes from which two dimensions move no more than one: 8 / sqrt(n) <= 2."""
_STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Hepti:
    """See the module."""

    name: ClassVar[str] = "hepti"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    mode: Literal["auto", "rows", "1d", "2d"] = "auto"
    """`auto` = by memory and number of nodes."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no Transformer, or fewer than two nodes."""
        return refuses_team(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the rule."""
        require(self, problem)
        team = Team(problem)
        mode = mode_of(_fits(team), len(team.hosts)) if self.mode == "auto" else self.mode
        runs: list[Run | None] = [some(team.layers.prologue, team.main)]
        for half in team.layers.halves:
            runs += _by_rows(team, half) if mode == "rows" else _by_tiles(team, half, mode)
        runs.append(some(team.layers.epilogue, team.main))
        return team.planned(self.name, runs, mode=mode)


def mode_of(fits: bool, nodes: int) -> Mode:
    """Rows where all weights fit everywhere, else tiles, in two dimensions for many nodes.

    >>> mode_of(True, 20), mode_of(False, 15), mode_of(False, 16)
    ('rows', '1d', '2d')
    """
    if fits:
        return "rows"
    return "1d" if nodes < MANY else "2d"


def _fits(team: Team) -> bool:
    """Whether each node can hold the weights of all layers, and the main one all others too."""
    layers = team.layers
    inside = team.weight_bytes(tuple(name for half in layers.halves for name in half.names))
    needed = np.full(len(team.hosts), float(inside))
    needed[0] += team.weight_bytes(layers.prologue + layers.epilogue)
    return bool((needed <= team.rooms()).all())


def equal_times(fixed: Floats, per_share: Floats) -> Floats:
    """Shares, of sum 1, of nodes that all end at the same time T = fixed + per_share x; those that cannot have none.

    Args:
        fixed: (K,) seconds before a node can begin, and after it.
        per_share: (K,) seconds of all the work, above 0.

    >>> [round(float(share), 6) for share in equal_times(np.array([0.0, 1.0, 9.0]), np.array([4.0, 2.0, 1.0]))]
    [0.5, 0.5, 0.0]
    """
    total: Callable[[float], float] = lambda t: float(np.maximum((t - fixed) / per_share, 0).sum())  # noqa: E731
    low, high = float(fixed.min()), float((fixed + per_share).min())
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) < 1 else (low, middle)
    shares = np.maximum((high - fixed) / per_share, 0)
    return np.asarray(shares / shares.sum())


def _shares(team: Team, seconds: Floats, fixed_bytes: float, share_bytes: float) -> Floats:
    """Shares by bisection.

    Args:
        team: the main node is the first.
        seconds: (K,) of all the work on each node.
        fixed_bytes: exchanged with the main node both ways, whatever the share is.
        share_bytes: both ways, for all the work.
    """
    cluster = team.problem.cluster
    both = [(host, team.main) for host in team.hosts]
    latency = np.array([cluster.transfer_s(a, b, 0.0) + cluster.transfer_s(b, a, 0.0) for a, b in both])

    def beyond(nbytes: float) -> Floats:
        times = [cluster.transfer_s(a, b, nbytes) + cluster.transfer_s(b, a, nbytes) for a, b in both]
        return np.asarray(np.array(times) - latency)

    per_share = seconds + beyond(share_bytes)
    if not (per_share > 0).all():
        return np.full(len(seconds), 1 / len(seconds))
    return equal_times(latency + beyond(fixed_bytes), per_share)


def _by_rows(team: Team, half: Half) -> list[Run | None]:
    """Every node has all weights and some positions."""
    found = row_runs(team.graph, half) if half.kind == "attention" else []
    if not found:
        nbytes = team.graph.tensor[half.names[-1]].nbytes
        return [team.by_rows(half.names, _shares(team, team.seconds(half.names), 0.0, nbytes))]
    shape = team.graph.tensor[half.names[-1]].shape
    length = shape[found[-1][1]]
    weights = _shares(team, team.seconds(half.names), 0.0, team.graph.tensor[half.names[-1]].nbytes)
    sizes = shared([float(weight) for weight in weights], length)
    return [run(names, Split(axis=axis, parts=team.hosts, cuts=cuts(sizes))) for names, axis in found]


def _by_tiles(team: Team, half: Half, mode: Mode) -> list[Run | None]:
    """Every node has some heads or hidden units; the main one adds up and does what follows."""
    nbytes = team.graph.tensor[half.entry].nbytes
    weights = _shares(team, team.seconds(half.head), float(nbytes), 0.0)
    along = 1
    if mode == "2d" and half.kind == "mlp" and two_products(team, half):
        along = best_grid(team.graph.tensor[half.entry].shape[-1], half.size, len(team.hosts))
    heads = by_grid(team, half, weights, along) if along > 1 else [team.by_units(half, weights)]
    return [*heads, some(half.tail, team.main)]
