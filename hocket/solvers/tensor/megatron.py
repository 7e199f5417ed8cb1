"""Tensor parallelism: each node has some heads of every attention and some hidden units of every MLP.

Solves    every metric of one task that is a Transformer loaded from ONNX, on two or more nodes
Answer    one plan, that of the rule; it minimises nothing
Time      O(D V), and one judgement; V = operators, D = nodes
Source    Shoeybi, Patwary, Puri, LeGresley, Casper, Catanzaro: Megatron-LM, arXiv:1909.08053, 2019, section 3
Departs   [standard] shares of heads and hidden units in proportion to speed, in whole ones; `equal` gives the published
          equal ones. The embedding is computed by the main node and sent to all, and is not divided by the vocabulary;
          the product with the vocabulary is divided by its columns, and their logits are gathered. An all-reduce is
          done as lowering finds it cheapest, not as a ring
Cards     megatron
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.plan import Run, Split
from hocket.plan.cuts import shared
from hocket.solvers.checks import require
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tensor.team import Team, cuts, refuses_team, run, some


@dataclass(frozen=True, slots=True, kw_only=True)
class Megatron:
    """See the module."""

    name: ClassVar[str] = "megatron"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    equal: bool = False
    """Equal shares, as published for equal nodes; else in proportion to speed."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no Transformer, or fewer than two nodes."""
        return refuses_team(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the rule."""
        require(self, problem)
        team = Team(problem)
        runs: list[Run | None] = [some(team.layers.prologue, team.main)]
        for half in team.layers.halves:
            weights = np.ones(len(team.hosts)) if self.equal else team.speeds(half.head)
            runs.append(team.by_units(half, weights))
            runs.append(team.everywhere(half.tail))
        runs += _vocabulary(team, np.ones(len(team.hosts)) if self.equal else team.whole_speeds)
        return team.planned(self.name, runs)


def _vocabulary(team: Team, weights: Floats) -> list[Run | None]:
    """The epilogue: on every node up to its last product, which is divided by columns if it gives the one answer; else
    with the main node."""
    names, graph = team.layers.epilogue, team.graph
    if not names:
        return []
    made = {output for name in names for output in graph.operator[name].outputs}
    last, shape = names[-1], graph.tensor[names[-1]].shape
    products = [place for place, name in enumerate(names) if graph.operator[name].macs and graph.operator[name].weights]
    if made & set(graph.outputs) != {last} or len(shape) < 2 or not products:
        return [run(names, team.main)]
    sizes = shared([float(weight) for weight in weights], shape[-1])
    divided = Split(axis=len(shape) - 1, parts=team.hosts, cuts=cuts(sizes))
    return [team.everywhere(names[: products[-1]]), run(names[products[-1] :], divided)]
