"""AdaMEC: neighbours of the plan in use."""

from itertools import product

import pytest
from chain_problems import METRICS
from problems import random_problem

from hocket.cost import evaluate
from hocket.solvers import Exhaustive
from hocket.solvers.chains.adamec import AdaMec, NeighbourSearch, neighbours


def test_adamec_ends_where_no_neighbour_is_better() -> None:
    for seed in range(15):
        problem = random_problem(seed, METRICS[seed % 5], nodes=3, size=5)
        proposal = AdaMec(most_vertices=10_000)(problem)
        search = NeighbourSearch(problem, 1, 10_000)
        hosts, size = search.layout.hosts, len(search.layout.units)
        found = {places: search.plan(places) for places in product(hosts, repeat=size)}
        here = next(places for places, plan in found.items() if plan == proposal.plan)
        value = evaluate(problem, proposal.plan).value
        assert all(evaluate(problem, found[near]).value >= value * (1 - 1e-9) for near in neighbours(here, hosts))


def test_adamec_goes_on_from_the_plan_in_use() -> None:
    """From the best plan it judges its neighbours only; a plan of yesterday is a better start than the source."""
    problem = random_problem(4, "latency", nodes=3, size=7, shape="chain")
    best = Exhaustive()(problem).plan
    again = AdaMec(current=best.to_json())(problem)
    assert evaluate(problem, again.plan).value == pytest.approx(evaluate(problem, best).value)
    assert again.notes["steps"] == "1"
    assert int(again.notes["judged"]) <= 1 + 3 * 3 * 7


def test_neighbours_are_one_boundary_or_one_segment_away() -> None:
    """One boundary: it moves by one unit either way, a new one appears at each end, and each segment goes elsewhere."""
    found = set(neighbours((0, 0, 1, 1), (0, 1)))
    assert found == {(1, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0), (0, 0, 0, 0)}
