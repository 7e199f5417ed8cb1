"""Cameras join the coalition of a server, share it equally, and switch as long as one of them gains.

Solves    many devices with a task each and one or more servers: which server each joins and where it cuts
Answer    a Nash-stable partition: no camera gains by leaving its coalition for another or for home, unless the note
          `stable` says no; each cut is the best for the camera's shares; it counts its own cost and what its cut gives
          away, relative to staying at home
Time      O(r n k L); r = rounds, n = cameras, k = servers, L = cuts
Source    Yang, Wei: A coalition formation approach for privacy and energy-aware split deep learning inference in edge
          camera network, IEEE TNSM 20(3), 2023, pp. 3673-3685
Departs   [standard] switch operations with a history set, equal shares, and 1 - (part of the model before the cut) as
          the leak, where the paper measures how like its input an inverted feature is; a camera's cost is that of the
          objective, which is energy in the paper
Cards     camera-coalition
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.games.coalition import switching
from hocket.solvers.games.market import HOME, Choice, Market, refuses_market, settled
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraCoalition:
    """See the module."""

    name: ClassVar[str] = "camera_coalition"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    privacy: float = 0.1
    """What giving the input itself away counts, relative to the whole cost of staying at home."""
    social: bool = False
    """A switch has to lower the sum of all costs instead of the mover's."""

    def refuses(self, problem: Problem) -> str | None:
        """No server, a period, or a device that cannot compute."""
        if self.privacy < 0:
            return f"what is given away does not count less than nothing, and privacy = {self.privacy:g}"
        return refuses_market(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of a stable partition."""
        require(self, problem)
        cameras = Cameras(Market(problem), self.privacy)
        alone = [0] * len(problem.tasks)
        found = switching(cameras.cost, len(cameras.coalitions), alone, social=self.social, stop=stop)
        choices = [cameras.choice(camera, found.coalitions) for camera in range(len(alone))]
        leaks = [cameras.leak(camera, choice) for camera, choice in enumerate(choices)]
        notes = {"switches": str(found.switches), "stable": "yes" if found.stable else "no"}
        notes |= {f"leak:{task.name}": f"{leak:.6g}" for task, leak in zip(problem.tasks, leaks, strict=True)}
        return settled(problem, self.name, cameras.market.plan(choices), notes)


class Cameras:
    """The game: a partition gives each camera shares, for which it chooses its cut."""

    def __init__(self, market: Market, privacy: float) -> None:
        self.market, self.privacy = market, privacy
        self.coalitions = (HOME, *market.servers)
        """By number: the server of each; number 0 is to be alone."""

    def cost(self, camera: int, partition: Sequence[int]) -> float:
        """Relative cost of a camera, its best cut taken."""
        server = self.coalitions[partition[camera]]
        if server == HOME:
            return 1.0
        if server not in self.market.offers[camera]:
            return float("inf")
        return float(self._costs(camera, server, partition).min())

    def choice(self, camera: int, partition: Sequence[int]) -> Choice:
        """The shares and the best cut of a camera."""
        server = self.coalitions[partition[camera]]
        if server == HOME:
            return Choice()
        cut = int(np.argmin(self._costs(camera, server, partition)))
        return Choice(server, cut, *self._shares(camera, server, partition))

    def leak(self, camera: int, choice: Choice) -> float:
        """What a choice gives away: 1 for the input itself, 0 if nothing leaves."""
        size = self.market.shapes[camera].size
        return 0.0 if choice.server == HOME or choice.cut == size else 1 - choice.cut / size

    def _costs(self, camera: int, server: int, partition: Sequence[int]) -> Floats:
        """(C,) relative cost of each cut; the last one keeps all at home."""
        size = self.market.shapes[camera].size
        leaks = np.where(np.arange(size + 1) < size, 1 - np.arange(size + 1) / max(size, 1), 0.0)
        own = self.market.costs(camera, server, *self._shares(camera, server, partition))
        return np.asarray(own / (self.market.at_home[camera] or 1.0) + self.privacy * leaks)

    def _shares(self, camera: int, server: int, partition: Sequence[int]) -> tuple[float, float]:
        """Equal parts of the server, and of the pool of resources that the way needs."""
        pool = self.market.pools[camera][server]
        members = sum(self.coalitions[coalition] == server for coalition in partition)
        users = sum(
            self.market.pools[other].get(self.coalitions[coalition], -1) == pool
            for other, coalition in enumerate(partition)
        )
        return 1 / members, (1 / users if pool >= 0 else 1.0)
