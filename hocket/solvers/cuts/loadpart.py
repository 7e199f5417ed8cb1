"""One cut at a single-tensor boundary, under the load that the server shows.

Solves    one task whose source can compute, and a server
Answer    the boundary of least latency (the method's sum), whatever the objective; cuts inside a region of branches are
          not seen
Time      O(U + M + D L); U = units, M = tensors, L = blocks, D = servers
Source    Liu, Zheng, Li, Guo: LoADPart: load-aware dynamic partition of deep neural networks for edge offloading,
          ICDCS 2022, pp. 481-491
Departs   operator times come from the profile, not from the paper's regressions; the load factor is an option or
          follows from times that were measured, not a background process; the answer's way back is paid
Cards     loadpart
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import best_cut, refuses_pair, tables_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPart:
    """See the module."""

    name: ClassVar[str] = "loadpart"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    load: float = 1.0
    """Seconds that the server takes / seconds that its profile says (the paper's k); `influence` measures it."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The boundary of least latency."""
        require(self, problem)
        tables = tables_of(problem, "blocks")
        return best_cut(problem, tables, [table.total_s(self.load) for table in tables], "all single-tensor boundaries")


def influence(measured_s: Sequence[float], predicted_s: Sequence[float]) -> float:
    """The load factor of a server: what its recent work took over what it should have taken; 1 where nothing ran.

    >>> influence([0.3, 0.5], [0.1, 0.3])
    2.0
    """
    predicted = sum(predicted_s)
    return sum(measured_s) / predicted if predicted > 0 else 1.0
