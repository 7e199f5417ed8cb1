"""JALAD: where to cut and with how many bits to send, as an integer program with one choice.

Solves    the latency of one task whose source can compute, whatever the objective, with a server
Answer    the cut and codec of least device + transfer + server time: the method's own sum, not the judge's; cuts that
          break a constraint are passed over
Time      O(D C (U + M)); C = codecs, U = units, M = tensors, D = servers
Source    Li, Hu, Jiang, Wang, Wen, Zhu: JALAD, ICPADS 2018, pp. 671-678
Departs   losses of accuracy per cut and bits are not known to a problem yet: codecs that lose anything are left out
          unless `lossy` is set, and then all of those that the profile lists are allowed; their mean sizes stand in for
          the sizes per layer; the time of coding is left out, as published; the binary program with one choice is
          solved by looking at every pair of a cut and a codec
Cards     jalad
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.chains.coding import CodedCuts, coded_cuts
from hocket.solvers.chains.picking import first_allowed_cut
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import refuses_pair
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Jalad:
    """See the module."""

    name: ClassVar[str] = "jalad"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    lossy: bool = False
    """Also use codecs that change the tensors, int8 and bits1 to bits8 for example; what that costs is not known."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best pair of a cut and a codec."""
        require(self, problem)
        return first_allowed_cut(problem, [(cuts, _latency_s(cuts)) for cuts in coded_cuts(problem, lossy=self.lossy)])


def _latency_s(cuts: CodedCuts) -> Floats:
    """(C,) T_E + S(c) / B + T_C."""
    return np.asarray(cuts.table.first_s + cuts.across_s + cuts.table.second_s)
