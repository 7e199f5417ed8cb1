"""Graphs of layers with branches: plans that cut inside blocks, bounds that add up layers, inputs read again."""

import random

import pytest
from problems import graph_of, problem_of, profile_of, random_cluster

from hocket.cluster import Cluster, Direction, Link, Node, read_toml
from hocket.cost import Objective, Problem, evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.graph import Graph
from hocket.language.config import PRESETS
from hocket.language.planning import language_problem
from hocket.solvers import ChainDp, Exhaustive, lower_bound, solve
from hocket.solvers.additive import Additive, additive_of
from hocket.solvers.bound import path_bound
from hocket.solvers.chain import Chain
from hocket.solvers.layout import Layout
from hocket.solvers.narrow import narrow_bound
from hocket.solvers.period import period_bound


def layers(rng: random.Random, count: int = 2) -> Graph:
    """An embedding, then layers of two branches and a sum that also reads what the layer reads."""
    edges: list[list[int]] = [[-1]]
    for _ in range(count):
        before = len(edges) - 1
        edges += [[before], [before], [before + 1, before + 2, before]]
    sizes = [rng.choice([64, 256, 1024]) for _ in edges]
    return graph_of(edges, sizes, weights=[rng.choice([1000, 40_000]) for _ in edges], kinds=["MatMul"] * len(edges))


def layered(seed: int, metric: str, *, limited: bool = False) -> Problem:
    rng = random.Random(f"{seed} {metric} {limited}")
    graph, cluster = layers(rng), random_cluster(rng, 2 + seed % 2, limited=limited)
    slowness = {node.name: rng.choice([1.0, 1.5, 4.0]) for node in cluster.nodes}
    work = [rng.choice([1e-4, 1e-3, 4e-3]) for _ in graph.operators]
    seconds = {name: [w * slow for w in work] for name, slow in slowness.items()}
    return problem_of(graph, cluster, profile_of(graph, seconds, call_s=rng.choice([0.0, 2e-4])), metric)


def best_of(problem: Problem, over: str = "units") -> float | None:
    try:
        return evaluate(problem, Exhaustive(over=over)(problem).plan).value
    except InfeasibleError:
        return None


@pytest.mark.parametrize("limited", [False, True])
def test_cuts_inside_blocks_are_better_than_all_runs_of_blocks_and_never_too_good(limited: bool) -> None:
    better = checked = 0
    for seed in range(50):
        problem = layered(seed, "period", limited=limited)
        best, staged = best_of(problem), best_of(problem, "stages")
        try:
            found = ChainDp()(problem)
        except (InfeasibleError, RefusedError):
            continue
        cost = evaluate(problem, found.plan)
        assert cost.feasible
        assert found.over == "stages"
        assert best is not None and staged is not None
        assert found.bound is not None and found.bound <= best * (1 + 1e-9)
        assert best * (1 - 1e-9) <= cost.value <= staged * (1 + 1e-9)
        assert evaluate(problem, ChainDp(inside=False)(problem).plan).value == pytest.approx(staged)
        checked += 1
        better += cost.value < staged * (1 - 1e-9)
    assert checked >= 30
    assert better >= 12


@pytest.mark.parametrize("limited", [False, True])
def test_no_plan_beats_the_bound_of_layers(limited: bool) -> None:
    stronger = closes = checked = 0
    for seed in range(80):
        problem = layered(seed, "latency", limited=limited)
        best = best_of(problem)
        if best is None:
            continue
        layout = Layout(problem, problem.task)
        additive = Additive(layout, {"sequential": 1.0})
        bound = narrow_bound(additive)
        other = max(path_bound(additive, calls=True), period_bound(layout))
        assert bound <= best * (1 + 1e-9), seed
        assert lower_bound(problem) == pytest.approx(max(bound, other))
        checked += 1
        stronger += bound > other * (1 + 1e-9)
        closes += bound >= best * (1 - 1e-9) > other
    assert checked >= 60
    assert stronger >= 15
    assert closes >= (4 if limited else 10)


def test_layers_by_hand() -> None:
    """Two branches of 1 s and 2 s on one node take 3 s; on two equal ones 2 s, but a way takes 4 s."""
    graph = graph_of([[-1], [0], [0], [1, 2]], [1, 1, 1, 1], inputs=(1,), kinds=["MatMul"] * 4)
    way = Direction(bytes_per_s=1e9)
    nodes = (Node(name="a", flops_per_s=1e9), Node(name="b", flops_per_s=1e9))
    seconds = [0.0, 1.0, 2.0, 0.0]
    profile = profile_of(graph, {"a": seconds, "b": seconds})
    for latency_s, least_s in ((4.0, 3.0), (0.25, 2.0)):
        cluster = Cluster(
            name="two", nodes=nodes, links=(Link(between=("a", "b"), up=way, down=way, latency_s=latency_s),)
        )
        problem = problem_of(graph, cluster, profile, "latency")
        bound = narrow_bound(additive_of(problem))
        assert bound == pytest.approx(least_s)
        assert best_of(problem) == pytest.approx(least_s)


