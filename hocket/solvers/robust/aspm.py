"""Split while that saves time, then merge until the success target holds.

Solves    one task whose source can compute, and nodes that may fail
Answer    the blocks of least expected delay found by splitting, merged for reliability; its own sum, not the judge's,
          of which it heeds the constraints
Time      O(K L D^2) expected delays; K = blocks at the end, L = blocks of the chain, D = nodes
Source    Yan, Liu, Liu: ASPM: Reliability-Oriented DNN Inference Partition and Offloading in Vehicular Edge Computing,
          IEEE ITSC 2023, pp. 3298-3303
Departs   [standard] a block that fails is computed again at the source after a timeout; blocks are not divided in
          parallel; merging goes on where the judge sees a broken constraint
Cards     aspm
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.solvers.additive import Additive
from hocket.solvers.chain import Chain
from hocket.solvers.checks import infeasible, refuses_tasks, require
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Layout
from hocket.solvers.robust.survival import floor_of
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_GAIN = 1e-9


class Part(NamedTuple):
    """Blocks of the chain, half-open, on one host."""

    start: int
    stop: int
    host: int


Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aspm:
    """See the module."""

    name: ClassVar[str] = "aspm"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    timeout: float = 1.0
    """After how many times its expected time a block is given up."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or a source that cannot compute."""
        reason = refuses_tasks(problem)
        if reason:
            return reason
        if problem.task.source not in problem.task.profile.nodes:
            return f"blocks that fail are computed where the inputs are, and {problem.task.source!r} cannot compute"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """Split, then merge until the plan is reliable enough and keeps the constraints."""
        require(self, problem)
        method = Splitting(problem, self.timeout)
        target, sentence = floor_of(problem, problem.task), "no way leads to another node and back"
        over = False
        for parts in method.merging(method.split()):
            over = over or (stop is not None and stop(method.delay_s(parts)))
            # A stop ends what could still be better, not the search for a plan that is allowed.
            cost = judged(problem, method.chain.additive.plan(method.places(parts)))
            if cost and cost.feasible and (over or method.success(parts) >= target):
                notes = {"expected_delay_s": f"{method.delay_s(parts):.9g}", "success": f"{method.success(parts):.9g}"}
                return Proposal(plan=method.chain.additive.plan(method.places(parts)), notes=notes)
            sentence = cost.violations[0].sentence if cost and cost.violations else sentence
        raise infeasible(problem, "the blocks that aspm merged", sentence)


@dataclass
class Splitting:
    """The chain of a problem with the chances of its nodes; hosts are counted as in `Layout.hosts`."""

    problem: Problem
    timeout: float = 1.0
    chain: Chain = field(init=False)

    def __post_init__(self) -> None:
        self.chain = Chain(Additive(Layout(self.problem, self.problem.task), {"sequential": 1.0}))
        cluster, layout = self.problem.cluster, self.chain.layout
        self.source = layout.hosts.index(cluster.index[self.problem.task.source])
        self.chances = np.array([self._chance(layout.nodes[host]) for host in layout.hosts])
        self.calls = layout.call_s[self.chain.hosts]
        self.before = self.chain.before

    def _chance(self, name: str) -> float:
        """That a block on a node comes back: the node and the links of the way there are not broken."""
        cluster, source = self.problem.cluster, self.problem.task.source
        if name == source:
            return 1.0
        if not cluster.reachable(source, name):
            return 0.0
        chance = 1.0
        for a, b in pairwise(cluster.path(source, name)):
            chance *= (1 - cluster.link[a, b].failure_probability) * (1 - cluster.node[b].failure_probability)
        return chance

    def time_s(self, part: Part, before: int | None) -> float:
        """Seconds of a block if nothing fails, its input from the host before it included; inf where it may not be."""
        if self.chain.reach[part.start, part.host] < part.stop:
            return float("inf")
        came = 0.0 if before is None else float(self.chain.of_steps[part.start, before, part.host])
        work = float(self.before[part.stop, part.host] - self.before[part.start, part.host])
        return came + work + float(self.calls[part.host])

    def delay_s(self, parts: Parts) -> float:
        """Expected seconds: r T + (1 - r) (timeout + again at the source), summed over the blocks."""
        total, before = 0.0, None
        for part in parts:
            seconds, chance = self.time_s(part, before), float(self.chances[part.host])
            if chance == 0.0 or np.isinf(seconds):
                return float("inf")
            again = float(self.before[part.stop, self.source] - self.before[part.start, self.source])
            total += chance * seconds + (1 - chance) * (self.timeout * seconds + again)
            before = part.host
        return total

    def success(self, parts: Parts) -> float:
        """Probability that the output of every block that is offloaded comes back."""
        return float(np.prod([self.chances[part.host] for part in parts]))

    def split(self) -> Parts:
        """From the whole on the host of least delay, split while that saves time, both halves then again."""
        size = len(self.chain.blocks)
        if not size:
            return ()
        whole = [(Part(0, size, host),) for host in range(len(self.calls))]
        return self._split(min(whole, key=lambda parts: (self.delay_s(parts), parts)), 0)

    def _split(self, parts: Parts, at: int) -> Parts:
        """The parts with one of them split, and its halves split again, as long as it saves time."""
        now, found = self.delay_s(parts), min(self._halves(parts, at), default=None)
        if found is None or found[0] >= now * (1 - _GAIN):
            return parts
        # The later half first, so that the place of the earlier one stays.
        return self._split(self._split(found[1], at + 1), at)

    def _halves(self, parts: Parts, at: int) -> Iterator[tuple[float, Parts]]:
        start, stop, _ = parts[at]
        for cut in range(start + 1, stop):
            for first in range(len(self.calls)):
                for second in range(len(self.calls)):
                    if first != second:
                        halves = (Part(start, cut, first), Part(cut, stop, second))
                        tried = (*parts[:at], *halves, *parts[at + 1 :])
                        yield self.delay_s(tried), tried

    def merging(self, parts: Parts) -> Iterator[Parts]:
        """The parts, then after each merge of two neighbours, best Delta success / Delta delay first; then local."""
        while parts:
            yield parts
            merges = [merged for at in range(len(parts) - 1) for merged in self._merges(parts, at)]
            if not merges:
                break
            parts = max(merges, key=lambda merged: (self._worth(parts, merged), -self.delay_s(merged)))
        size = len(self.chain.blocks)
        alone = sorted((-self.success((Part(0, size, host),)), self.delay_s((Part(0, size, host),)), host)
                       for host in range(len(self.calls)))  # fmt: skip
        yield from ((Part(0, size, host),) for _, _, host in alone)

    def _merges(self, parts: Parts, at: int) -> Iterator[Parts]:
        """Two neighbours on the host of either of them, or at the source."""
        a, b = parts[at : at + 2]
        for host in sorted({a.host, b.host, self.source}):
            yield (*parts[:at], Part(a.start, b.stop, host), *parts[at + 2 :])

    def _worth(self, parts: Parts, merged: Parts) -> float:
        gain, lost = self.success(merged) - self.success(parts), self.delay_s(merged) - self.delay_s(parts)
        if lost <= 0:
            return float("inf") if gain >= 0 else gain
        return gain / lost

    def places(self, parts: Parts) -> list[int]:
        """Node of each unit."""
        return self.chain.places([part.host for part in parts for _ in range(part.start, part.stop)])
