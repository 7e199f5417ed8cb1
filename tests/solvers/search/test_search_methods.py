"""What is each search method's own: its operators, rates and rules, on hand cases; and the contract of all."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest
from problems import Cluster, Node, chain, graph_of, problem_of, profile_of, random_problem

from hocket.cluster import Direction, Link
from hocket.cost import Objective, Problem, evaluate
from hocket.solvers import Exhaustive, check_solver
from hocket.solvers.chain import Chain
from hocket.solvers.search import SOLVERS, AutodiceExplore, EosDnn, FanIiot, FeltinThroughput, Ga, Hcea, NaGa, Nsga2
from hocket.solvers.search.archimedes import Objects, transfer_factor
from hocket.solvers.search.feltin_throughput import _Search
from hocket.solvers.search.judge import Judge, Rank, Vector
from hocket.solvers.search.library import figures
from hocket.solvers.search.order_dp import best_split, runs_for
from hocket.solvers.search.placement_partition import PlacementPartition, neighbour
from hocket.solvers.search.uploading import upload_order
from hocket.solvers.search.vectors import Room, accepts, contiguous, edges_of, one_point, two_point
from hocket.solvers.stop import MaxIterations

METRICS = ("sequential", "latency", "period", "energy", "price")
HOSTS: Vector = np.array([0, 1, 2], dtype=np.int64)


def mixed(count: int = 8) -> list[Problem]:
    """A few problems of every metric, some with little memory, some over a relay."""
    return [
        random_problem(
            seed, METRICS[seed % 5], nodes=2 + seed % 2, size=4, limited=seed % 3 == 0, spread=seed % 4 == 0,
            packed=seed % 5 == 0, relay=seed % 7 == 1, call_s=2e-4 if seed % 4 == 1 else 0.0,
        )
        for seed in range(count)
    ]  # fmt: skip


def judge_of(problem: Problem) -> Judge:
    """A judge that never stops a search."""
    return Judge(NaGa(), problem, MaxIterations(10**6))


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_a_search_keeps_the_contract(solver: type) -> None:
    assert check_solver(solver(), mixed(), iterations=3) >= 5


@pytest.mark.parametrize("name", ["na_ga", "hcea"])
def test_searches_come_within_a_percent_of_the_best_of_short_chains(name: str) -> None:
    solver = next(solver for solver in SOLVERS if solver.name == name)
    for seed in range(4):
        problem = random_problem(seed, "latency", nodes=3, size=5, shape="chain")
        best = evaluate(problem, Exhaustive()(problem).plan).value
        found = evaluate(problem, solver()(problem, stop=MaxIterations(40)).plan).value
        assert found <= best * 1.01


def test_a_genetic_algorithm_does_not_take_a_small_space_for_exhausted() -> None:
    for seed in range(4):
        problem = random_problem(seed, "latency", nodes=3, size=5, shape="chain")
        assert Ga()(problem, stop=MaxIterations(20)).notes["generations"] == "21"


def test_debs_rule_puts_the_least_broken_first_and_values_second() -> None:
    ranks = [Rank(0.0, 2.0), Rank(0.5, 0.0), Rank(0.0, 1.0), Rank(0.1, 9.0)]
    assert sorted(ranks) == [Rank(0.0, 1.0), Rank(0.0, 2.0), Rank(0.1, 9.0), Rank(0.5, 0.0)]


def test_annealing_accepts_a_loss_with_its_exponential() -> None:
    rng = np.random.default_rng(0)
    taken = sum(accepts(rng, Rank(0, 1.0), Rank(0, 1.2), 0.2) for _ in range(4000))
    assert taken / 4000 == pytest.approx(np.exp(-1), abs=0.03)
    assert accepts(rng, Rank(0, 1.0), Rank(0, 1.0), 1e-9)
    assert not accepts(rng, Rank(0, 1.0), Rank(0, 1.1), 1e-9)
    assert not any(accepts(rng, Rank(0, 1.0), Rank(np.inf, np.inf), 10.0) for _ in range(50))


def test_na_ga_begins_with_divisions_that_fit() -> None:
    graph = chain([1] * 6, weights=[1000] * 6)
    nodes = tuple(Node(name=f"n{i}", flops_per_s=1e9, memory_bytes=3500) for i in range(3))
    links = tuple(Link(between=(a, b)) for a, b in (("n0", "n1"), ("n0", "n2"), ("n1", "n2")))
    cluster = Cluster(name="c", nodes=nodes, links=links)
    problem = problem_of(graph, cluster, profile_of(graph, {f"n{i}": [1.0] * 6 for i in range(3)}))
    judge = judge_of(problem)
    room, rng = Room(judge.layout), np.random.default_rng(1)
    aware = NaGa().beginning(rng, judge.hosts, 6, room)
    basic = NaGa(feasibility_aware=False).beginning(rng, judge.hosts, 6, room)
    assert all(room.fits(vector) for vector in aware)
    assert not all(room.fits(vector) for vector in basic)
    full = np.zeros(6, dtype=np.int64)
    repaired = room.repaired(full)
    assert not room.fits(full)
    assert room.fits(repaired)
    assert (repaired == 0).sum() == 3


def test_a_random_division_has_each_device_in_one_piece() -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        pieces = [int(vector[start]) for vector in [contiguous(rng, HOSTS, 7)] for start in edges_of(vector)[:-1]]
        assert len(pieces) == len(set(pieces))


def test_na_ga_moves_a_border_or_a_piece_and_nothing_else() -> None:
    rng, vector = np.random.default_rng(3), np.array([0, 0, 1, 1, 1, 2])
    moved = {tuple(NaGa().mutated(rng, vector, HOSTS).tolist()) for _ in range(300)}
    borders = {(0, 0, 0, 1, 1, 2), (0, 1, 1, 1, 1, 2), (0, 0, 1, 1, 2, 2), (0, 0, 1, 1, 1, 1)}
    pieces = {
        tuple(host if start <= at < stop else int(node) for at, node in enumerate(vector))
        for start, stop in pairwise(edges_of(vector))
        for host in range(3)
    }
    assert moved == borders | pieces


def test_na_ga_ends_when_the_best_stays() -> None:
    problem = random_problem(1, nodes=3, size=4)
    notes = NaGa(patience=3, generations=10_000)(problem).notes
    assert int(notes["generations"]) < 100


def test_children_of_one_point_exchange_what_is_behind_it() -> None:
    rng, a, b = np.random.default_rng(4), np.zeros(5, dtype=np.int64), np.ones(5, dtype=np.int64)
    for _ in range(20):
        first, second = one_point(rng, a, b)
        assert first.tolist() == sorted(first.tolist())
        assert (first + second == 1).all()
        assert 1 <= first.sum() <= 4


def test_pso_ga_takes_one_stretch_of_the_remembered_best() -> None:
    rng, a, b = np.random.default_rng(5), np.zeros(6, dtype=np.int64), np.ones(6, dtype=np.int64)
    for _ in range(30):
        child = two_point(rng, a, b)
        assert child.sum() >= 1
        assert np.abs(np.diff(child)).sum() <= 2


def test_pso_ga_mutates_more_the_farther_it_is_from_the_best() -> None:
    swarm = EosDnn()
    assert [round(swarm.rates(distance, 0.0)[0], 3) for distance in (0.0, 0.5, 1.0)] == [0.4, 0.712, 0.9]
    assert swarm.rates(0.0, 0.5)[1:] == pytest.approx((0.55, 0.65))


def test_a_particle_without_mutation_only_mixes_what_is_known() -> None:
    swarm, rng = EosDnn(inertia=(0.0, 0.0), own=(1.0, 1.0), common=(1.0, 1.0)), np.random.default_rng(6)
    start, own, common = (np.full(8, host, dtype=np.int64) for host in range(3))
    for _ in range(20):
        moved = swarm.moved(rng, start, own, common, np.array([0, 1, 2, 7]), 0.5)
        assert set(moved.tolist()) <= {0, 1, 2}
        assert 2 in moved


def upload_problem(sizes: list[int], seconds: list[float], weights: list[int]) -> Problem:
    """A slow source and a server ten times as fast, a megabyte per second between them."""
    graph = chain(sizes, weights=weights, first=1)
    nodes = (Node(name="d", flops_per_s=1e9), Node(name="s", flops_per_s=1e9))
    way = Direction(bytes_per_s=1e6)
    cluster = Cluster(name="c", nodes=nodes, links=(Link(between=("d", "s"), up=way, down=way),))
    return problem_of(graph, cluster, profile_of(graph, {"d": seconds, "s": [s / 10 for s in seconds]}))


def test_what_saves_most_per_byte_is_sent_first() -> None:
    problem = upload_problem([1, 1, 1], [1.0, 4.0, 2.0], [100, 4000, 100])
    # Per byte layer 2 saves 18 ms, layer 0 saves 9 ms and layer 1 under 1 ms; tensors of 4 bytes cost nothing.
    assert upload_order(problem, [1, 1, 1]) == ("w2", "w0", "w1")


def test_neighbours_that_save_more_together_are_sent_together() -> None:
    # The tensor between layers 0 and 1 takes 40 s, so that neither helps alone; both together save 1.8 s.
    problem = upload_problem([10**7, 1, 1], [1.0, 1.0, 1.0], [100, 100, 10_000])
    assert upload_order(problem, [1, 1, 1]) == ("w0", "w1", "w2")


def test_eosdnn_names_all_weights_that_leave_the_source() -> None:
    problem = random_problem(5, "latency", nodes=3, size=5)
    plan = EosDnn()(problem, stop=MaxIterations(5)).plan
    places = {run.operators: run.on for run in plan.entries[0].where}
    assert set(plan.entries[0].loads) <= set(problem.task.graph.weights)
    assert (
        bool(plan.entries[0].loads) == any(node != problem.task.source for node in places.values())
        or not problem.task.graph.weights
    )


def test_archimedes_explores_until_31_percent_are_over() -> None:
    assert transfer_factor(0.306) <= 0.5 < transfer_factor(0.308)
    objects = Objects.random(np.random.default_rng(0), 6, 4)
    best = objects.at[2].copy()
    still = objects.moved(np.random.default_rng(1), 2, 1.0)  # the density factor is 0 in the end
    assert np.allclose(still, best)


def dvfs_problem(deadline_s: float) -> Problem:
    """One node that may run at 1 to 2 GHz; at 2 GHz it takes 1 s and 8 J, at 1 GHz 2 s and 2 J."""
    graph = chain([1], first=1)
    node = Node(name="a", flops_per_s=1e9, kappa=1e-27, frequency_hz=(1e9, 2e9))
    cluster = Cluster(name="c", nodes=(node,))
    profile = profile_of(graph, {"a": [1.0]})
    return problem_of(graph, cluster, profile, "energy", task={"deadline_s": deadline_s})


@pytest.mark.parametrize(("deadline_s", "joules"), [(1.0, 8.0), (1.3, 8.0 * 0.8**2), (2.0, 2.0)])
def test_hcea_slows_a_node_down_as_far_as_the_deadline_allows(deadline_s: float, joules: float) -> None:
    problem = dvfs_problem(deadline_s)
    cost = evaluate(problem, Hcea()(problem).plan)
    assert cost.feasible
    assert cost.energy_j == pytest.approx(joules)
    assert evaluate(problem, Hcea(levels=0)(problem).plan).energy_j == pytest.approx(8.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_front_of_nsga2_is_the_front_of_all_plans(seed: int) -> None:
    problem = random_problem(seed, "energy", nodes=2, size=4, limited=True)
    metrics = ("memory", "energy", "period")
    found = AutodiceExplore().front(problem, stop=MaxIterations(30))
    judge = judge_of(problem)
    costs = [judge.cost(np.array(v)) for v in product(judge.layout.hosts, repeat=judge.size)]
    rows = {figures(cost, metrics) for cost in costs if cost and cost.feasible}
    front = {row for row in rows if not any(other != row and all(np.less_equal(other, row)) for other in rows)}
    assert {row for row, _ in found} == front


def test_nsga2_proposes_the_point_of_the_front_that_the_objective_likes() -> None:
    problem = random_problem(3, "energy", nodes=2, size=4)
    judge = judge_of(problem)
    points = Nsga2().front(Judge(Nsga2(), problem, MaxIterations(20)))
    value = evaluate(problem, Nsga2()(problem, stop=MaxIterations(20)).plan).value
    assert value == min(judge.rank(vector).value for _, vector in points)


@pytest.mark.parametrize("aim", ["sum", "period"])
def test_the_cuts_of_an_order_are_the_best_of_all_cuts(aim: str) -> None:
    for seed in range(6):
        problem = random_problem(seed, "sequential", nodes=3, size=6, shape="chain")
        view = Chain(judge_of(problem).additive)
        runs = runs_for(view, aim, np.zeros(3), 3)
        for order in permutations(range(3)):
            found = best_split(runs, order, aim)
            assert found is not None
            assert [stage.host for stage in found[1]] == list(order)
            values = []
            for first in range(1, runs.length - 1):
                for second in range(first + 1, runs.length):
                    edges = [0, first, second, runs.length]
                    work = [float(runs.before[b, h] - runs.before[a, h])
                            for h, (a, b) in zip(order, pairwise(edges), strict=True)]  # fmt: skip
                    ways = [float(runs.steps[first, order[0], order[1]]), float(runs.steps[second, order[1], order[2]])]
                    ends = [float(runs.enter[order[0]]), float(runs.leave[order[2]])]
                    values.append(sum(work + ways + ends) if aim == "sum" else max(work + ways + ends))
            assert found[0] == pytest.approx(min(values))


def test_a_neighbour_changes_one_thing_about_an_order_of_devices() -> None:
    rng = np.random.default_rng(0)
    seen = {neighbour(rng, (0, 1), 3, 3) for _ in range(200)}
    assert seen == {(1,), (0,), (2, 1), (0, 2), (1, 0), (2, 0, 1), (0, 2, 1), (0, 1, 2)}


def test_placement_partition_finds_the_best_order_of_devices() -> None:
    for seed in range(5):
        problem = random_problem(seed, "sequential", nodes=3, size=5, shape="chain")
        oracle = Exhaustive(over="stages")
        best = evaluate(problem, oracle(problem).plan).value
        assert evaluate(problem, PlacementPartition()(problem).plan).value <= best * (1 + 1e-9)


def test_branch_and_bound_of_the_throughput_loses_nothing_and_skips_much() -> None:
    for seed in range(5):
        problem = random_problem(seed, "period", nodes=3, size=6, shape="chain")
        judge = Judge(FeltinThroughput(), problem, MaxIterations(10**6))
        search = _Search(judge)
        search.run()
        size = len(search.chain.blocks)
        assert search.finished
        everything = [search._period(list(hosts)) for hosts in product(range(3), repeat=size)]
        assert search.period_s == pytest.approx(min(everything))
        assert judge.judgements < 3**size


def test_branch_and_bound_never_bounds_too_high() -> None:
    problem = random_problem(2, "period", nodes=3, size=5, shape="chain")
    search = _Search(Judge(FeltinThroughput(), problem, MaxIterations(10**6)))
    size = len(search.chain.blocks)
    for hosts in product(range(3), repeat=size):
        loads, ways = np.zeros(3), {}
        for block, host in enumerate(hosts):
            loads, ways = search._with(list(hosts[:block]), loads, ways, host)
            assert search.bound(block + 1, loads, ways) <= search._period(list(hosts)) * (1 + 1e-12)


def shared_problem(**memory: int) -> Problem:
    """Two tasks, a quick and a slow node, models of 1 kB; `memory` of each node."""
    nodes = tuple(Node(name=n, flops_per_s=1e9, memory_bytes=memory.get(n)) for n in ("a", "b"))
    cluster = Cluster(name="c", nodes=nodes, links=(Link(between=("a", "b")),))
    tasks = []
    for name, slow in (("t", 1.0), ("u", 5.0)):
        graph = graph_of([[-1]], [1], inputs=(1,), weights=[1000], name=name)
        one = problem_of(graph, cluster, profile_of(graph, {"a": [slow], "b": [0.1]}), "latency",
                         task={"rate_per_s": 0.1})  # fmt: skip
        tasks.append(one.tasks[0])
    return Problem(tasks=tuple(tasks), cluster=cluster, objective=Objective(metric="latency"))


def nodes_of(problem: Problem) -> dict[str, object]:
    plan = FanIiot()(problem).plan
    return {entry.task: entry.where[0].on for entry in plan.entries}


def test_fan_iiot_gives_a_full_node_to_the_model_that_gains_most_there() -> None:
    assert nodes_of(shared_problem()) == {"t": "b", "u": "b"}
    assert nodes_of(shared_problem(b=1500)) == {"t": "a", "u": "b"}


def test_fan_iiot_shares_a_node_by_square_roots() -> None:
    plan = FanIiot()(shared_problem()).plan
    shares = {entry.task: entry.shares for entry in plan.entries}
    assert shares == {"t": {"b": 0.5}, "u": {"b": 0.5}}
