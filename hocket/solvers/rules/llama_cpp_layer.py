"""Layers in proportion to free memory, in the order of the devices.

Solves    one task on nodes whose memory is known, or with a split that is given
Answer    llama.cpp's default split by layer; it knows neither speeds nor rates, and does not check that it fits
Time      O(L log D); L = layers, D = nodes
Source    llama.cpp, src/llama-model.cpp (MIT): splits of the devices, `upper_bound(splits, il / layers)`
Departs   all memory is free; the layers behind the last block count as layers, as its output layer does
Cards     -
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.rules.layers import Layers, refuses_layers, refuses_unknown_memory, ruled
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppLayer:
    """See the module."""

    name: ClassVar[str] = "llama_cpp_layer"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    tensor_split: str = ""
    """Shares of the nodes with commas between them, `3,1` for example; "" = by memory."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no host, a node without a limit, or a split that does not fit the nodes."""
        if not self.tensor_split:
            return refuses_unknown_memory(problem)
        reason = refuses_layers(problem)
        if reason:
            return reason
        hosts = sum(node.name in problem.task.profile.nodes for node in problem.cluster.nodes)
        shares = self._shares()
        if shares is None or len(shares) != hosts or min(shares) < 0 or sum(shares) <= 0:
            return f"tensor_split has a share of 0 or more for each of {hosts} nodes, got {self.tensor_split!r}"
        return None

    def _shares(self) -> list[float] | None:
        try:
            return [float(share) for share in self.tensor_split.split(",")]
        except ValueError:
            return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The split."""
        require(self, problem)
        layers = Layers(problem)
        given = self._shares() if self.tensor_split else None
        shares = given or [float(node.memory_bytes or 0) for node in layers.nodes]
        ends = [part / sum(shares) for part in accumulate(shares)]
        # The last end may be a little below 1 by rounding; nothing lies behind it.
        hosts = [min(bisect_right(ends, layer / len(layers)), len(ends) - 1) for layer in range(len(layers))]
        return ruled(problem, self.name, layers.plan(hosts))
