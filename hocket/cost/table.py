"""The numbers that solvers work on: seconds of every operator on every node, seconds of every crossing.

The same numbers make up the evaluator's figures, so a solver and its judge cannot disagree.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hocket.cost.problem import Problem, Task


class Table:
    """Costs of one task of a problem, by operator position and node index (`nodes` order)."""

    def __init__(self, problem: Problem, task: Task) -> None:
        self.problem, self.task, self.graph = problem, task, task.graph
        self.nodes: tuple[str, ...] = tuple(
            node.name for node in problem.cluster.nodes if node.name in task.profile.nodes
        )
        """Nodes that can compute: those that the profile knows."""

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        """(V, D) seconds of operator v on node d, margin included."""
        columns = [self.task.profile.nodes[node].seconds for node in self.nodes]
        rows = [[column[operator.name] for column in columns] for operator in self.graph.operators]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(columns)) * (1 + self.problem.margin)

    @cached_property
    def call_s(self) -> NDArray[np.float64]:
        """(D,) seconds that each call of a segment costs on top, margin included."""
        return np.array([self.task.profile.nodes[node].call_s for node in self.nodes]) * (1 + self.problem.margin)

    @cached_property
    def compute_w(self) -> NDArray[np.float64]:
        """(D,) watts while computing."""
        return np.array([self.problem.cluster.node[node].active_w() for node in self.nodes])

    def transfer_s(self, source: str, target: str, nbytes: float) -> float:
        """Seconds of a tensor from one node to another over the cheapest way; 0 on the same node."""
        return self.problem.cluster.transfer_s(source, target, nbytes)
