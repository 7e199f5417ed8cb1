"""One choice of a cut and a codec: the integer program with a sum of one is a scan of its table."""

from collections.abc import Sequence

import numpy as np

from hocket.cost import Problem
from hocket.solvers.chains.coding import CodedCuts, raw_only
from hocket.solvers.chains.rows import NO_WAY, none_allowed, settled
from hocket.solvers.fixed import judged
from hocket.solvers.layout import Floats
from hocket.solvers.solver import Proposal

_SEARCHED = "all cuts at single tensors with every codec"


def first_allowed_cut(problem: Problem, tables: Sequence[tuple[CodedCuts, Floats]]) -> Proposal:
    """The pair of least value that keeps the constraints.

    Args:
        problem: what is solved.
        tables: the cuts of each server and codec with what the method minimises, (C,); inf = ruled out.

    Raises:
        InfeasibleError: none keeps them.
    """
    choices = sorted(
        (float(value), number, cut)
        for number, (_, values) in enumerate(tables)
        for cut, value in enumerate(values)
        if np.isfinite(value)
    )
    sentence = NO_WAY
    for value, number, cut in choices:
        cuts = tables[number][0]
        plan = cuts.plan(cut)
        cost = judged(problem, plan)
        if cost is not None and cost.feasible and np.isfinite(cost.value):
            notes = {"cut": cuts.label(cut), "own_value": f"{value:.9g}"}
            return settled(problem, plan, _SEARCHED, notes, bounded=raw_only(cuts.table.additive, plan))
        if cost is not None and cost.violations:
            sentence = cost.violations[0].sentence
    raise none_allowed(problem, _SEARCHED, sentence)
