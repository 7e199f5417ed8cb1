"""Minimum-cut constructions against all divisions, with each repair taken out, and what is built on them."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from problems import chain, graph_of, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem
from hocket.solvers import solve
from hocket.solvers.additive import Costs
from hocket.solvers.cuts.cic import Cic
from hocket.solvers.cuts.compression import Compression, compressed_cut
from hocket.solvers.cuts.construction import Repairs, Stages, stages, two_sided, weighted_cut
from hocket.solvers.cuts.dads import Dads, surgery
from hocket.solvers.cuts.gan_defense import GanDefense, protected
from hocket.solvers.cuts.scan import sequential

DEVICE, SERVER = 0, 1
SAME = 1 + 1e-9


def dags(count: int, **options: object) -> Iterator[Problem]:
    for seed in range(count):
        yield random_problem(seed, size=6, shape=("dag", "diamond", "dag")[seed % 3], **options)


def divisions(costs: Costs) -> Iterator[tuple[int, ...]]:
    """All placements on the two nodes in which no tensor goes from the server to a reader on the device."""
    edges = [(net.maker, reader) for net in costs.nets if net.maker >= 0 for reader in net.readers]
    for places in product((DEVICE, SERVER), repeat=len(costs.of_units)):
        if all(places[maker] == DEVICE or places[reader] == SERVER for maker, reader in edges):
            yield places


def wrong(repairs: Repairs, count: int = 90) -> int:
    """On how many DAGs the cut is not the best division in which only answers come back."""
    failures = 0
    for problem in dags(count):
        costs = sequential(problem).costs
        best = min(costs.value(places) for places in divisions(costs))
        places = weighted_cut(two_sided(costs, DEVICE, SERVER, repairs), DEVICE, SERVER)
        failures += two_sided(costs, DEVICE, SERVER).value(places) > best * SAME
    return failures


def test_the_cut_with_all_repairs_is_the_best_division() -> None:
    assert wrong(Repairs()) == 0


@pytest.mark.parametrize("repair", ["pinned_inputs", "once", "one_way"])
def test_each_repair_is_needed(repair: str) -> None:
    assert wrong(Repairs(**{repair: False})) > 5


def test_dads_sends_the_input_for_nothing_unless_it_is_pinned() -> None:
    """1 MB at 1 MB/s are 1 s, more than the 0.5 s that the device takes for all of it."""
    graph = chain([1], first=250_000)
    link = Link(between=("device", "server"), up=Direction(bytes_per_s=1e6), down=Direction(bytes_per_s=1e6))
    nodes = (Node(name="device", flops_per_s=1e9), Node(name="server", flops_per_s=1e9))
    cluster = Cluster(name="pair", nodes=nodes, links=(link,))
    problem = problem_of(graph, cluster, profile_of(graph, {"device": [0.5], "server": [0.1]}))
    assert solve(problem, Dads()).cost.sequential_s == pytest.approx(0.5)
    assert solve(problem, Dads(pinned_inputs=False)).cost.sequential_s == pytest.approx(1.1 + 4e-6)


def test_the_weighted_cut_takes_weights_and_payments() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        costs = sequential(random_problem(seed, size=6, shape="dag")).costs
        network = two_sided(costs, DEVICE, SERVER)
        weights, payments = Stages(*rng.uniform(0.0, 2.0, 3)), rng.uniform(0.0, 0.01, len(costs.of_units))

        def value(places: tuple[int, ...], costs=costs, weights=weights, payments=payments) -> float:
            three = stages(costs, places, DEVICE, SERVER)
            return float(np.dot(three, weights) + payments[np.array(places) == SERVER].sum())

        found = weighted_cut(network, DEVICE, SERVER, weights, payments)
        assert value(tuple(found)) == pytest.approx(min(value(places) for places in divisions(costs)), rel=1e-9)


def test_surgery_stays_within_three_times_the_best_longest_stage() -> None:
    better = 0
    for problem in dags(24):
        costs = sequential(problem).costs
        network = two_sided(costs, DEVICE, SERVER)
        longest = {places: max(stages(network, places, DEVICE, SERVER)) for places in divisions(costs)}
        best = min(longest.values())
        cuts = [(tuple(places), bound) for places, bound in surgery(network, DEVICE, SERVER, 15)]
        assert max(bound for _, bound in cuts) <= best * SAME
        assert longest[cuts[0][0]] <= 3 * best * SAME
        found = min(longest[places] for places, _ in cuts)
        assert best <= found * SAME
        better += found < longest[cuts[0][0]] / SAME
    assert better > 2


def test_dads_goes_over_to_throughput_when_frames_come_too_fast() -> None:
    """Light: all on the server, 0.9 s in all. Heavy, for frames every 0.6 s: 0.3, 0.35 and 0.3 s."""
    graph = chain([87_500, 1], first=1)
    link = Link(between=("device", "server"), up=Direction(bytes_per_s=1e6), down=Direction(bytes_per_s=1e6))
    nodes = (Node(name="device", flops_per_s=1e9), Node(name="server", flops_per_s=1e9))
    cluster = Cluster(name="pair", nodes=nodes, links=(link,))
    profile = profile_of(graph, {"device": [0.3, 0.7], "server": [0.6, 0.3]})

    def at(rate: float, **options: str) -> list[str]:
        problem = problem_of(graph, cluster, profile, task={"rate_per_s": rate})
        return [stage["node"] for stage in solve(problem, Dads(**options)).stages()]

    assert at(0.0) == at(1 / 0.95) == ["server"]
    assert at(1 / 0.6) == ["device", "server"]
    assert at(0.0, load="heavy") == ["device", "server"]


def test_cic_cuts_the_small_graph_as_it_would_the_large_one() -> None:
    """One compression for each model, before the network is known; then three networks."""
    merged = 0
    for number in range(60):
        problem = random_problem(number, size=6, shape=("chain", "diamond", "dag")[number % 3])
        layout = sequential(problem).layout
        compressed = Compression(layout, DEVICE, SERVER).run()
        merged += len(layout.units) - compressed.size
        for rate in (1e4, 1e6, 1e8):
            link = problem.cluster.links[0].replace(up=Direction(bytes_per_s=rate), latency_s=(number % 2) * 1e-3)
            costs = sequential(problem.replace(cluster=problem.cluster.replace(links=(link,)))).costs
            network = two_sided(costs, DEVICE, SERVER)
            found = network.value(compressed_cut(costs, compressed, DEVICE, SERVER))
            whole = network.value(weighted_cut(network, DEVICE, SERVER))
            assert found == pytest.approx(whole, rel=1e-9)
    assert merged > 30


def module(server: float) -> Problem:
    """A layer, two branches whose tensors together are larger than what enters, and a tail that does not shrink."""
    graph = graph_of([[-1], [0], [0], [1, 2], [3], [4]], [100, 80, 80, 200, 300, 1], inputs=(1000,))
    nodes = (Node(name="n0", flops_per_s=1e9), Node(name="n1", flops_per_s=1e9))
    link = Link(between=("n0", "n1"), up=Direction(bytes_per_s=1e5), down=Direction(bytes_per_s=1e5))
    cluster = Cluster(name="pair", nodes=nodes, links=(link,))
    return problem_of(graph, cluster, profile_of(graph, {"n0": [0.01] * 6, "n1": [server] * 6}))


def test_cic_merges_what_no_best_cut_separates() -> None:
    layout = sequential(module(0.002)).layout
    both = Compression(layout, DEVICE, SERVER).run()
    assert both.group_of == (0, 1, 1, 1, 1, 1)
    assert Compression(layout, DEVICE, SERVER).run(regions=False).group_of == (0, 1, 2, 3, 3, 3)
    assert Compression(layout, DEVICE, SERVER).run(pairs=False).group_of == (0, 1, 1, 1, 2, 3)
    assert "in 2 groups" in Cic()(module(0.002)).notes["cut"]


def test_cic_merges_nothing_before_a_slower_server() -> None:
    layout = sequential(module(0.02)).layout
    assert Compression(layout, DEVICE, SERVER).run().size == len(layout.units)


def trusting(problem: Problem, trust: int) -> Problem:
    first, *others = problem.cluster.nodes
    nodes = (first.replace(trust=1), *(node.replace(trust=trust) for node in others))
    return problem.replace(cluster=problem.cluster.replace(nodes=nodes))


def test_gan_defense_keeps_the_ends_on_the_device() -> None:
    """A server without cost would take all; not trusted, it gets the middle only, and its result comes back."""
    graph = chain([10, 10, 10, 10], first=10)
    nodes = (Node(name="n0", flops_per_s=1e9), Node(name="n1", flops_per_s=1e9))
    cluster = Cluster(name="pair", nodes=nodes, links=(Link(between=("n0", "n1")),))
    problem = problem_of(graph, cluster, profile_of(graph, {"n0": [1.0] * 4, "n1": [0.0] * 4}))
    assert _nodes(trusting(problem, 0), GanDefense()) == ["n0", "n1", "n1", "n0"]
    assert _nodes(trusting(problem, 0), GanDefense(last=0)) == ["n0", "n1", "n1", "n1"]
    assert _nodes(trusting(problem, 0), GanDefense(first=2, last=1)) == ["n0", "n0", "n1", "n0"]
    assert _nodes(trusting(problem, 1), GanDefense()) == ["n1"] * 4


def _nodes(problem: Problem, solver: object) -> list[str]:
    return [stage["node"] for stage in solve(problem, solver).stages() for _ in stage["operators"]]


def test_gan_defense_is_the_best_division_that_keeps_the_protected_units() -> None:
    for seed in range(40):
        problem = trusting(random_problem(seed, size=6, shape="dag"), 0)
        additive = sequential(problem)
        guarded = protected(additive.layout, 1, 1)
        best = min(
            additive.costs.value(places)
            for places in product((DEVICE, SERVER), repeat=len(additive.layout.units))
            if all(places[unit] == DEVICE for unit in guarded)
        )
        assert solve(problem, GanDefense()).cost.sequential_s == pytest.approx(best, rel=1e-9)
