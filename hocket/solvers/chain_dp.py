"""Any number of unlike nodes, a chain of blocks: dynamic programming.

Solves    sequential latency, latency, energy or price of a chain of blocks; its period with one run of blocks per
          node
Answer    optimal over all placements of blocks where memory leaves the best of them; else, and for the period, over all
          plans with one run of blocks per node, nodes in any order, memory limits kept. For the period also no worse
          than runs that end inside blocks: then it may be better than all of those plans, and is none of them
Time      O(L D^2) for sums; O(K L D log 1/e) for the period, O(K L^2 D) for sums under memory limits; L = blocks,
          D = nodes, K = sets of nodes that can be told apart, at most 2^D
Source    Hu, Imes, Zhao, Kundu, Beerel, Crago, Walters: PipeEdge, DSD 2022, pp. 298-307: the period;
          Zhang, Shen, Cao, Cui, Jiang: EdgeShard, IEEE IoT-J 2024: both
Departs   nodes are told apart by all that they cost, not by a type number; the least period is found by bisection over
          vectors of boundaries; memory counts mailboxes for the requests under way; what cannot be proven is refused;
          blocks up to the last that reads an input again count as one
Cards     pipeedge, edgeshard
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from hocket.cost import Cost, Problem, evaluate
from hocket.errors import RefusedError
from hocket.plan import Plan
from hocket.solvers.additive import Additive, additive_of, weights_of
from hocket.solvers.bottleneck import Bottleneck, least_sum, with_room
from hocket.solvers.bound import lower_bound
from hocket.solvers.chain import Chain
from hocket.solvers.checks import infeasible, refuses_tasks, require
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats
from hocket.solvers.linearised import Linear
from hocket.solvers.period import period_bound
from hocket.solvers.solver import Proposal
from hocket.solvers.stages import Runs, Stage
from hocket.solvers.stop import Stop

_SAME = 1e-9
_MOST_STATES_INSIDE = 10_000_000  # of runs of units, of which there are several in each block
Aim = Literal["period", "sum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainDp:
    """See the module."""

    name: ClassVar[str] = "chain_dp"
    exact_for: ClassVar[frozenset[str]] = frozenset({"sequential", "latency", "energy", "price", "period"})

    relaxed: bool = False
    """Go on where the costs of the chain are not exactly the judge's: the plan is then not proven to be the best."""
    most_states: int = 100_000_000
    """Most states of one run per node; some ten million are searched in ten seconds."""
    inside: bool = True
    """Also try runs of units in topological order, and take them where they make the period shorter."""

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
        require(self, problem)
        search = _Search(problem, self.relaxed, self.most_states)
        if problem.objective.metric != "period":
            return search.by_blocks()
        best = search.by_stages("period")
        return search.cut_inside(best) if self.inside else best


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

    def by_stages(self, aim: Aim) -> Proposal:
        """The best plan with one run of blocks per node."""
        bound = period_bound(self.layout, self.chain.held) if aim == "period" else 0.0
        search, value = partial(self._stages, aim), partial(self._value, aim)
        stages = with_room(search, value, self.chain.fits, len(self.chain.hosts), bound)
        if stages is None:
            raise self._infeasible()
        plan = self._plan(stages)
        cost = evaluate(self.problem, plan)
        if not cost.feasible:
            raise RefusedError(
                "chain_dp cannot solve this problem: the best plan with one run of blocks per node breaks a"
                f" constraint ({cost.violations[0].sentence})"
            )
        return self._proven(plan, cost, self._value(aim, stages), "stages", bound if aim == "period" else None)

    def cut_inside(self, best: Proposal) -> Proposal:
        """A plan with one run of units per node, units in topological order, if that is better; else the one given."""
        value = evaluate(self.problem, best.plan).value
        row = Linear(self.problem)
        states = Bottleneck(row.runs).states
        lowest = 0.0 if best.bound is None else best.bound
        if self.chain.is_fine or states > min(self.most_states, _MOST_STATES_INSIDE) or value <= lowest * (1 + _SAME):
            return best

        def search(window: int, most: int, lower: float, below: float) -> list[Stage] | None:
            return Bottleneck(row.within(window), most).least(lower, min(below, value))

        stages = with_room(search, row.runs.busiest, row.fits, len(row.hosts), lowest)
        if stages is None:
            return best
        plan = row.plan(stages)
        cost = judged(self.problem, plan)
        if cost is None or not cost.feasible or cost.value >= value:
            return best
        return Proposal(plan=plan, bound=best.bound, over=best.over, notes={"cuts": "inside blocks too"})

    def _value(self, aim: Aim, stages: list[Stage]) -> float:
        runs = self.chain.runs(2)
        return runs.busiest(stages) if aim == "period" else self.chain.sums(runs, self._calls()).total(stages)

    def _stages(self, aim: Aim, window: int, most: int, lower: float, below: float) -> list[Stage] | None:
        """The best of at most so many runs that fit with this window; None if none does, or none is below a value."""
        runs = self.chain.runs(window)
        search = Bottleneck(runs, most)
        self._check_size(search.states * (8 * runs.width if aim == "sum" else 1), runs)
        if aim == "period":
            return search.least(lower, below)
        costs = self.chain.sums(runs, self._calls())
        stages = least_sum(runs, costs, most)
        return None if stages is None or costs.total(stages) >= below else stages

    def _check_size(self, states: int, runs: Runs) -> None:
        if states > self.most_states:
            raise RefusedError(
                f"chain_dp cannot solve this problem: {states // (runs.length + 1)} sets of nodes with {runs.length}"
                f" blocks are more than {self.most_states} states"
            )

    def _plan(self, stages: list[Stage]) -> Plan:
        # Without packed inputs nothing has to be known of what crossings cost.
        codecs = self.additive.codecs if self.layout.task.input_codecs else {}
        return self.layout.plan(self.chain.staged(stages), codecs)

    def _proven(
        self, plan: Plan, cost: Cost, value: float, over: Literal["blocks", "stages"], bound: float | None = None
    ) -> Proposal:
        """The value found is a lower bound over the space; the plan is the best if the judge gives the same."""
        same = abs(cost.value - value) <= _SAME * max(abs(cost.value), abs(value))
        bound = lower_bound(self.problem) if bound is None else bound
        if same and self.chain.untidy is None and self.additive.departs is None:
            if over == "blocks" and self.chain.is_fine:
                return Proposal(plan=plan, bound=cost.value, over="units")
            return Proposal(plan=plan, bound=bound, over=over)
        if not self.relaxed:
            raise RefusedError(
                f"chain_dp cannot solve this problem: by its own sum the best plan takes {value:.6g} and by the judge's"
                f" {cost.value:.6g}, because crossings share a link or blocks take several calls"
            )
        return Proposal(plan=plan, bound=bound)

    def _infeasible(self) -> Exception:
        from hocket.solvers.fixed import best_fixed

        return infeasible(
            self.problem, "all plans with one run of blocks per node", best_fixed(self.problem).violations[0].sentence
        )


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
