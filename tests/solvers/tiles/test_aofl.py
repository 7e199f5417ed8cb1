"""AOFL: the best fusion of layers."""

from itertools import accumulate, combinations, pairwise

import pytest
from graphs import zoo_model
from split_problems import split_problem
from tile_problems import on_nodes

from hocket.plan.cuts import shared
from hocket.solvers.tiles.aofl import Aofl, fusions
from hocket.solvers.tiles.maps import ROWS, Maps, strips


def block_cost(maps: Maps, first: int, last: int, degree: int) -> float:
    """One fused block, from the card: scatter, the slowest strip with what it computes again, gather."""
    others = [host for host in maps.order if host != maps.owner][: degree - 1]
    team = sorted([maps.owner, *others])
    sizes = shared([float(maps.speeds[host]) for host in team], maps.size(last)[0])
    parts = {host: maps.strip(last, ROWS, rows) for host, rows in strips(team, (0, *accumulate(sizes))).items()}
    needs = {host: maps.fused(first, last, tile) for host, tile in parts.items()}
    before = maps.held(first - 1, {maps.owner: maps.full(first - 1)}) if first else maps.source
    scatter = maps.moved_s(first - 1, before, maps.held(first - 1, {host: need.tile for host, need in needs.items()}))
    gather = maps.moved_s(last, maps.held(last, parts), maps.held(last, {maps.owner: maps.full(last)}))
    return scatter + max(need.seconds[host] + maps.calls[host] for host, need in needs.items()) + gather


@pytest.mark.parametrize("seed", range(8))
def test_aofl_finds_the_best_of_all_fusions(seed: int) -> None:
    maps = Maps(split_problem(seed, models=("toy_chain", "toy_dag"), nodes=2 + seed % 3))
    degrees = range(1, len(maps.hosts) + 1)
    cost = {
        (first, last): min(block_cost(maps, first, last, degree) for degree in degrees)
        for last in range(maps.count)
        for first in range(last + 1)
    }
    best = min(
        sum(cost[first, stop - 1] for first, stop in pairwise((0, *cuts, maps.count)))
        for size in range(maps.count)
        for cuts in combinations(range(1, maps.count), size)
    )
    found = fusions(maps)
    assert [block.first for block in found[1:]] == [block.last + 1 for block in found[:-1]]
    assert sum(block.seconds for block in found) == pytest.approx(best, rel=1e-9)


def test_aofl_fuses_more_the_longer_a_message_takes() -> None:
    graph = zoo_model("toy_chain").graph
    counts = [
        len(fusions(Maps(on_nodes(graph, [1e7] * 3, bytes_per_s=1e9, latency_s=latency))))
        for latency in (0.0, 1e-2, 2e-2)
    ]
    assert counts == [8, 4, 3]
    assert Aofl()(on_nodes(graph, [1e7] * 3)).notes["fused"]
