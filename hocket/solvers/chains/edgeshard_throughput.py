"""EdgeShard, throughput: the pipeline of least period, the first layer at the source.

Solves    the period of one task, whatever the objective, on edge devices and servers with memory limits
Answer    the least bottleneck of all divisions into one run of blocks per device that begin at the source, by the
          method's own figures; devices may be left out
Time      O(L^2 D^2 2^D); L = blocks, D = devices
Source    Zhang, Shen, Cao, Cui, Jiang: EdgeShard, IEEE IoT-J 2025, arXiv:2405.14371
Departs   the recurrence is the one that summaries of the paper print; memory counts weights and mailboxes for the
          requests under way instead of a figure per layer; the way of the answer back is a stage too
Cards     edgeshard
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.bottleneck import with_room
from hocket.solvers.chain import Chain
from hocket.solvers.chains.minimax import least_bottleneck
from hocket.solvers.chains.rows import (
    chain_of,
    described,
    from_source,
    plan_of,
    refuses_source,
    settled,
)
from hocket.solvers.checks import require
from hocket.solvers.solver import Proposal
from hocket.solvers.stages import Fleet, Stage
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeShardThroughput:
    """See the module."""

    name: ClassVar[str] = "edgeshard_throughput"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    most_states: int = 20_000_000
    """Most entries of the table, L D 2^D."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a source that cannot compute, or too many devices."""
        reason = refuses_source(problem)
        if reason:
            return reason
        chain = chain_of(problem)
        width = len(chain.hosts)
        states = (len(chain.blocks) + 1) * width * 2**width
        if states > self.most_states:
            return f"the sets of {width} devices make a table of {states} entries, more than {self.most_states}"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The pipeline of least period."""
        require(self, problem)
        chain = chain_of(problem)
        stages = _least(chain)
        searched = "all divisions into one run of blocks per device that begin at the source"
        if stages is None:
            return settled(problem, None, searched, {})
        period = chain.runs(2).busiest(stages) if stages else 0.0
        notes = {"stages": described(chain, stages), "own_period_s": f"{period:.9g}"}
        return settled(problem, plan_of(chain, stages), searched, notes)


def _least(chain: Chain) -> list[Stage] | None:
    if not chain.blocks:
        return []
    fleet = Fleet.apart(len(chain.hosts))

    def search(window: int, most: int, lower: float, below: float) -> list[Stage] | None:  # noqa: ARG001
        runs = from_source(chain, chain.runs(window))
        found = least_bottleneck(runs, fleet, most)
        return None if found is None or runs.busiest(found) >= below else found

    return with_room(search, chain.runs(2).busiest, chain.fits, len(chain.hosts), -np.inf)