def again(sizes: list[int], *, reader: int, weights: list[int] | None = None) -> Graph:
    """A chain one operator of which reads the input again."""
    edges = [[i - 1] for i in range(len(sizes))]
    edges[reader] = [reader - 1, -1]
    return graph_of(edges, sizes, inputs=(256,), weights=weights, kinds=["MatMul"] * len(sizes))


def test_blocks_up_to_the_last_that_reads_an_input_are_one() -> None:
    graph, cluster = again([64] * 6, reader=2), random_cluster(random.Random(1), 2)
    seconds = dict.fromkeys(("n0", "n1"), [1e-3] * 6)
    found = Chain(additive_of(problem_of(graph, cluster, profile_of(graph, seconds))))
    assert [block.operators for block in found.blocks] == [(0, 1, 2), (3,), (4,), (5,)]
    assert (found.blocks[0].inputs, found.blocks[0].outputs) == (("x0",), ("t2",))
    assert found.untidy is None
    late = again([64] * 6, reader=4)
    whole = Chain(additive_of(problem_of(late, cluster, profile_of(late, seconds))))
    assert len(whole.blocks) == 6
    assert "'x0' is read in several blocks" in str(whole.untidy)


@pytest.mark.parametrize("metric", ["sequential", "latency", "period", "energy"])
def test_an_input_that_is_read_again_leaves_the_proof(metric: str) -> None:
    for seed in range(30):
        rng = random.Random(f"{seed} {metric}")
        graph = again([rng.choice([16, 64, 1024]) for _ in range(6)], reader=1 + seed % 2, weights=[20_000] * 6)
        cluster = random_cluster(rng, 2 + seed % 2, limited=seed % 3 == 0)
        seconds = {node.name: [rng.choice([1e-4, 1e-3, 4e-3]) for _ in range(6)] for node in cluster.nodes}
        problem = problem_of(graph, cluster, profile_of(graph, seconds), metric)
        try:
            found = ChainDp()(problem)
        except (InfeasibleError, RefusedError):
            continue
        value, best = evaluate(problem, found.plan).value, best_of(problem, found.over)
        assert best is not None
        assert value <= best * (1 + 1e-9)
        assert value >= (best_of(problem) or 0.0) * (1 - 1e-9)
        assert metric == "period" or value == pytest.approx(best)


HOME = """
format = "hocket.cluster/1"
[[node]]
name = "phone"
speed = "2 MFLOP/s"
[[node]]
name = "edge"
speed = "40 MFLOP/s"
memory = "{room} kB"
[[link]]
between = ["phone", "edge"]
rate = "40 Mbit/s"
latency = "1 ms"
"""


@pytest.mark.parametrize(("metric", "room"), [("latency", 1000), ("latency", 70), ("sequential", 1000), ("period", 70)])
def test_a_decoder_with_learned_positions_is_a_chain(metric: str, room: int) -> None:
    config = PRESETS["tiny_gpt2"].replace(layers=2)
    cluster = read_toml(HOME.format(room=room))
    problem = language_problem(config, cluster, capacity=16, objective=Objective(metric=metric))
    solution = solve(problem, "chain_dp")
    best = best_of(problem, solution.optimal_over)
    assert solution.optimal_over in ("blocks", "stages")
    assert best is not None
    assert solution.cost.value <= best * (1 + 1e-9)
    assert metric == "period" or solution.cost.value == pytest.approx(best)
    assert {stage["node"] for stage in solution.stages()} == ({"phone", "edge"} if room == 70 else {"edge"})
    assert solution.gap is not None


def test_a_large_model_on_unlike_devices_comes_close_to_the_bound() -> None:
    """Forty layers on six devices: runs of whole blocks leave 3 % and more."""
    rooms, speeds = (8, 10, 10, 12, 16, 64), (100, 130, 150, 250, 300, 600)
    nodes = "".join(
        f'[[node]]\nname = "n{i}"\nspeed = "{speed} GFLOP/s"\nmemory = "{room} GB"\n'
        for i, (room, speed) in enumerate(zip(rooms, speeds, strict=True))
    )
    links = "".join(f'[[link]]\nbetween = ["n{a}", "n{b}"]\nrate = "10 Gbit/s"\n' for a in range(6) for b in range(a))
    config = PRESETS["llama2_70b"].replace(precision="int4", layers=40)
    cluster = read_toml(f'format = "hocket.cluster/1"\n{nodes}{links}')
    problem = language_problem(config, cluster, capacity=256, objective=Objective(metric="period"))
    coarse, fine = solve(problem, ChainDp(inside=False)), solve(problem, "chain_dp")
    assert coarse.gap is not None and fine.gap is not None
    assert fine.gap <= 0.01
    assert coarse.gap > 0.03
    assert fine.notes["cuts"] == "inside blocks too"
