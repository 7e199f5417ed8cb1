"""Heads and hidden units in proportion to given shares or free memory, rounded down to whole ones.

Solves    one task with a Transformer, on nodes whose memory is known or with a split that is given
Answer    llama.cpp's `--split-mode tensor`; it plans no shares and knows neither speeds nor rates
Time      O(L D); L = layers, D = nodes
Source    llama.cpp, llama_meta_device_get_split_state (MIT)
Departs   all memory is free; weights are not quantised, so the granularity is that of heads; the judge sends partial
          sums in the cheapest way
Cards     -
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.rules.layers import ruled
from hocket.solvers.rules.llama_cpp_layer import LlamaCppLayer
from hocket.solvers.rules.tensor_splits import halves_of, hosts_from_root, refuses_transformer, split_plan
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppTensor:
    """See the module."""

    name: ClassVar[str] = "llama_cpp_tensor"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    tensor_split: str = ""
    """Shares of the nodes, the source first, with commas between them; "" = by memory."""

    def refuses(self, problem: Problem) -> str | None:
        """Not a Transformer, a node without a limit, or a split that does not fit the nodes."""
        return refuses_transformer(problem) or LlamaCppLayer(tensor_split=self.tensor_split).refuses(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The split, with the order of the nodes turned by one from layer to layer."""
        require(self, problem)
        hosts = hosts_from_root(problem)
        if self.tensor_split:
            shares = [float(share) for share in self.tensor_split.split(",")]
        else:
            shares = [float(problem.cluster.node[name].memory_bytes or 0) for name in hosts]
        ways = []
        for layer, halves in enumerate(halves_of(problem).groups()):
            turn = layer % len(hosts)
            order = [*range(turn, len(hosts)), *range(turn)]
            prefix = list(accumulate(shares[at] for at in order))
            for half in halves:
                cuts = [int(half.units * end / prefix[-1]) * half.granule for end in prefix[:-1]]
                ways.append(([hosts[at] for at in order], cuts))
        return ruled(problem, self.name, split_plan(problem, hosts, ways))
