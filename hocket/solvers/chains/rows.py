"""A task as a row of blocks with the seconds that methods on chains add up, and what they have in common."""

from collections.abc import Mapping, Sequence

import numpy as np

from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError
from hocket.plan import Plan
from hocket.solvers.additive import Additive
from hocket.solvers.bound import lower_bound
from hocket.solvers.chain import Chain
from hocket.solvers.checks import refuses_nodes
from hocket.solvers.fixed import best_fixed, judged
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.solver import Proposal
from hocket.solvers.stages import Runs, Stage

_SAME = 1e-9
NO_WAY = "no way leads from the inputs to the answers"


def chain_of(problem: Problem) -> Chain:
    """The blocks of the only task, priced in seconds."""
    return Chain(Additive(Layout(problem, problem.task), {"sequential": 1.0}))


def refuses_row(problem: Problem) -> str | None:
    """The reason of a solver for one task and at least one node that computes."""
    return refuses_nodes(problem)


def refuses_source(problem: Problem) -> str | None:
    """The reason of a solver whose first block is where the inputs are."""
    reason = refuses_row(problem)
    if reason or problem.task.source in problem.task.profile.nodes:
        return reason
    return f"the inputs are on {problem.task.source!r}, of which the profile knows nothing"


def source_column(chain: Chain) -> int:
    """The host that has the first input, as a column of the chain."""
    layout = chain.layout
    return chain.layout.hosts.index(layout.problem.cluster.index[layout.task.source])


def from_source(chain: Chain, runs: Runs) -> Runs:
    """The same runs with the first block where the inputs are."""
    others = np.arange(runs.width) != source_column(chain)
    return Runs(runs.before, runs.call_s, np.where(others, np.inf, runs.enter), runs.steps, runs.leave, runs.ends)


def no_calls(chain: Chain) -> Floats:
    """(D,) the cost of calls where a method does not know of any."""
    return np.zeros(len(chain.hosts))


def plan_of(chain: Chain, stages: Sequence[Stage]) -> Plan:
    """The plan of runs."""
    return placed(chain, chain.staged(stages))


def placed(chain: Chain, places: Sequence[int]) -> Plan:
    """The plan of a placement of units."""
    codecs = chain.additive.codecs if chain.layout.task.input_codecs else {}
    return chain.layout.plan(places, codecs)


def settled(
    problem: Problem, plan: Plan | None, searched: str, notes: Mapping[str, str], *, bounded: bool = True
) -> Proposal:
    """The plan of a method, if there is one and it keeps the constraints.

    Args:
        problem: what is solved.
        plan: the only one that the method finds; None = it found none.
        searched: what it searched, for the error.
        notes: about the plan.
        bounded: whether the plan sends activations as they are, so that a lower bound holds for it.

    Raises:
        InfeasibleError: it does not keep them.
    """
    if plan is None:
        violations = best_fixed(problem).violations
        raise none_allowed(problem, searched, violations[0].sentence if violations else NO_WAY)
    cost = judged(problem, plan)
    if cost is None or not cost.feasible:
        raise none_allowed(problem, searched, cost.violations[0].sentence if cost else NO_WAY)
    if not np.isfinite(cost.value):
        raise none_allowed(problem, searched, "a tensor of its best plan never arrives")
    return Proposal(plan=plan, bound=lower_bound(problem) if bounded else None, notes=notes)


def none_allowed(problem: Problem, searched: str, sentence: str) -> InfeasibleError:
    """No plan of those that were searched keeps the constraints."""
    return InfeasibleError(
        f"no plan of {problem.task.name!r} keeps the constraints, searched over {searched}: {sentence}"
    )


def proven(problem: Problem, chain: Chain, proposal: Proposal, period_s: float) -> Proposal:
    """The same proposal, said to be the best with one run of blocks per node where the judge agrees with the method.

    Args:
        problem: what is solved.
        chain: its blocks.
        proposal: a plan that has the least period of all such plans by the method's own figures.
        period_s: that figure.
    """
    if problem.objective.metric != "period" or chain.untidy or not chain.is_straight or chain.additive.departs:
        return proposal
    value = evaluate(problem, proposal.plan).period_s
    if abs(value - period_s) > _SAME * max(value, period_s):
        return proposal
    return Proposal(plan=proposal.plan, bound=proposal.bound, over="stages", notes=proposal.notes)


def described(chain: Chain, stages: Sequence[Stage]) -> str:
    """`4 blocks on n0, 2 on n2`."""
    names = [chain.layout.nodes[chain.hosts[stage.host]] for stage in stages]
    parts = [f"{stage.stop - stage.start} on {name}" for stage, name in zip(stages, names, strict=True)]
    return "blocks: " + ", ".join(parts)
