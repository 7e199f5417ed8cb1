"""Weight-stationary layouts: the weights of an MLP divided on one axis or on two, whichever moves fewer bytes.

Solves    every metric of one task that is a Transformer loaded from ONNX, on two or more nodes
Answer    one plan: the layout of the MLP with the least traffic by the paper's count, shares equal
Time      O(D V), and one judgement; V = operators, D = nodes
Source    Pope, Douglas, Chowdhery, Devlin, Bradbury, Heek, Xiao, Agrawal, Dean: Efficiently Scaling Transformer
          Inference, MLSys 2023, pp. 606-624, section 3.2
Departs   attention is divided by heads in both layouts; weight-gathered layouts, which move weights for large batches,
          and attention divided by the batch are left out, for plans do not move weights. Between two halves the
          positions are divided, which moves as many bytes as to divide the width does. Collectives are not overlapped
Cards     pope_scaling
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.plan import Run
from hocket.solvers.checks import require
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tensor.collectives import best_grid
from hocket.solvers.tensor.grid import by_grid, two_products
from hocket.solvers.tensor.layers import Half
from hocket.solvers.tensor.team import Team, refuses_team, some


@dataclass(frozen=True, slots=True, kw_only=True)
class Pope2d:
    """See the module."""

    name: ClassVar[str] = "pope_2d"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    layout: Literal["auto", "1d", "2d"] = "auto"
    """`2d` takes the best grid with two parts of the width or more, where the number of nodes has one."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no Transformer, or fewer than two nodes."""
        return refuses_team(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan with the least traffic."""
        require(self, problem)
        team = Team(problem)
        equal = np.ones(len(team.hosts))
        runs: list[Run | None] = [some(team.layers.prologue, team.main)]
        layouts: dict[str, None] = {}
        for half in team.layers.halves:
            along = self._along(team, half)
            if half.kind == "mlp":
                layouts[f"{along} x {len(team.hosts) // along}"] = None
            runs += by_grid(team, half, equal, along) if along > 1 else [team.by_units(half, equal)]
            runs.append(team.by_rows(half.tail, equal))
        runs.append(some(team.layers.epilogue, team.main))
        return team.planned(self.name, runs, grid=", ".join(layouts))

    def _along(self, team: Team, half: Half) -> int:
        """Parts of the width: 1 = one dimension."""
        if half.kind != "mlp" or self.layout == "1d" or not two_products(team, half):
            return 1
        width = team.graph.tensor[half.entry].shape[-1]
        return best_grid(width, half.size, len(team.hosts), least=2 if self.layout == "2d" else 1)
