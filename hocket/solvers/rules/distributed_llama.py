"""Heads and hidden units in equal parts over a power of two of nodes.

Solves    one task with a Transformer
Answer    distributed-llama's even split; it knows no speed, so the slowest node decides
Time      O(L); L = layers
Source    distributed-llama, src/nn/nn-core.cpp and src/llm.cpp (MIT)
Departs   the judge sends partial sums in the cheapest way, not all to all, and not quantised; the logits are not
          divided; of the nodes the largest power of two is used that divides all heads, the root first
Cards     -
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.rules.layers import ruled
from hocket.solvers.rules.tensor_splits import halves_of, hosts_from_root, refuses_transformer, split_plan
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributedLlama:
    """See the module."""

    name: ClassVar[str] = "distributed_llama"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    nodes: int = 0
    """How many nodes; 0 = as many as can be."""

    def refuses(self, problem: Problem) -> str | None:
        """Not a Transformer, or a number of nodes that is no power of two or does not divide its heads."""
        reason = refuses_transformer(problem)
        if reason or not self.nodes:
            return reason
        count, hosts = self.nodes, len(hosts_from_root(problem))
        if count < 1 or count & (count - 1) or count > hosts:
            return f"the number of nodes is a power of two up to {hosts}, got {count}"
        for half in halves_of(problem).halves:
            if half.units % count:
                return f"{half.units} heads or hidden units are not divisible by {count} nodes"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The even split."""
        require(self, problem)
        hosts, halves = hosts_from_root(problem), halves_of(problem).halves
        count = self.nodes or 1
        while not self.nodes and 2 * count <= len(hosts) and all(half.units % (2 * count) == 0 for half in halves):
            count *= 2
        nodes = hosts[:count]
        ways = [(nodes, [half.size // count * part for part in range(1, count)]) for half in halves]
        return ruled(problem, self.name, split_plan(problem, nodes, ways), {"nodes": str(count)})
