"""Methods that scan cuts: each minimises its own sum, with its own stop rule and candidates."""

import random

import numpy as np
import pytest
from problems import chain, graph_of, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError
from hocket.solvers import LinearScan, solve
from hocket.solvers.cuts.dnnsplit import DnnSplit, candidates
from hocket.solvers.cuts.edgent import Edgent
from hocket.solvers.cuts.loadpart import LoadPart, influence
from hocket.solvers.cuts.neurosurgeon import Neurosurgeon
from hocket.solvers.cuts.scan import cut_table, sequential, tables_of
from hocket.solvers.layout import Layout


def pair(up: float = 1e6, down: float = 1e6, **device: float) -> Cluster:
    """A device and a server that draws much power, joined by one link."""
    nodes = (Node(name="device", flops_per_s=1e9, **device), Node(name="server", flops_per_s=1e10, compute_w=1000.0))
    link = Link(between=("device", "server"), up=Direction(bytes_per_s=up), down=Direction(bytes_per_s=down))
    return Cluster(name="pair", nodes=nodes, links=(link,))


def large_answer(metric: str = "sequential", **device: float) -> Problem:
    """Two layers of 1 s on the device and 10 ms on the server; 1 kB in, 4 bytes between, 4 MB out."""
    graph = chain([1, 1_000_000], first=256)
    return problem_of(graph, pair(**device), profile_of(graph, {"device": [1.0, 1.0], "server": [0.01, 0.01]}), metric)


def nodes_of(problem: Problem, solver: object) -> list[str]:
    return [stage["node"] for stage in solve(problem, solver).stages()]


def test_every_table_adds_up_to_what_the_judge_says() -> None:
    for seed in range(40):
        problem = random_problem(seed, nodes=3, spread=True, packed=seed % 2 == 0)
        additive = sequential(problem)
        for points in ("units", "blocks"):
            table = cut_table(additive, 0, 1, points)
            for cut, total in enumerate(table.total_s()):
                assert total == pytest.approx(evaluate(problem, table.plan(cut)).sequential_s, rel=1e-9, abs=1e-15)


def test_neurosurgeon_does_not_see_the_way_back() -> None:
    """By its sum all on the server takes 1 ms of input and 20 ms; the 4 s of the answer are not in it."""
    problem = large_answer()
    assert nodes_of(problem, Neurosurgeon()) == ["server"]
    assert Neurosurgeon()(problem).notes["own_value"] == "0.021024"
    assert nodes_of(problem, LinearScan()) == ["device"]


def test_neurosurgeon_multiplies_the_time_of_the_server_by_its_load() -> None:
    problem = large_answer()
    # All on the server: 0.001024 + 0.02 K; cut in the middle: 1.000004 + 0.01 K; all on the device: 2.
    assert nodes_of(problem, Neurosurgeon(load=99.0)) == ["server"]
    assert nodes_of(problem, Neurosurgeon(load=99.95)) == ["device", "server"]
    assert nodes_of(problem, Neurosurgeon(load=100.1)) == ["device"]


def test_neurosurgeon_counts_the_energy_of_the_device_alone() -> None:
    """The server's 1000 W do not matter to it, the judge sees them; the radio's 1.5 W for 1 ms do."""
    problem = large_answer("energy", compute_w=2.0, transmit_w=1.5)
    assert nodes_of(problem, Neurosurgeon()) == ["server"]
    assert float(Neurosurgeon()(problem).notes["own_value"]) == pytest.approx(1024 / 1e6 * 1.5)
    assert nodes_of(problem, Neurosurgeon(mode="latency")) == ["server"]
    assert nodes_of(problem, LinearScan()) == ["device"]
    talkative = large_answer("energy", compute_w=2.0, transmit_w=1e6)
    assert nodes_of(talkative, Neurosurgeon()) == ["device"]


def test_edgent_gives_up_where_its_fastest_cut_is_late() -> None:
    problem = large_answer()
    late = problem.replace(tasks=(problem.task.replace(deadline_s=1.9),))
    with pytest.raises(InfeasibleError, match=r"C3: 'chain' is due after 1\.9 s, and its fastest cut takes 2 s"):
        Edgent()(late)
    assert nodes_of(problem.replace(tasks=(problem.task.replace(deadline_s=2.1),)), Edgent()) == ["device"]


def test_edgent_may_let_the_server_begin() -> None:
    """1 ms up, 10 ms on the server, 4 bytes down, 1 s on the device: no cut where the device begins is as fast."""
    problem = large_answer()
    assert nodes_of(problem, Edgent(server_first=True)) == ["server", "device"]
    assert float(Edgent(server_first=True)(problem).notes["own_value"]) == pytest.approx(1.011028)


def test_loadpart_cuts_at_single_tensors_only() -> None:
    """Two branches from a large tensor to small ones: the best cut is inside, behind both, where two tensors pass."""
    graph = graph_of([[-1], [0], [0], [1, 2], [3]], [5000, 1, 1, 5000, 1], inputs=(5000,))
    seconds = {"device": [0.001, 0.001, 0.001, 1.0, 1.0], "server": [0.001] * 5}
    problem = problem_of(graph, pair(up=1e5), profile_of(graph, seconds))
    inside = solve(problem, LinearScan())
    assert [stage["operators"] for stage in inside.stages()][-1] == ["t3", "t4"]
    coarse = solve(problem, LoadPart())
    table = tables_of(problem, "blocks")[0]
    assert table.borders == (0, 1, 4, 5)
    assert coarse.cost.sequential_s == pytest.approx(float(table.total_s().min()))
    assert coarse.cost.sequential_s > inside.cost.sequential_s


