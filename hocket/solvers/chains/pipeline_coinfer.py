"""Cut and codec for a stream: device, uplink and server as three stages that keep up with the arrivals.

Solves    the latency of one task with a rate, whatever the objective, whose source can compute, with a server
Answer    the cut and codec of least latency whose longest stage is no longer than the time between two arrivals: the
          method's own sum, not the judge's; cuts that break a constraint are passed over
Time      O(D C (U + M)); C = codecs, U = units, M = tensors, D = servers
Source    Hu, Dong, Wen: Enable Pipeline Processing of DNN Co-inference Tasks in the Mobile-Edge Cloud, ICCCS 2021,
          pp. 186-192
Departs   exits and accuracies are not known to a problem yet: the model has one exit, and codecs that lose anything are
          left out unless `lossy` is set; without a rate the stages are not limited; the binary program with one choice
          is solved by looking at every pair of a cut and a codec
Cards     pipeline_coinfer
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.chains.coding import CodedCuts, coded_cuts
from hocket.solvers.chains.picking import first_allowed_cut
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import refuses_pair
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.units import show


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineCoinfer:
    """See the module."""

    name: ClassVar[str] = "pipeline_coinfer"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    lossy: bool = False
    """Also use codecs that change the tensors; what that costs is not known."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best pair of a cut and a codec that keeps up."""
        require(self, problem)
        rate = problem.task.rate_per_s
        most_s = 1 / rate if rate else np.inf
        tables, shortest = [], np.inf
        for cuts in coded_cuts(problem, lossy=self.lossy):
            stages = stages_s(cuts)
            longest = stages.max(axis=0)
            latency = np.where(longest <= most_s, stages.sum(axis=0) + cuts.table.answer_s, np.inf)
            tables.append((cuts, latency))
            shortest = min(shortest, float(longest.min()))
        if shortest > most_s:
            raise InfeasibleError(
                f"no cut of {problem.task.name!r} keeps up with {rate:.6g} requests per second: each has a stage of"
                f" {show(shortest, 's')} or longer; lower the rate or use faster nodes"
            )
        return first_allowed_cut(problem, tables)


def stages_s(cuts: CodedCuts) -> Floats:
    """(3, C) seconds of the device, of the uplink and of the server."""
    device = cuts.table.first_s + cuts.encode_s
    return np.stack([device, cuts.across_s, cuts.decode_s + cuts.table.second_s])
