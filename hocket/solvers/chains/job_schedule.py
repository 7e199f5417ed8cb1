"""Several equal jobs on one device: where to cut them, and in which order they compute and upload.

Solves    the time until the last of several requests is uploaded, whatever the objective, of one task whose source can
          compute, with a server
Answer    the one cut of least makespan of device and uplink: the method's own figure, not the judge's; of several
          servers the one with the best cut; cuts that break a constraint are passed over; the best mix of two cuts with
          its order and makespan is in the notes
Time      O(C^2 n) for a server; C = cuts that no other one is better than in both steps, n = jobs
Source    Duan, Wu: Optimizing Job Offloading Schedule for Collaborative DNN Inference, IEEE TMC 23(4) 2024,
          pp. 3436-3451
Departs   the two cuts are any two, not only those around the crossing of both steps (`pairs="crossing"`), which can be
          far from the best where layers are coarse; a plan serves all requests by one cut, so the mix is in the notes;
          the server's time and the way back are left out, as published; jobs of several models are not mixed
Cards     job_schedule
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.solvers.chains.flow_shop import around_crossing, best_mix, candidates
from hocket.solvers.checks import require
from hocket.solvers.cuts.scan import CutTable, best_cut, refuses_pair, tables_of
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSchedule:
    """See the module."""

    name: ClassVar[str] = "job_schedule"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    jobs: int = 10
    """How many requests are served together."""
    pairs: Literal["any", "crossing"] = "any"
    """Which two cuts may be mixed; crossing = only those where computing overtakes uploading, as published."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or no server."""
        return refuses_pair(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best cut for all jobs."""
        require(self, problem)
        tables = tables_of(problem)
        values = [one_cut_s(table, self.jobs) for table in tables]
        proposal = best_cut(problem, tables, values, "all cuts of one topological order")
        mixed = min((self._mixed(table) for table in tables), default=(np.inf, ""))
        return Proposal(plan=proposal.plan, bound=proposal.bound, notes={**proposal.notes, "two_cuts": mixed[1]})

    def _mixed(self, table: CutTable) -> tuple[float, str]:
        """The makespan of the best mix of two cuts, and its schedule in words."""
        cuts = [cut for cut in candidates(table.first_s, table.across_s) if np.isfinite(table.across_s[cut])]
        if self.pairs == "crossing":
            cuts = around_crossing(table.first_s, table.across_s, cuts)
        mix = best_mix(table.first_s, table.across_s, self.jobs, cuts)
        if mix is None:
            return np.inf, ""
        text = f"{mix.ahead} jobs with {table.label(mix.first)}, then {self.jobs - mix.ahead} with"
        return mix.makespan_s, f"{text} {table.label(mix.second)}: {mix.makespan_s:.9g} s"


def one_cut_s(table: CutTable, jobs: int) -> Floats:
    """(C,) makespan of equal jobs: f + g + (n - 1) max(f, g)."""
    first, second = table.first_s, table.across_s
    return np.asarray(first + second + (jobs - 1) * np.maximum(first, second))
