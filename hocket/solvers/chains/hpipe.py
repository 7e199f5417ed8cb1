"""HPipe: layers over devices in a fixed order, then a long prompt in slices of tokens.

Solves    the period of one task, whatever the objective, on peer devices with memory limits
Answer    the least longest stage of all divisions of the blocks over a fixed order of devices, where a stage is its
          computing and its way out, added: the method's own figure; devices at the end of the order may be left out
Time      O(L^2 D) for layers, O(n^3) at most for n slices; L = blocks, D = devices
Source    Ma, Yang, Wang, Qi, Sun, Wang, Zhuang, Liao: HPipe, NAACL 2024 Industry, pp. 1-9; slices as in Li et al.:
          TeraPipe, ICML 2021
Departs   [standard] both recurrences; the order is the source, then the others as the cluster lists them; times of
          slices are not measured but derived from the profile of the whole prompt: products of two activations and
          softmax grow with the context, all else with the slice; slices are in the notes, because plans are not yet run
          in slices; a model without such products has no slices
Cards     hpipe
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from hocket.cost import Problem
from hocket.solvers.bottleneck import with_room
from hocket.solvers.chain import Chain
from hocket.solvers.chains.minimax import compute_s
from hocket.solvers.chains.rows import chain_of, described, plan_of, refuses_row, settled
from hocket.solvers.chains.slices import Slicing, best_slices
from hocket.solvers.checks import require
from hocket.solvers.solver import Proposal
from hocket.solvers.stages import Runs, Stage
from hocket.solvers.stop import Stop

_MARKS = 32
_CONTEXT = frozenset({"MatMul", "Softmax", "Einsum", "Attention", "MultiHeadAttention", "GroupQueryAttention"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HPipe:
    """See the module."""

    name: ClassVar[str] = "hpipe"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    order: str = ""
    """Devices from the first stage to the last, by commas; "" = the source first, then as the cluster lists them."""
    tokens: int | None = None
    """Length of the prompt; None = the length of the first input along its second axis."""
    granularity: int | None = None
    """Slices are multiples of so many tokens, but for the last one; None = a 32nd of the prompt."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, nothing that computes, or an order of something else."""
        reason = refuses_row(problem)
        if reason:
            return reason
        for name in self._named():
            if name not in problem.task.profile.nodes or name not in problem.cluster.node:
                return f"the order names {name!r}, which is no node of the cluster that the profile knows"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The division over the order, with the slices of a prompt in the notes."""
        require(self, problem)
        chain = chain_of(problem)
        order = self._order(problem, chain)
        stages = _layers(chain, order)
        searched = "all divisions of the blocks over one order of devices"
        if stages is None:
            return settled(problem, None, searched, {})
        notes = {
            "stages": described(chain, stages),
            "own_period_s": f"{longest(chain.runs(2), stages):.9g}",
            **self._sliced(problem, chain, stages),
        }
        return settled(problem, plan_of(chain, stages), searched, notes)

    def _named(self) -> list[str]:
        return [name.strip() for name in self.order.split(",")] if self.order else []

    def _order(self, problem: Problem, chain: Chain) -> list[int]:
        names = [chain.layout.nodes[host] for host in chain.hosts]
        if self.order:
            return [names.index(name) for name in self._named()]
        return sorted(range(len(names)), key=lambda column: names[column] != problem.task.source)

    def _sliced(self, problem: Problem, chain: Chain, stages: list[Stage]) -> dict[str, str]:
        shape = problem.task.graph.inputs[0].shape
        tokens = self.tokens if self.tokens is not None else (shape[1] if len(shape) > 1 else 0)
        slicings = [_slicing(chain, stages, number, tokens) for number in range(len(stages))]
        if tokens < 2 or not any(slicing.context_s for slicing in slicings):
            return {}
        found = best_slices(slicings, tokens, self.granularity or -(-tokens // _MARKS))
        return {
            "slices": ", ".join(str(length) for length in found.lengths),
            "sliced_latency_s": f"{found.latency_s:.9g}",
        }


def _layers(chain: Chain, order: list[int]) -> list[Stage] | None:
    if not chain.blocks:
        return []

    def search(window: int, most: int, lower: float, below: float) -> list[Stage] | None:  # noqa: ARG001
        runs = chain.runs(window)
        found = in_order(runs, order[:most])
        return None if found is None or longest(runs, found) >= below else found

    return with_room(search, lambda stages: longest(chain.runs(2), stages), chain.fits, len(order), -np.inf)


def longest(runs: Runs, stages: list[Stage]) -> float:
    """Seconds of the longest stage: its computing and its way out."""
    out = [float(runs.steps[after.start, stage.host, after.host]) for stage, after in pairwise(stages)]
    if not stages:
        return 0.0
    out.append(float(runs.leave[stages[-1].host]))
    times = [runs.work(stage) + way for stage, way in zip(stages, out, strict=True)]
    return max(float(runs.enter[stages[0].host]), *times)


def in_order(runs: Runs, order: list[int]) -> list[Stage] | None:
    """A[b][m] = min over k < b of max(A[k][m - 1], T(k + 1, b, m)), T = computing + way to the next device.

    Args:
        runs: the chain and what limits it.
        order: hosts; the first so many are used, each for at least one block.

    Returns:
        The division of least longest stage, of any number of devices from the front; None if none fits.
    """
    length, came = runs.length, []
    reached = np.where(np.arange(length + 1) == 0, runs.enter[order[0]], np.inf)
    best: tuple[float, int, int] | None = None
    for place, host in enumerate(order):
        compute = compute_s(runs, host)
        last = np.maximum(reached, compute[:, length] + runs.leave[host])
        if best is None or last.min() < best[0]:
            best = (float(last.min()), place, int(last.argmin()))
        if place + 1 == len(order):
            break
        way = np.append(runs.steps[:, host, order[place + 1]], np.inf)
        through = np.maximum(reached[:, None], compute + way[None, :])
        came.append(through.argmin(axis=0))
        reached = through.min(axis=0)
    if best is None or not np.isfinite(best[0]):
        return None
    _, place, start = best
    stages = [Stage(start, length, order[place])]
    while place:
        stop, place = start, place - 1
        start = int(came[place][stop])
        stages.append(Stage(start, stop, order[place]))
    return stages[::-1]


def _slicing(chain: Chain, stages: list[Stage], number: int, tokens: int) -> Slicing:
    """How the time of a stage divides into what grows with the slice and what grows with its context."""
    stage, problem = stages[number], chain.layout.problem
    name = chain.layout.nodes[chain.hosts[stage.host]]
    profile, graph = problem.task.profile.at(name), chain.layout.graph
    context = plain = 0.0
    for block in chain.blocks[stage.start : stage.stop]:
        for position in block.operators:
            operator = graph.operators[position]
            seconds = profile.seconds[operator.name] * (1 + problem.margin)
            grows = operator.kind in _CONTEXT and not operator.weights
            context, plain = (context + seconds, plain) if grows else (context, plain + seconds)
    runs = chain.runs(2)
    if number + 1 < len(stages):
        plain += float(runs.steps[stages[number + 1].start, stage.host, stages[number + 1].host])
    return Slicing(
        tokens=tokens, plain_s=plain, context_s=context, call_s=float(runs.call_s[stage.host]),
    )  # fmt: skip
