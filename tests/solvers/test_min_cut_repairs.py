"""The published construction against brute force, with each of its repairs taken out in turn."""

import numpy as np
import pytest
from problems import random_problem

from hocket.cost import Problem, evaluate
from hocket.solvers import Exhaustive, MinCut
from hocket.solvers.additive import additive_of
from hocket.solvers.flow import Arcs, source_side

REPAIRS = ("input", "once", "back")


def published(problem: Problem, repairs: set[str]) -> list[int]:
    """Placement of the cut that charges the upload of inputs, each tensor once, and forbids the way back."""
    additive = additive_of(problem)
    costs = additive.costs
    arcs = Arcs(len(costs.of_units) + 2)
    for unit, (device, server) in enumerate(costs.of_units.tolist()):
        arcs.add(0, unit + 2, server)
        arcs.add(unit + 2, 1, device)
    for number, net in enumerate(costs.nets):
        cost = costs.of_nets[number]
        maker = net.maker + 2 if net.maker >= 0 else 0
        if net.maker < 0 and "input" not in repairs:
            continue
        after = maker
        if "once" in repairs and len(net.readers) > 1:
            after = arcs.vertex()
            arcs.add(maker, after, cost[0, 1])
        for reader in net.readers:
            arcs.add(after, reader + 2, np.inf if after != maker else cost[0, 1])
            if "back" in repairs and net.maker >= 0:
                arcs.add(reader + 2, maker, np.inf)
        if net.sinks and net.maker >= 0:
            arcs.add(0, maker, cost[1, 0])
    side = source_side(arcs, 0, 1, sum(c for c in arcs.capacities if np.isfinite(c)))
    return [0 if side[unit + 2] else 1 for unit in range(len(costs.of_units))]


def wrong(repairs: set[str], count: int = 120) -> int:
    """On how many DAGs the cut is not the best one-way division."""
    failures = 0
    for seed in range(count):
        problem = random_problem(seed, size=6, shape="dag")
        additive = additive_of(problem)
        value = additive.costs.value(published(problem, repairs))
        failures += value > evaluate(problem, Exhaustive()(problem).plan).value * (1 + 1e-9)
    return failures


def test_all_repairs_are_needed() -> None:
    """Without one of them many DAGs come out wrong; with all three a few do, where data should go back and forth."""
    all_three = wrong(set(REPAIRS))
    for repair in REPAIRS:
        assert wrong(set(REPAIRS) - {repair}) > all_three
    assert sum(1 for seed in range(120) if _is_wrong(seed)) == 0


def _is_wrong(seed: int) -> bool:
    problem = random_problem(seed, size=6, shape="dag")
    value = evaluate(problem, MinCut()(problem).plan).value
    return value > evaluate(problem, Exhaustive()(problem).plan).value * (1 + 1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_cut_does_not_depend_on_the_scale_of_capacities(scale: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        size = 12
        pairs = [(a, b) for a in range(size) for b in range(size) if a != b and rng.random() < 0.4]
        capacities = rng.choice([1e-6, 1.0, 1e6], len(pairs)) * rng.uniform(0.5, 1.5, len(pairs))
        arcs = Arcs(size)
        for (a, b), capacity in zip(pairs, capacities, strict=True):
            arcs.add(a, b, capacity * scale)
        side = source_side(arcs, 0, 1, capacities.sum() * scale)
        value = sum(c for (a, b), c in zip(pairs, capacities, strict=True) if side[a] and not side[b])
        assert side[0]
        assert not side[1]
        assert value == pytest.approx(_least_cut(size, pairs, capacities), rel=1e-9)


def _least_cut(size: int, pairs: list[tuple[int, int]], capacities: np.ndarray) -> float:
    tails, heads = np.array(pairs).T
    masks = np.arange(0, 2**size)
    masks = masks[(masks & 1 == 1) & (masks & 2 == 0)]
    inside = (masks[:, None] >> np.arange(size)) & 1
    return float(((inside[:, tails] == 1) & (inside[:, heads] == 0)).dot(capacities).min())
