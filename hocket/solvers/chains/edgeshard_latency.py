"""EdgeShard, latency: layer by layer on whichever device is best, the first at the source.

Solves    the sequential latency of one task, whatever the objective, on edge devices and servers with memory limits
Answer    the least sum of computing and ways over all placements of blocks that begin at the source, where memory
          leaves it; else over all divisions into one run of blocks per device: the method's own sum, not the judge's
Time      O(L D^2); where memory binds O(L^2 D 2^D); L = blocks, D = devices
Source    Zhang, Shen, Cao, Cui, Jiang: EdgeShard, IEEE IoT-J 2025, arXiv:2405.14371
Departs   the published program takes memory off along its own path, so that a state forgets better paths with more room
          left, and can miss the best plan or every plan: `memory="greedy"`; here contiguous runs with the set of used
          devices are searched where memory binds; memory counts weights and mailboxes for the requests under way
Cards     edgeshard
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Problem
from hocket.errors import InfeasibleError
from hocket.solvers.bottleneck import least_sum, with_room
from hocket.solvers.chain import Chain
from hocket.solvers.chains.rows import (
    chain_of,
    described,
    from_source,
    no_calls,
    placed,
    plan_of,
    refuses_source,
    settled,
    source_column,
)
from hocket.solvers.checks import require
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal
from hocket.solvers.stages import Fleet, Stage
from hocket.solvers.stop import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeShardLatency:
    """See the module."""

    name: ClassVar[str] = "edgeshard_latency"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    memory: Literal["exact", "greedy"] = "exact"
    """greedy = take memory off along the path of each state, as published."""
    most_states: int = 100_000_000
    """Most entries of the table where memory binds, L D 2^D."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or a source that cannot compute."""
        return refuses_source(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The placement of least sequential latency."""
        require(self, problem)
        chain = chain_of(problem)
        searched = "all placements of blocks that begin at the source"
        if self.memory == "greedy":
            value, hosts = layer_by_layer(chain, _weights(chain), _rooms(problem, chain))
            plan = placed(chain, chain.places(hosts)) if np.isfinite(value) else None
            return settled(problem, plan, searched, {"own_latency_s": f"{value:.9g}"})
        value, hosts = layer_by_layer(chain)
        plan = placed(chain, chain.places(hosts)) if np.isfinite(value) else None
        cost = judged(problem, plan) if plan is not None else None
        if cost is None or not any(violation.constraint == "C6" for violation in cost.violations):
            return settled(problem, plan, searched, {"own_latency_s": f"{value:.9g}"})
        return self._in_runs(problem, chain)

    def _in_runs(self, problem: Problem, chain: Chain) -> Proposal:
        """The best division into one run per device, memory kept."""
        searched, width = "all divisions into one run of blocks per device that begin at the source", len(chain.hosts)
        if (len(chain.blocks) + 1) * width * 2**width > self.most_states:
            raise InfeasibleError(
                f"the best placement does not fit into memory, and the sets of {width} devices make a table of more"
                f" than {self.most_states} entries; allow more, or use devices with more memory"
            )
        costs = chain.sums(chain.runs(2), no_calls(chain))

        def search(window: int, most: int, lower: float, below: float) -> list[Stage] | None:  # noqa: ARG001
            runs = chain.runs(window)
            found = least_sum(runs, from_source(chain, costs), most, Fleet.apart(width))
            return None if found is None or costs.total(found) >= below else found

        stages = with_room(search, costs.total, chain.fits, width, -np.inf)
        if stages is None:
            return settled(problem, None, searched, {})
        notes = {"stages": described(chain, stages), "own_latency_s": f"{costs.total(stages):.9g}"}
        return settled(problem, plan_of(chain, stages), searched, notes)


def layer_by_layer(chain: Chain, weights: Floats | None = None, rooms: Floats | None = None) -> tuple[float, list[int]]:
    """DP(i, j) = min over k of DP(i - 1, k) + transfer(i, k, j) + compute(i, j), with DP(1, j) at the source only.

    Args:
        chain: the blocks; its costs of blocks count answers that they send.
        weights: (L,) bytes of each block; absent = memory is not looked at.
        rooms: (D,) bytes of each device, taken off along the path that a state has chosen.

    Returns:
        The least sum (inf = none) and the host of each block.
    """
    of_blocks, of_steps, first = chain.of_blocks, chain.of_steps, source_column(chain) if chain.blocks else 0
    if not len(of_blocks):
        return 0.0, []
    width = of_blocks.shape[1]
    left = np.tile(rooms if rooms is not None else np.full(width, np.inf), (width, 1))
    """(D, D) bytes that the path to each state leaves on each device."""
    needs = weights if weights is not None else np.zeros(len(of_blocks))
    value = np.full(width, np.inf)
    if left[first, first] >= needs[0]:
        value[first] = of_blocks[0, first]
        left[first, first] -= needs[0]
    came = []
    for block in range(1, len(of_blocks)):
        through = np.where(left >= needs[block], value[:, None] + of_steps[block], np.inf) + of_blocks[block]
        best = through.argmin(axis=0)
        value = through[best, np.arange(width)]
        left = left[best]
        left[np.arange(width), np.arange(width)] -= needs[block]
        came.append(best)
    hosts = [int(value.argmin())]
    for before in reversed(came):
        hosts.append(int(before[hosts[-1]]))
    return float(value.min()), hosts[::-1]


def _weights(chain: Chain) -> Floats:
    graph = chain.layout.graph
    return np.array(
        [sum(graph.weights[name] for position in block.operators for name in graph.operators[position].weights)
         for block in chain.blocks], dtype=np.float64
    )  # fmt: skip


def _rooms(problem: Problem, chain: Chain) -> Floats:
    rooms = [problem.cluster.nodes[host].memory_bytes for host in chain.hosts]
    return np.array([np.inf if room is None else float(room) for room in rooms])