def test_loadpart_moves_its_cut_to_the_device_as_the_server_gets_busy() -> None:
    graph = chain([4096, 256, 1], first=8192)
    seconds = {"device": [0.05, 0.05, 0.05], "server": [0.005, 0.005, 0.005]}
    problem = problem_of(graph, pair(), profile_of(graph, seconds))
    done = [sum(node == "device" for node in _by_operator(problem, load)) for load in (1.0, 7.0, 9.9, 15.0)]
    assert done == sorted(done)
    assert done[0] < done[1] < done[-1] == 3
    assert influence([0.2, 0.4], [0.1, 0.1]) == pytest.approx(3.0)


def _by_operator(problem: Problem, load: float) -> list[str]:
    stages = solve(problem, LoadPart(load=load)).stages()
    return [stage["node"] for stage in stages for _ in stage["operators"]]


def tiers(seed: int, sizes: list[int]) -> Problem:
    """Three tiers, each faster and cheaper than the one before."""
    rng = random.Random(seed)
    graph = chain([*sizes[1:], 1], first=sizes[0])
    device = [rng.uniform(1e-4, 1e-2) for _ in sizes]
    edge = [seconds * rng.uniform(0.2, 1.0) for seconds in device]
    cloud = [seconds * rng.uniform(0.2, 1.0) for seconds in edge]
    nodes = tuple(
        Node(name=name, flops_per_s=1e9, compute_price_per_s=price)
        for name, price in (("device", 3e-4), ("edge", 2e-4), ("cloud", 1e-4))
    )
    links = tuple(
        Link(between=ends, up=Direction(bytes_per_s=10 ** rng.uniform(5, 7)), down=Direction(bytes_per_s=1e7))
        for ends in (("device", "edge"), ("edge", "cloud"))
    )
    cluster = Cluster(name="tiers", nodes=nodes, links=links)
    return problem_of(graph, cluster, profile_of(graph, {"device": device, "edge": edge, "cloud": cloud}))


@pytest.mark.parametrize("aim", ["latency", "price"])
def test_dnnsplit_loses_nothing_by_its_filter(aim: str) -> None:
    fewer = 0
    for seed in range(40):
        rng = random.Random(seed)
        problem = tiers(seed, [rng.randrange(2, 4000) for _ in range(7)])
        filtered, full = (DnnSplit(aim=aim, filter=on)(problem) for on in (True, False))
        assert float(filtered.notes["own_value"]) == pytest.approx(float(full.notes["own_value"]), rel=1e-9)
        fewer += len(candidates(Layout(problem, problem.task))) < 8
    assert fewer > 30


def test_dnnsplit_tries_strict_prefix_minima_and_the_end() -> None:
    problem = tiers(0, [100, 400, 100, 50, 50, 20, 60])
    assert candidates(Layout(problem, problem.task)) == (0, 3, 5, 7)


def test_dnnsplit_takes_tiers_by_name() -> None:
    problem = tiers(0, [100, 400, 100, 50, 50, 20, 60])
    assert "edge" not in nodes_of(problem, DnnSplit(tiers="cloud"))
    assert DnnSplit(tiers="edge, cloud,")(problem).plan == DnnSplit(tiers="edge,cloud")(problem).plan
    assert DnnSplit(tiers="edge, moon").refuses(problem) == (
        "a tier is another node that can compute, and 'moon' is none"
    )


def test_dnnsplit_takes_what_is_best_in_both_and_trades_off_otherwise() -> None:
    """Rents of 10, 1 and 1000 for 1 s, 10 ms and 1 ms: the edge is cheapest, the cloud fastest."""
    graph = chain([1, 1], first=256)
    seconds = {"device": [1.0, 1.0], "edge": [0.05, 0.05], "cloud": [0.001, 0.001]}
    links = tuple(Link(between=("device", name), up=Direction(bytes_per_s=1e6)) for name in ("edge", "cloud"))

    def problem(cloud_rent: float) -> Problem:
        rents = {"device": 10.0, "edge": 1.0, "cloud": cloud_rent}
        nodes = tuple(Node(name=name, flops_per_s=1e9, compute_price_per_s=rent) for name, rent in rents.items())
        return problem_of(graph, Cluster(name="three", nodes=nodes, links=links), profile_of(graph, seconds))

    assert nodes_of(problem(1.0), DnnSplit(aim="both")) == ["cloud"]
    assert nodes_of(problem(3000.0), DnnSplit(aim="latency")) == ["cloud"]
    assert nodes_of(problem(3000.0), DnnSplit(aim="price")) == ["edge"]
    assert nodes_of(problem(3000.0), DnnSplit(aim="both")) == ["edge"]
    assert nodes_of(problem(100.0), DnnSplit(aim="both")) == ["cloud"]
    assert np.isclose(float(DnnSplit(aim="both")(problem(1.0)).notes["own_value"]), 2.0)
