"""D3: tiers for each unit, and tiles at the edge."""

from itertools import combinations

from graphs import zoo_model
from problems import chain, graph_of, problem_of, profile_of
from split_problems import split_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import problem_for
from hocket.plan import Split
from hocket.plan.placement import positions
from hocket.solvers.layout import Layout
from hocket.solvers.tiles.d3_vsm import D3Vsm, hpa


def tiers(*bytes_per_s: float) -> Cluster:
    """Device, edge and cloud; rates device - edge, edge - cloud, device - cloud."""
    pairs = [("device", "edge"), ("edge", "cloud"), ("device", "cloud")]
    links = tuple(
        Link(between=pair, up=Direction(bytes_per_s=rate), down=Direction(bytes_per_s=rate))
        for pair, rate in zip(pairs, bytes_per_s, strict=True)
    )
    return Cluster(
        name="tiers", nodes=tuple(Node(name=n, flops_per_s=1e9) for n in ("device", "edge", "cloud")), links=links
    )


def test_hpa_takes_the_best_tier_for_each_unit_alone() -> None:
    # The input has 4000 bytes, the tensors 4000, 400 and 4; a way of 4000 bytes to the edge takes 4 s.
    graph = chain([1000, 100, 1], first=1000)
    seconds = {"device": [3.0, 5.0, 5.0], "edge": [1.0, 0.5, 3.0], "cloud": [0.1, 0.1, 0.1]}
    problem = problem_of(graph, tiers(1000.0, 400.0, 100.0), profile_of(graph, seconds))
    # 3 against 4 + 1: device. 5 against 4 + 0.5: edge. 3 against 400 / 400 + 0.1: cloud.
    assert hpa(Layout(problem, problem.task), (0, 1, 2)) == [0, 1, 2]
    # One step ahead only: everything on the edge would be 4 + 1 + 0.5 + 3, and less than 3 + 4 + 0.5 + 1 + 0.1 if
    # the first unit took 4.5 s; the rule still keeps 4.5 < 4 + 1 on the device.
    seconds["device"][0] = 4.5
    problem = problem_of(graph, tiers(1000.0, 400.0, 100.0), profile_of(graph, seconds))
    assert hpa(Layout(problem, problem.task), (0, 1, 2))[0] == 0


def test_hpa_looks_at_siblings_again() -> None:
    # Both read the input of 4000 bytes (4 s to the edge). The first alone would stay (3 < 4 + 1), the second goes
    # (9 > 4 + 1), and then the first follows (3 > 1).
    graph = graph_of([[-1], [-1], [0, 1]], [1, 1, 1], inputs=(1000,))
    seconds = {"device": [3.0, 9.0, 0.1], "edge": [1.0, 1.0, 0.1], "cloud": [50.0, 50.0, 50.0]}
    problem = problem_of(graph, tiers(1000.0, 1000.0, 1000.0), profile_of(graph, seconds))
    assert hpa(Layout(problem, problem.task), (0, 1, 2)) == [1, 1, 1]
    seconds["device"][1] = 4.5
    problem = problem_of(graph, tiers(1000.0, 1000.0, 1000.0), profile_of(graph, seconds))
    assert hpa(Layout(problem, problem.task), (0, 1, 2)) == [0, 0, 0]


def test_d3_never_goes_back_a_tier_and_tiles_what_the_edge_gets() -> None:
    for seed in range(10):
        problem = split_problem(seed, nodes=4)
        layout = Layout(problem, problem.task)
        found = hpa(layout, (problem.cluster.index[problem.task.source], 1, 2))
        for net in layout.nets:
            assert all(net.maker < 0 or found[reader] >= found[net.maker] for reader in net.readers)
    names = ["device", "e0", "e1", "e2", "e3", "cloud"]
    speeds = [1e6, 1e8, 1e8, 1e8, 1e8, 1e12]
    links = tuple(
        Link(
            between=(a, b),
            up=Direction(bytes_per_s=1e3 if b == "cloud" else 1e8),
            down=Direction(bytes_per_s=1e3 if b == "cloud" else 1e8),
        )
        for a, b in combinations(names, 2)
    )
    nodes = tuple(Node(name=name, flops_per_s=speed) for name, speed in zip(names, speeds, strict=True))
    problem = problem_for(zoo_model("toy_chain").graph, Cluster(name="edge", nodes=nodes, links=links))
    runs = D3Vsm()(problem).plan.entries[0].where
    grid = runs[0].on
    assert isinstance(grid, Split)
    assert positions(problem.task.graph, runs[0].operators)[-1] == 15  # all layers of maps, fused
    assert (grid.axis, grid.cuts) == (2, (2,))
    assert [(part.axis, part.cuts, part.parts) for part in grid.parts] == [
        (3, (2,), ("e0", "e1")),
        (3, (2,), ("e2", "e3")),
    ]
    assert (
        D3Vsm().refuses(split_problem(0, nodes=2))
        == "it divides over device, edge and cloud, and 2 nodes are two tiers"
    )
    assert D3Vsm(cloud="nobody").refuses(split_problem(0, nodes=3)) == (
        "the edge and the cloud are other nodes that can compute, and 'nobody' is none"
    )
