"""prima.cpp's Halda: a ring of windows of layers, by an integer program for each number of rounds.

Solves    one task whose source computes; all nodes of the profile form the ring
Answer    its own time per token: windows of equal layers, each round over all nodes; `halda` as shipped knows neither
          the network nor the bandwidth of memory, `halda_paper` knows both; layers that a node cannot hold are refused
Time      O(D^2 d(L) log D); L = layers, D = nodes, d = divisors
Source    Li, Zhang, Chen, et al.: prima.cpp, arXiv 2504.08791; the shipped form: prima.cpp,
          common/common.cpp, assign_layers_to_device (MIT)
Departs   nodes have no disk, swap or GPU of their own, so every node is in the set that must fit (M4); with one set the
          program is solved exactly by filling the cheapest nodes first; layers are of mean size; there is no cache
Cards     -
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.checks import require
from hocket.solvers.layout import Floats
from hocket.solvers.rules.layers import Layers, refuses_layers, ruled
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Halda:
    """See the module."""

    name: ClassVar[str] = "halda"
    exact_for: ClassVar[frozenset[str]] = frozenset()
    paper: ClassVar[bool] = False
    """Whether it knows the network and the bandwidth of memory."""

    rounds: int = 0
    """Rounds of the ring per request; 0 = the best divisor of the number of layers."""
    master_priority: float = 1.0
    """By which the cost of the source is divided, so that it gets more layers."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or a source that does not compute."""
        reason = refuses_layers(problem)
        if reason:
            return reason
        source = problem.task.source
        return None if source in problem.task.profile.nodes else f"the ring begins at {source!r}, which has no profile"

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The windows."""
        require(self, problem)
        ring = Ring(Layers(problem), self.rounds, self.master_priority, paper=self.paper)
        return ruled(problem, self.name, ring.layers.plan(ring.hosts()), ring.notes())


@dataclass(frozen=True, slots=True, kw_only=True)
class HaldaPaper(Halda):
    """See the module."""

    name: ClassVar[str] = "halda_paper"
    paper: ClassVar[bool] = True


class Ring:
    """Windows of layers on a ring of nodes that begins at the source."""

    def __init__(self, layers: Layers, rounds: int, priority: float, *, paper: bool) -> None:
        self.layers, self.rounds, self.paper = layers, rounds, paper
        self.head = layers.source or 0
        self.costs = self._layer_s()
        self.costs[self.head] /= priority
        others = [host for host in range(len(layers.names)) if host != self.head]
        self.members = [self.head, *others]
        self.windows, self.times = self._selected()

    def _layer_s(self) -> Floats:
        """(D,) alpha: seconds of a mean layer, by speed; as in the paper also of reading its weights from memory."""
        flops, nbytes = float(self.layers.flops.mean()), float(self.layers.nbytes.mean())
        seconds = np.array([flops / node.flops_per_s for node in self.layers.nodes])
        if self.paper:
            seconds += [
                nbytes / node.memory_bytes_per_s if node.memory_bytes_per_s else 0.0 for node in self.layers.nodes
            ]
        return seconds

    def _hops_s(self, members: Sequence[int]) -> float:
        """The paper's xi of all members: seconds of one round of what passes between layers; as shipped 0."""
        if not self.paper or len(members) < 2:
            return 0.0
        cluster, names = self.layers.problem.cluster, self.layers.names
        size = float(self.layers.leaving[:-1].mean()) if len(self.layers) > 1 else 0.0
        hops = zip(members, [*members[1:], members[0]], strict=True)
        return sum(
            cluster.transfer_s(names[a], names[b], size) if cluster.reachable(names[a], names[b]) else np.inf
            for a, b in hops
        )

    def _selected(self) -> tuple[list[int], int]:
        """Windows after nodes have been left out: every one but the head that gets a single layer, until none does."""
        while True:
            windows, times = self._assigned(self.members)
            kept = [host for host, window in zip(self.members, windows, strict=True) if window > 1 or host == self.head]
            if kept == self.members:
                return windows, times
            try:
                self._assigned(kept)
            except InfeasibleError:
                return windows, times
            self.members = kept

    def _assigned(self, members: Sequence[int]) -> tuple[list[int], int]:
        """The best windows over all numbers of rounds that divide the layers."""
        size = len(self.layers)
        divisors = [k for k in range(1, max(size // 2, 1) + 1) if size % k == 0]
        best: tuple[float, int, list[int]] | None = None
        for times in [self.rounds] if self.rounds else divisors:
            windows = self._filled(members, times) if size % times == 0 else None
            if windows is None:
                continue
            value = times * (float(self.costs[list(members)] @ np.array(windows)) + self._hops_s(members))
            if best is None or value < best[0]:
                best = (value, times, windows)
        if best is None:
            raise InfeasibleError(
                f"the ring of the rule halda has no windows for {size} layers on {len(members)} nodes; add memory, or"
                " choose rounds that divide the layers"
            )
        return best[2], best[1]

    def _filled(self, members: Sequence[int], times: int) -> list[int] | None:
        """The cheapest windows, at least 1 each, that fit; None if there are none."""
        total = len(self.layers) // times
        caps = [self._cap(host, times) for host in members]
        windows = [1] * len(members)
        if total < len(members) or min(caps) < 1:
            return None
        left = total - len(members)
        for at in sorted(range(len(members)), key=lambda at: (self.costs[members[at]], at)):
            more = min(left, caps[at] - 1)
            windows[at] += more
            left -= more
        return windows if left == 0 else None

    def _cap(self, host: int, times: int) -> int:
        """Most layers in a window that the memory holds over all rounds."""
        room, mean = self.layers.nodes[host].memory_bytes, float(self.layers.nbytes.mean())
        return len(self.layers) if room is None or mean == 0 else int(room // (mean * times))

    def hosts(self) -> list[int]:
        """The node of each layer: round after round over the ring."""
        one = [host for host, window in zip(self.members, self.windows, strict=True) for _ in range(window)]
        return one * self.times

    def notes(self) -> dict[str, str]:
        """Rounds and windows."""
        windows = zip(self.members, self.windows, strict=True)
        shown = ", ".join(f"{self.layers.names[host]} {window}" for host, window in windows)
        return {"rounds": str(self.times), "windows": shown}
