"""Any number of unlike nodes, a chain of blocks: dynamic programming.

Solves    sequential latency, latency, energy or price of a chain of blocks; its period with one run of blocks per
          node
Answer    optimal over all placements of blocks where memory leaves the best of them; else, and for the period, over all
          plans with one run of blocks per node, nodes in any order, memory limits kept
Time      O(L D^2) for sums; O(K L D log 1/e) for the period, O(K L^2 D) for sums under memory limits; L = blocks,
          D = nodes, K = sets of nodes that can be told apart, at most 2^D
Source    Hu, Imes, Zhao, Kundu, Beerel, Crago, Walters: PipeEdge, DSD 2022, pp. 298-307: the period;
          Zhang, Shen, Cao, Cui, Jiang: EdgeShard, IEEE IoT-J 2024: both
Departs   nodes are told apart by all that they cost, not by a type number; the least period is found by bisection over
          vectors of boundaries; memory counts mailboxes for the requests under way; what cannot be proven is refused
Cards     pipeedge, edgeshard
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Cost, Problem, evaluate
from hocket.errors import RefusedError
from hocket.plan import Plan
from hocket.solvers.additive import Additive, additive_of, weights_of
from hocket.solvers.bound import lower_bound
from hocket.solvers.chain import Chain
from hocket.solvers.checks import infeasible, refuses_tasks
from hocket.solvers.layout import Floats
from hocket.solvers.period import period_bound
from hocket.solvers.solver import Proposal
from hocket.solvers.stages import Runs, Stage, least_busiest, least_sum
from hocket.solvers.stop import Stop

_SAME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainDp:
    """See the module."""

    name: ClassVar[str] = "chain_dp"
    exact_for: ClassVar[frozenset[str]] = frozenset({"sequential", "latency", "energy", "price", "period"})

    relaxed: bool = False
    """Go on where the costs of the chain are not exactly the judge's: the plan is then not proven to be the best."""
    most_states: int = 100_000_000
    """Most states of one run per node; some ten million are searched in ten seconds."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, an objective that is not of the chain, or a chain that is none."""
        reason = refuses_tasks(problem)
        if reason or self.relaxed:
            return reason
        metric = problem.objective.metric
        if metric == "weighted" and weights_of(problem) is None:
            return "a weighted objective with latency or period is not a sum over blocks"
        additive = additive_of(problem)
        chain = Chain(additive)
        if additive.departs or chain.untidy:
            return additive.departs or chain.untidy
        if metric in ("latency", "period") and not chain.is_straight:
            return "several inputs or answers, or inputs read within the chain, may overlap with computing"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The best plan."""
        reason = self.refuses(problem)
        if reason:
            raise RefusedError(f"{self.name} cannot solve this problem: {reason}")
        search = _Search(problem, self.relaxed, self.most_states)
        return search.by_stages("period") if problem.objective.metric == "period" else search.by_blocks()


class _Search:
    def __init__(self, problem: Problem, relaxed: bool, most_states: int) -> None:
        self.problem, self.relaxed, self.most_states = problem, relaxed, most_states
        self.additive: Additive = additive_of(problem)
        self.layout, self.chain = self.additive.layout, Chain(self.additive)

    def by_blocks(self) -> Proposal:
        """The least sum over all placements of blocks; if memory does not take it, over one run per node."""
        value, hosts = shortest(self.chain, self._calls())
        plan = self.additive.plan(self.chain.places(hosts))
        cost = evaluate(self.problem, plan)
        if cost.feasible:
            return self._proven(plan, cost, value, "blocks")
        broken = {violation.constraint for violation in cost.violations}
        if broken == {"C6"}:
            return self.by_stages("sum")
        raise RefusedError(
            "chain_dp cannot solve this problem: the best placement of blocks without constraints breaks one"
            f" ({cost.violations[0].sentence})"
        )

    def _calls(self) -> Floats:
        """(D,) what each run costs besides its blocks: latency counts calls, the survey's sum does not."""
        calls = self.problem.objective.metric == "latency"
        return self.layout.call_s[self.chain.hosts] if calls else np.zeros(len(self.chain.hosts))

    def by_stages(self, aim: Literal["period", "sum"]) -> Proposal:
        """The best plan with one run of blocks per node."""
        # A window of 2 asks least of memory. If the plan that it allows fits with its own window, nothing is better.
        found = self._stages(aim, 2, None, period_bound(self.layout) if aim == "period" else 0.0)
        if found is None:
            raise self._infeasible()
        plan, value, count = found
        cost = evaluate(self.problem, plan)
        if any(violation.constraint == "C6" for violation in cost.violations):
            plan, value = self._by_count(aim, value, count)
            cost = evaluate(self.problem, plan)
        if not cost.feasible:
            raise RefusedError(
                "chain_dp cannot solve this problem: the best plan with one run of blocks per node breaks a"
                f" constraint ({cost.violations[0].sentence})"
            )
        return self._proven(plan, cost, value, "stages")

    def _by_count(self, aim: Literal["period", "sum"], relaxed: float, likely: int) -> tuple[Plan, float]:
        """The best over all numbers of runs, each with the window that it needs, the likely number first."""
        best: tuple[Plan, float] | None = None
        for count in sorted(range(1, len(self.chain.hosts) + 1), key=lambda count: abs(count - likely)):
            found = self._stages(aim, count + 1, count, relaxed, np.inf if best is None else best[1])
            if found is not None and (best is None or found[1] < best[1]):
                best = found[:2]
        if best is None:
            raise self._infeasible()
        return best

    def _stages(
        self, aim: Literal["period", "sum"], window: int, count: int | None, least: float, below: float = np.inf
    ) -> tuple[Plan, float, int] | None:
        runs = self._runs(window)
        if runs.sets * (runs.length + 1) * (8 * runs.width if aim == "sum" else 1) > self.most_states:
            raise RefusedError(
                f"chain_dp cannot solve this problem: {runs.sets} sets of nodes with {runs.length} blocks are more"
                f" than {self.most_states} states"
            )
        if aim == "period":
            stages = least_busiest(runs, least, count, below)
            return None if stages is None else (self._plan(stages), runs.busiest(stages), len(stages))
        costs = self._costs(runs)
        stages = least_sum(runs, costs, count)
        return None if stages is None else (self._plan(stages), _sum(costs, stages), len(stages))

    def _runs(self, window: int) -> Runs:
        enter, steps, leave = self.chain.holds
        calls = self.layout.call_s[self.chain.hosts]
        return Runs(self.chain.seconds, calls, enter, steps, leave, self.chain.room(window))

    def _costs(self, runs: Runs) -> Runs:
        before = np.vstack([np.zeros(runs.width), np.cumsum(self.chain.of_blocks, axis=0)])
        nothing = np.zeros(runs.width)
        return Runs(before, self._calls(), nothing, self.chain.of_steps, nothing, runs.ends)

    def _plan(self, stages: list[Stage]) -> Plan:
        hosts = [stage.host for stage in stages for _ in range(stage.start, stage.stop)]
        return self.additive.plan(self.chain.places(hosts))

    def _proven(self, plan: Plan, cost: Cost, value: float, over: Literal["blocks", "stages"]) -> Proposal:
        """The value found is a lower bound over the space; the plan is the best if the judge gives the same."""
        same = abs(cost.value - value) <= _SAME * max(abs(cost.value), abs(value))
        if same and self.chain.untidy is None and self.additive.departs is None:
            if over == "blocks" and self.chain.is_fine:
                return Proposal(plan=plan, bound=cost.value, over="units")
            return Proposal(plan=plan, bound=lower_bound(self.problem), over=over)
        if not self.relaxed:
            raise RefusedError(
                f"chain_dp cannot solve this problem: by its own sum the best plan takes {value:.6g} and by the judge's"
                f" {cost.value:.6g}, because crossings share a link or blocks take several calls"
            )
        return Proposal(plan=plan, bound=lower_bound(self.problem))

    def _infeasible(self) -> Exception:
        from hocket.solvers.fixed import best_fixed

        return infeasible(
            self.problem, "all plans with one run of blocks per node", best_fixed(self.problem).violations[0].sentence
        )


def _sum(costs: Runs, stages: list[Stage]) -> float:
    total = sum(costs.work(stage) for stage in stages)
    return total + sum(float(costs.steps[b.start, a.host, b.host]) for a, b in pairwise(stages))


def shortest(chain: Chain, calls: Floats) -> tuple[float, list[int]]:
    """The least sum of costs over all placements of blocks.

    Args:
        chain: the blocks.
        calls: (D,) what it costs to enter a host.

    Returns:
        The sum, and the host of each block.
    """
    of_blocks, of_steps = chain.of_blocks, chain.of_steps
    if not len(of_blocks):
        return 0.0, []
    value = of_blocks[0] + calls
    came: list[Floats] = []
    moving = calls * (1 - np.eye(len(calls)))
    for block in range(1, len(of_blocks)):
        through = value[:, None] + of_steps[block] + moving
        came.append(through.argmin(axis=0))
        value = through.min(axis=0) + of_blocks[block]
    hosts = [int(value.argmin())]
    for before in reversed(came):
        hosts.append(int(before[hosts[-1]]))
    return float(value.min()), hosts[::-1]
