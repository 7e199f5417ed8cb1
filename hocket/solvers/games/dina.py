"""Layers that are faster elsewhere are divided into pieces, and these are matched with fog nodes.

Solves    one or more models, any graph; fog nodes are those that compute and are not the source of a task
Answer    a matching of pieces and fog nodes that is two-sided exchange-stable, unless the note `stable` says no: no
          exchange is left that harms none of the pieces and nodes involved, helps one and lowers the sum of delays; a
          piece wants the least delay of upload, queue and computing
Time      O(A^2 N) per exchange; A = pieces, N = nodes
Source    Mohammed, Joe-Wong, Babbar, Di Francesco: Distributed inference acceleration with adaptive DNN partitioning
          and offloading, INFOCOM 2020, pp. 854-863
Departs   [standard] the formulas; pieces are runs of whole layers, with sizes in proportion to the rates of the fog
          nodes: layers are not divided inside; exchanges also have to lower the sum of delays, without which they may
          go on for ever; in a move to a free place the piece decides alone; a piece that all fog nodes refuse stays at
          home
Cards     dina
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.games.groups import Groups
from hocket.solvers.games.market import settled
from hocket.solvers.games.matching import deferred_acceptance, exchange
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


def offloads(local_s: float, upload_s: Floats, remote_s: Floats) -> bool:
    """A layer's own rule: whether some fog node would be done with it sooner, its inputs sent there.

    >>> offloads(3.0, np.array([1.0, 2.5]), np.array([1.5, 0.1])), offloads(1.0, np.array([1.0]), np.array([0.5]))
    (True, False)
    """
    return bool((upload_s + remote_s).min(initial=np.inf) < local_s)


def delay_s(upload_s: float, queue_s: float, compute_s: float, return_s: float = 0.0) -> float:
    """A piece's own estimate of a place: from its own figures and the queue that it hears of."""
    return upload_s + queue_s + compute_s + return_s


