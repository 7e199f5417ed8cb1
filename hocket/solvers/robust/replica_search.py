"""Segments of a chain on sets of nodes: all choices where they are few, else a greedy one.

Solves    every metric and constraint of one task; made for least energy under a deadline and a floor of reliability
Answer    the best by the judge over all sets of at most `copies` nodes for each of `segments` segments; where these are
          too many, the best single placement with copies added by reliability gained per value lost
Time      O(C^S) judgements; C = sets of nodes, S = segments; greedy O(S D) for each copy, D = nodes
Source    the problem of Zhao, Zhang, Meng, Hou: Reliable DNN Partitioning for UAV Swarm, IWCMC 2022, pp. 265-270
Departs   an oracle for that problem, not the paper's deep Q-learning; segments are cut in advance, by equal work;
          where the node that needs the answer cannot compute, it cannot choose among copies, so there are none
Cards     -
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import ClassVar

import numpy as np

from hocket.cost import Cost, Problem
from hocket.plan import Plan
from hocket.solvers.additive import additive_of
from hocket.solvers.chain import Chain
from hocket.solvers.checks import infeasible, refuses_nodes, require
from hocket.solvers.descent import excess
from hocket.solvers.fixed import judged
from hocket.solvers.robust.survival import Replicas, replicated_plan, takes_copies
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

Choice = tuple[Replicas, ...]
"""Nodes of each segment."""
Score = tuple[float, float]
"""How far constraints are broken, and the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSearch:
    """See the module."""

    name: ClassVar[str] = "replica_search"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    segments: int = 3
    copies: int = 2
    """Most nodes of one segment."""
    most_choices: int = 400
    """Most choices that are all judged."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, or nothing that can compute."""
        return refuses_nodes(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best choice of nodes for each segment."""
        require(self, problem)
        search = _Search(problem, self.segments, stop)
        search.all_of(product(search.hosts, repeat=search.segments), 1)
        copies = self.copies if takes_copies(problem.task) else 1
        sets = [chosen for count in range(1, copies + 1) for chosen in combinations(search.hosts, count)]
        if len(sets) ** search.segments <= self.most_choices:
            search.all_of(product(sets, repeat=search.segments), copies)
        else:
            search.greedy(copies)
        if search.best is None or search.score[0] > 0:
            raise infeasible(problem, "sets of nodes for each segment", search.complaint)
        return Proposal(plan=search.plan(search.best), notes={"judgements": str(len(search.known))})


class _Search:
    def __init__(self, problem: Problem, segments: int, stop: Stop | None) -> None:
        self.problem, self.stop = problem, stop
        self.chain = Chain(additive_of(problem))
        self.layout = self.chain.layout
        self.hosts = list(self.layout.hosts)
        self.segment_of = segments_of(self.chain, segments)
        self.segments = max(self.segment_of, default=0) + 1
        self.known: dict[Choice, tuple[Score, Cost | None]] = {}
        self.best: Choice | None = None
        self.score: Score = (np.inf, np.inf)
        self.complaint = "no way leads from the inputs to the answers"

    def plan(self, choice: Choice) -> Plan:
        """The plan of a choice; with one node per segment inputs go in the best of their codecs."""
        of_units = [choice[self.segment_of[block]] for block in self.chain.block_of]
        if all(len(nodes) == 1 for nodes in choice):
            return self.chain.additive.plan([nodes[0] for nodes in of_units])
        return replicated_plan(self.layout, of_units)

    def all_of(self, choices: Iterator[tuple[int | Replicas, ...]], copies: int) -> None:
        """Judge every choice, as far as the stop allows."""
        for some in choices:
            self.judge(tuple((nodes,) if isinstance(nodes, int) else nodes for nodes in some))
            over = self.stop is not None and self.stop(self.score[1] if self.score[0] == 0 else np.inf)
            # A limit ends the search, but not before there is a plan if there is one without copies.
            if over and (self.score[0] == 0 or copies > 1):
                return

    def judge(self, choice: Choice) -> tuple[Score, Cost | None]:
        """Score and cost of a choice, found once."""
        if choice not in self.known:
            cost = judged(self.problem, self.plan(choice))
            score = (np.inf, np.inf) if cost is None else (excess(self.problem, cost), cost.value)
            self.known[choice] = score, cost
            if score < self.score:
                self.best, self.score = choice, score
                self.complaint = cost.violations[0].sentence if cost and cost.violations else self.complaint
        return self.known[choice]

    def greedy(self, copies: int) -> None:
        """Copies are added one by one, each time the one that gains most reliability per value lost."""
        now = self.best
        while now is not None and self.score[0] > 0:
            reliability, value = self._figures(now)
            options = []
            for choice in self._with_one_more(now, copies):
                gained, lost = (a - b for a, b in zip(self._figures(choice), (reliability, value), strict=True))
                options.append((gained / max(lost, 1e-12), choice))
            worth, now = max(options, default=(0.0, None))
            if worth <= 0 or (self.stop is not None and self.stop(np.inf)):
                return

    def _figures(self, choice: Choice) -> tuple[float, float]:
        cost = self.judge(choice)[1]
        return (cost.reliability, cost.value) if cost else (0.0, np.inf)

    def _with_one_more(self, choice: Choice, copies: int) -> Iterator[Choice]:
        for segment, nodes in enumerate(choice):
            for host in self.hosts if len(nodes) < copies else ():
                if host not in nodes:
                    yield (*choice[:segment], tuple(sorted((*nodes, host))), *choice[segment + 1 :])


def segments_of(chain: Chain, count: int) -> list[int]:
    """Segment of each block: consecutive, of about equal work on an average host."""
    work = np.diff(chain.seconds, axis=0).mean(axis=1)
    if not len(work):
        return []
    middle = np.cumsum(work) - work / 2
    wanted = np.minimum((middle / (work.sum() or 1.0) * count).astype(int), count - 1)
    return [int(number) for number in np.unique(wanted, return_inverse=True)[1]]
