"""Branch and bound: equal to exhaustive search, and its bounds of beginnings hold for every end."""

from itertools import product

import numpy as np
import pytest
from problems import random_problem

from hocket.cost import evaluate
from hocket.solvers import Exhaustive, MaxIterations, check_solver
from hocket.solvers.additive import additive_of
from hocket.solvers.exact import BranchAndBound
from hocket.solvers.exact.prefix import Prefix
from hocket.solvers.fixed import judged

METRICS = ("sequential", "latency", "period", "energy", "price")


@pytest.mark.parametrize("metric", METRICS)
def test_it_keeps_the_contract(metric: str) -> None:
    problems = [
        random_problem(seed, metric, nodes=2 + seed % 2, size=5, limited=seed % 3 == 0, spread=seed % 4 == 0,
                       packed=seed % 5 == 0, relay=seed % 7 == 0, call_s=2e-4 if seed % 4 == 1 else 0.0)
        for seed in range(9)
    ]  # fmt: skip
    assert check_solver(BranchAndBound(), problems, iterations=10**6) >= 6


@pytest.mark.parametrize("metric", METRICS)
def test_no_end_beats_the_bound_of_a_beginning(metric: str) -> None:
    for seed in range(4):
        problem = random_problem(seed, metric, nodes=2, size=5, spread=seed % 2 == 0, call_s=1e-4 * (seed % 2))
        additive = additive_of(problem)
        prefix, units = Prefix(problem, additive.layout), len(additive.layout.units)
        for places in product(additive.layout.hosts, repeat=units):
            cost = judged(problem, additive.plan(places))
            state = prefix.empty()
            for host in places:
                grown = prefix.place(state, host)
                if grown is None:
                    assert cost is None
                    break
                state = grown
                if cost is not None:
                    assert prefix.bound(state) <= cost.value * (1 + 1e-9)


def test_it_opens_far_fewer_nodes_than_there_are_placements() -> None:
    """3^12 = 531441 placements of a chain."""
    problem = random_problem(5, "latency", nodes=3, size=12, shape="chain")
    proposal = BranchAndBound()(problem)
    assert proposal.over == "units"
    assert int(proposal.notes["nodes"]) < 3000


def test_what_is_left_when_it_stops_bounds_the_rest() -> None:
    for seed in range(6):
        problem = random_problem(seed, "latency", nodes=3, size=6, shape="dag")
        best = evaluate(problem, Exhaustive()(problem).plan).value
        proposal = BranchAndBound()(problem, stop=MaxIterations(2))
        assert proposal.bound is not None
        assert proposal.bound <= best * (1 + 1e-9)
        assert np.isfinite(evaluate(problem, proposal.plan).value)
