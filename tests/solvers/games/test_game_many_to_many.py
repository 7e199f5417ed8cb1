"""Our own solver for many devices and many servers: its bound holds, its own sum is the judge's, it comes close.

The instances: `game_problems.cells`, seed as given, objective = mean latency of one request of each device. Devices and
servers lie at random in a unit square; a device hears the four nearest servers, at 37.5 MB/s less with the distance, in
cells of 37.5 MB/s each; servers are about 24 to 64 times as fast as a device (`speed_up` 40); models are chains of six
operators.
"""

from itertools import product

import numpy as np
import pytest
from many_problems import many_to_many
from solvers.games.game_problems import cells

from hocket.cost import Problem, evaluate
from hocket.solvers import check_solver
from hocket.solvers.fixed import plan_at
from hocket.solvers.games.many_to_many import ManyToMany, _options, congestion, relaxed
from hocket.solvers.games.market import Choice, Market


def gaining(problem: Problem, plan: object) -> float:
    """The part of the devices that are better off than at home, by the judge."""
    home, better = plan_at(problem, None), 0
    for task, here, there in zip(problem.tasks, home.entries, plan.entries, strict=True):
        own = problem.replace(tasks=(task,))
        costs = [evaluate(own, home.replace(entries=(entry,), graph={})).value for entry in (here, there)]
        better += costs[1] < costs[0]
    return better / len(problem.tasks)


def test_it_keeps_the_contract() -> None:
    problems = [many_to_many(seed, devices=3, servers=2, metric=metric, rates=seed % 2 == 0, cell=True)
                for metric in ("latency", "sequential", "energy", "price") for seed in range(4)]  # fmt: skip
    assert check_solver(ManyToMany(), problems) >= 12


@pytest.mark.parametrize("metric", ["latency", "energy", "price"])
@pytest.mark.parametrize("aggregate", ["mean", "sum"])
def test_its_own_sum_is_what_the_judge_says(metric: str, aggregate: str) -> None:
    problem = cells(4, devices=6, servers=2, metric=metric, aggregate=aggregate)
    found = ManyToMany()(problem)
    assert evaluate(problem, found.plan).value == pytest.approx(float(found.notes["own_value"]), rel=1e-8)
    assert evaluate(problem, plan_at(problem, None)).value == pytest.approx(float(found.notes["at_home"]), rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_no_plan_with_shares_is_below_the_bound(seed: int) -> None:
    """Every server and cut of two devices, with shares in steps of a tenth, by the judge."""
    problem = cells(seed, devices=2, servers=1, size=3, speed_up=4.0)
    found = ManyToMany()(problem)
    market = Market(problem)
    server, best = market.servers[0], float("inf")
    for cuts in product(range(4), repeat=2):
        for compute, sending in product(np.linspace(0.1, 0.9, 9), repeat=2):
            both = sum(cut < 3 for cut in cuts) == 2
            shares = ((compute, sending), (1 - compute, 1 - sending)) if both else ((1.0, 1.0), (1.0, 1.0))
            choices = [
                Choice(server, cut, *share) if cut < 3 else Choice() for cut, share in zip(cuts, shares, strict=True)
            ]
            best = min(best, evaluate(problem, market.plan(choices)).value)
    assert float(found.notes["shares_bound"]) <= best * (1 + 1e-9)
    assert evaluate(problem, found.plan).value <= best * (1 + 1e-9)


def test_pools_without_a_common_resource_do_not_count_in_the_bound() -> None:
    """Two devices, two servers, a port of each device: ways that have nothing in common are in one pool by chance."""
    problem = cells(3, devices=2, servers=2, size=3)
    ports = tuple(node.replace(port_up_bytes_per_s=1e6) for node in problem.cluster.nodes)
    several = tuple(task.replace(name=f"{task.name}{twin}") for task in problem.tasks for twin in "ab")
    problem = problem.replace(tasks=several, cluster=problem.cluster.replace(nodes=ports))
    market = Market(problem)
    assert len({pool for pools in market.pools for pool in pools.values()}) == len(market.loose) == 1
    found = ManyToMany()(problem)
    assert float(found.notes["shares_bound"]) <= float(found.notes["own_value"])
    game = congestion(market, [_options(market, task) for task in range(4)])
    assert (relaxed(game, market.loose).loads[1] == 0).all()


def test_a_hundred_devices_and_five_servers_within_five_percent_of_the_bound() -> None:
    problem = cells(7, devices=100, servers=5, hears=4, speed_up=40.0)
    found = ManyToMany(rounds=500)(problem)
    value = evaluate(problem, found.plan).value
    assert value <= float(found.notes["shares_bound"]) * 1.05
    assert gaining(problem, found.plan) >= 0.6


@pytest.mark.slow
def test_a_thousand_devices_and_fifty_servers_within_five_percent_of_the_bound() -> None:
    problem = cells(1, devices=1000, servers=50, hears=4, speed_up=40.0)
    found = ManyToMany()(problem)
    assert float(found.notes["own_value"]) <= float(found.notes["shares_bound"]) * 1.05
    assert int(found.notes["offloading"]) >= 600