def proportional(work: Sequence[float], rates: Sequence[float]) -> list[int]:
    """The piece of each layer of a run, with work in proportion to rates; no piece is empty.

    Args:
        work: of each layer, in their order.
        rates: of the candidates, the fastest first.

    >>> proportional([1.0, 1.0, 1.0, 1.0], [3.0, 1.0])
    [0, 0, 0, 1]
    """
    limits = np.cumsum(rates) / sum(rates)
    total = sum(work)
    middles = (np.cumsum(work) - np.array(work) / 2) / total if total else np.zeros(len(work))
    pieces = np.minimum(np.searchsorted(limits, middles), len(rates) - 1)
    return [int(piece) for piece in np.unique(pieces, return_inverse=True)[1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dina:
    """See the module."""

    name: ClassVar[str] = "dina"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    quota: int | None = None
    """Pieces that a fog node takes; None = so many that all pieces have a place."""

    def refuses(self, problem: Problem) -> str | None:
        """No fog node, or a source that cannot compute."""
        if self.quota is not None and self.quota < 1:
            return f"a fog node takes at least one piece, and quota = {self.quota}"
        for task in problem.tasks:
            if task.source not in task.profile.nodes:
                return f"the inputs of {task.name!r} are on {task.source!r}, of which the profile knows nothing"
        if not fog_nodes(problem):
            return "there is no fog node: one that computes and is not the source of a task"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of an exchange-stable matching."""
        require(self, problem)
        market = Pieces(problem, self.quota)
        found = exchange(market.delay_s, market.compute_s, market.quotas, market.start(), stop=stop)
        notes = {
            "pieces": str(len(market.players)),
            "exchanges": str(found.swaps),
            "stable": "yes" if found.stable else "no",
        }
        return settled(problem, self.name, market.groups.plan(market.places(found.places)), notes)


def fog_nodes(problem: Problem) -> list[int]:
    """Nodes that some task can compute on and that are not the source of a task, rising."""
    sources = {task.source for task in problem.tasks}
    names = {name for task in problem.tasks for name in task.profile.nodes} - sources
    return sorted(problem.cluster.index[name] for name in names)


class Pieces:
    """DINA-P, and the two sides of DINA-O: the pieces that go out, and the nodes of the cluster with their quotas."""

    def __init__(self, problem: Problem, quota: int | None) -> None:
        self.fogs = fog_nodes(problem)
        self._layers = Groups(problem, lambda layout: range(len(layout.units)))
        self._stays = [not self._out(unit) for unit in range(len(self._layers.task_of))]
        self.groups = Groups(problem, self._grouping)
        self.players = [group for group in range(len(self.groups.task_of)) if not self._at_home(group)]
        """The group of each piece that goes out."""
        self._homes = [self.groups.source(group) for group in range(len(self.groups.task_of))]
        self.compute_s: Floats = self.groups.seconds[self.players]
        """(A, N) what each piece costs each node."""
        each = ceil(len(self.players) / len(self.fogs)) if quota is None else quota
        self.quotas = [each if node in self.fogs else len(self.players) for node in range(len(problem.cluster.nodes))]

    def _out(self, unit: int) -> bool:
        layers = self._layers
        home = [layers.source(other) for other in range(len(layers.task_of))]
        upload, seconds = layers.arriving(unit, home), layers.seconds[unit]
        return offloads(float(seconds[home[unit]]), upload[self.fogs], seconds[self.fogs])

    def _grouping(self, layout: Layout) -> list[int]:
        """Runs of layers that stay, and the pieces of runs that go out."""
        number = next(n for n, other in enumerate(self._layers.layouts) if other.task is layout.task)
        own = self._layers.unit_groups[number]
        groups: list[int] = []
        for stays, run in groupby(own, key=lambda unit: self._stays[unit]):
            units = list(run)
            first = max(groups, default=-1) + 1
            pieces = [0] * len(units) if stays else self._divided(units)
            groups += [first + piece for piece in pieces]
        return groups

    def _divided(self, units: Sequence[int]) -> list[int]:
        """A run in pieces, in proportion to how fast the fog nodes would be with all of it."""
        layers = self._layers
        home = [layers.source(other) for other in range(len(layers.task_of))]
        total = layers.seconds[units].sum(axis=0) + layers.arriving(units[0], home)
        rates = sorted(
            (1 / max(float(total[fog]), 1e-12) for fog in self.fogs if np.isfinite(total[fog])), reverse=True
        )
        return (
            proportional([float(layers.seconds[unit, home[unit]]) for unit in units], rates)
            if rates
            else [0] * len(units)
        )

    def _at_home(self, group: int) -> bool:
        task = self.groups.task_of[group]
        pairs = zip(self.groups.unit_groups[task], self._layers.unit_groups[task], strict=True)
        return any(self._stays[layer] for own, layer in pairs if own == group)

    def places(self, matching: Sequence[int]) -> list[int]:
        """Node of each group."""
        places = list(self._homes)
        for player, node in zip(self.players, matching, strict=True):
            places[player] = node
        return places

    def delay_s(self, piece: int, matching: Sequence[int]) -> float:
        """What a piece waits for in a matching; queues are at fog nodes, of what other pieces compute there."""
        group, node = self.players[piece], matching[piece]
        home = self._homes[group]
        if node not in self.fogs and node != home:
            return float("inf")
        queue = 0.0
        if node != home:
            others = (float(self.compute_s[other, node]) for other, where in enumerate(matching) if where == node)
            queue = sum(others) - float(self.compute_s[piece, node])
        places = self.places(matching)
        upload = float(self.groups.arriving(group, places)[node])
        stays = set(range(len(places))) - set(self.players)
        back = float(self.groups.leaving(group, places, stays.__contains__)[node])
        return delay_s(upload, queue, float(self.compute_s[piece, node]), back)

    def start(self) -> list[int]:
        """Deferred acceptance with empty queues and all others at home."""
        home = [self._homes[group] for group in self.players]
        delays = np.full(self.compute_s.shape, np.inf)
        for piece in range(len(home)):
            for node in (*self.fogs, home[piece]):
                delays[piece, node] = self.delay_s(piece, [*home[:piece], node, *home[piece + 1 :]])
        found = deferred_acceptance(delays, self.compute_s, self.quotas)
        return [home[piece] if node < 0 else node for piece, node in enumerate(found)]
