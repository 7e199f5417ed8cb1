"""Each method of sharing: the contract, and what only that method does."""

from itertools import product

import numpy as np
import pytest
from many_problems import class_of, many_to_many, many_to_one
from problems import chain, graph_of, problem_of, profile_of

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, evaluate
from hocket.errors import InfeasibleError
from hocket.solvers import check_solver
from hocket.solvers.layout import Layout
from hocket.solvers.sharing import SOLVERS
from hocket.solvers.sharing.alternate import alternate
from hocket.solvers.sharing.cut_and_share import CutAndShare, sum_of, users_of
from hocket.solvers.sharing.ddpra import Ddpra, sum_of_slot
from hocket.solvers.sharing.dual import offer_of, shares_for_sum, shares_in_time
from hocket.solvers.sharing.fan_edgecloud import by_roots, cloud_of, two_stages, ways_of
from hocket.solvers.sharing.iao import Iao, exchanged, latencies_s, speeds, spread, users_at
from hocket.solvers.sharing.jpdra import Jpdra, convex_shares, delay, deployment, markov, parts_of
from hocket.solvers.sharing.mjoa_mu import Layers, finish_s, layers_of, tree
from hocket.solvers.sharing.mv_jramp import equalised, jointly
from hocket.solvers.sharing.pra_sac import modules, partitions, takers
from hocket.solvers.sharing.users import Users, equal_shares, ratio


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
@pytest.mark.parametrize("many", [False, True])
def test_the_contract(solver: type, many: bool) -> None:
    problems = class_of(6, many=many)
    assert check_solver(solver(), problems, iterations=3) == 6


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: solver.name)
def test_shares_add_up_to_the_whole(solver: type) -> None:
    for seed in range(4):
        problem = many_to_one(seed, devices=4, cell=True, cores=4, gains=((2, 1.8), (4, 3.0)))
        plan = solver()(problem).plan
        cost = evaluate(problem, plan)
        assert cost.feasible
        used = [name for name in cost.busy_s if name.startswith("s0")]
        assert used != ["s0"] or sum("s0" in entry.shares for entry in plan.entries) == 0


def test_what_is_not_a_latency_is_refused() -> None:
    problem = many_to_one(0, metric="period")
    assert CutAndShare().refuses(problem) == "it makes latencies small, and the objective is period"
    alone = problem.replace(objective=Objective(), tasks=problem.tasks[:1])
    profile = alone.task.profile.replace(entries=alone.task.profile.entries[:1])
    lonely = alone.replace(tasks=(alone.task.replace(profile=profile),))
    assert Iao().refuses(lonely) == "no node that is no task's source can compute every task; give one a profile"


def all_choices(users: Users) -> list[tuple[int, ...]]:
    """Every way of every user."""
    return list(product(*(range(len(ways)) for ways in users.ways)))


@pytest.mark.parametrize("aggregate", ["sum", "mean", "max"])
@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_cut_and_share_is_between_its_bound_and_the_best_of_all_choices(seed: int, cell: bool, aggregate: str) -> None:
    problem = many_to_one(seed, devices=3, blocks=3, aggregate=aggregate, cell=cell, weights=True)
    proposal = CutAndShare()(problem)
    value, bound = evaluate(problem, proposal.plan).value, float(proposal.notes["bound_with_shares"])
    users = users_of(problem)
    offer = offer_of(users)
    if aggregate == "max":
        best = min(shares_in_time(offer, choice)[0] for choice in all_choices(users))
    else:
        best = min(sum_of(offer, choice) for choice in all_choices(users))
        best /= users.weights.sum() if aggregate == "mean" else 1.0
    assert bound <= best * (1 + 1e-6)
    assert value <= best * 1.02
    assert value >= best * (1 - 1e-6)
    if not cell and aggregate == "max":
        assert value == pytest.approx(best, rel=1e-6)  # one thing to share: exact


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_cut_and_share_has_a_small_gap_with_many_devices(aggregate: str) -> None:
    problem = many_to_one(1, devices=40, blocks=6, aggregate=aggregate, cell=True)
    assert float(CutAndShare()(problem).notes["gap_with_shares"]) <= 0.01


def test_shares_of_prices_are_those_of_the_closed_forms() -> None:
    users = users_of(many_to_one(3, devices=4, blocks=3, cell=True, weights=True))
    offer = offer_of(users)
    for choice in all_choices(users)[::37]:
        shares = shares_for_sum(offer, choice)
        assert shares == pytest.approx(by_roots(users, choice), abs=1e-9)
        assert (users.weights * users.latencies_s(choice, shares)).sum() == pytest.approx(sum_of(offer, choice))


@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_deadlines_move_shares(seed: int, cell: bool) -> None:
    """One user has to be faster than it would be: it is, and the others pay."""
    problem = many_to_one(seed, devices=3, blocks=3, aggregate="sum", cell=cell)
    free = CutAndShare()(problem)
    users = users_of(problem)
    took = np.array([cost.latency_s for cost in users.judge.costs(free.plan).values()])
    alone = (users.fixed + users.work.sum(axis=2)).min(axis=1)
    user = int((took / alone).argmax())
    due = float(took[user] + alone[user]) / 2
    tasks = tuple(task.replace(deadline_s=due if number == user else None) for number, task in enumerate(problem.tasks))
    tight = problem.replace(tasks=tasks)
    proposal = CutAndShare()(tight)
    cost = evaluate(tight, proposal.plan)
    assert cost.feasible
    assert cost.value >= evaluate(problem, free.plan).value * (1 - 1e-9)
    assert float(proposal.notes["bound_with_shares"]) <= cost.value


def test_a_deadline_that_no_share_meets_is_said() -> None:
    problem = many_to_one(2, devices=2, blocks=3, aggregate="sum")
    hopeless = problem.replace(tasks=tuple(task.replace(deadline_s=1e-9) for task in problem.tasks))
    with pytest.raises(InfeasibleError, match="whatever it shares; allow more time or use faster nodes"):
        CutAndShare()(hopeless)


@pytest.mark.parametrize("halving", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_iao_is_the_best_of_all_divisions_of_cores(seed: int, halving: bool) -> None:
    gains = ((2, 1.7), (3, 2.2), (5, 3.0))
    problem = many_to_one(seed, devices=3, blocks=3, aggregate="max", cores=5, gains=gains)
    node = problem.cluster.node["s0"]
    users = users_at(problem, "s0")
    table = latencies_s(users, equal_shares(users), users.things.index("s0"), speeds(node, 5))
    divisions = [split for split in product(range(6), repeat=3) if sum(split) == 5]
    best = min(max(table[user, units] for user, units in enumerate(split)) for split in divisions)
    held, _ = exchanged(table, spread(5, 3), halving=halving)
    assert max(table[user, units] for user, units in enumerate(held)) == best
    cost = evaluate(problem, Iao(halving=halving)(problem).plan)
    assert cost.value == pytest.approx(best)


def test_iao_goes_on_where_two_are_slowest() -> None:
    """One unit helps one of them only; the maximum falls after the second."""
    table = np.array([[9.0, 8.0, 1.0], [9.0, 8.0, 1.0], [2.0, 2.0, 2.0], [2.0, 2.0, 2.0]])
    held, moves = exchanged(table, [1, 1, 1, 1])
    assert (held, moves) == ([2, 2, 0, 0], 2)


def test_iao_in_large_steps_needs_fewer_moves() -> None:
    table = np.array([[100.0 / max(units, 0.1) for units in range(65)], [5.0] * 65])
    slow, fast = exchanged(table, [0, 64]), exchanged(table, [0, 64], halving=True)
    assert fast[1] < slow[1] / 3
    assert max(table[0, fast[0][0]], 5.0) == max(table[0, slow[0][0]], 5.0)


def test_views_end_together() -> None:
    """F5-b: all that use the server end at the time of the slowest."""
    users = users_at(many_to_one(5, devices=4, blocks=3, aggregate="max"), "s0")
    away = tuple(int(users.work[user, :, 0].argmax()) for user in range(4))
    shares = equalised(users, away, equal_shares(users))
    ends = users.latencies_s(away, shares)
    assert ends == pytest.approx(np.full(4, ends.max()), rel=1e-6)
    assert shares[:, 0].sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(6))
def test_alternating_methods_are_monotone_and_end_in_a_fixed_point(seed: int) -> None:
    users = users_at(many_to_one(seed, devices=4, blocks=4, cell=seed % 2 == 0), "s0")
    views = jointly(users)
    assert all(b < a for a, b in zip(views.values, views.values[1:], strict=False))
    fan = two_stages(users)
    assert all(b < a for a, b in zip(fan.values, fan.values[1:], strict=False))
    again = two_stages(users, least_gain=0.0)
    assert again.values[-1] <= fan.values[-1]


def test_alternation_drops_a_round_that_does_not_help() -> None:
    values = iter([3.0, 2.0, 2.5])
    course = alternate(
        [0],
        np.ones((1, 1)),
        cuts=lambda choice, _: [choice[0] + 1],
        divide=lambda _, shares: shares,
        value=lambda _, __: next(values),
    )
    assert (course.choice, course.values) == ((1,), (3.0, 2.0))


def test_fan_looks_at_pairs_of_cuts_over_edge_and_cloud() -> None:
    problem = many_to_many(0, devices=2, servers=2, blocks=3)
    cloud = cloud_of(problem)
    edge = next(name for name in ("s0", "s1") if name != cloud)
    ways = ways_of(problem, problem.tasks[0])
    assert ("d0", edge, cloud) in ways
    assert (cloud, edge, "d0") not in ways
    assert len(set(ways)) == 10  # pairs s1 <= s2 of 0..3


def test_fan_shares_by_square_roots() -> None:
    users = users_at(many_to_one(0, devices=2, blocks=3), "s0")
    away = tuple(int(users.work[user, :, 0].argmax()) for user in range(2))
    work = users.chosen(away)[1][:, 0]
    assert by_roots(users, away)[:, 0] == pytest.approx(np.sqrt(work) / np.sqrt(work).sum())


def tandem(seed: int) -> Users:
    """Two tasks, all away, one server."""
    problem = many_to_one(seed, devices=2, blocks=4, rates=True)
    return Users(problem, {task.name: [("s0",) * 4] for task in problem.tasks})


@pytest.mark.parametrize("seed", range(5))
def test_the_chain_comes_to_the_convex_optimum(seed: int) -> None:
    users = tandem(seed)
    exact = convex_shares(users)
    far = np.where(users.work[:, 0] > 0, np.array([[0.9], [0.1]]), 0.0)
    chained = markov(users, far, 100, 2000.0, 600, np.random.default_rng(seed))
    assert delay(users, far) > delay(users, exact)
    assert delay(users, exact) <= delay(users, chained) <= 1.01 * delay(users, exact)


def test_the_chain_takes_a_worse_step_with_the_probability_of_its_delay() -> None:
    """Its stationary distribution: with a small beta it walks away from the best, with a great one it stays."""
    users = tandem(1)
    start = convex_shares(users)
    best = markov(users, start, 100, 1e9, 200, np.random.default_rng(0))
    assert delay(users, best) <= delay(users, np.round(start, 2)) * (1 + 1e-9)


def test_no_single_move_of_a_partition_helps() -> None:
    problem = many_to_many(3, devices=2, servers=2, blocks=4, rates=True)
    parts = [parts_of(task, 2) for task in problem.tasks]
    assert parts[0] == [0, 0, 1, 1]
    deployed = deployment(problem, parts)
    assert all(len(set(way[:2])) == len(set(way[2:])) == 1 for way in deployed)
    notes = Jpdra(partitions=2)(problem).notes
    assert float(notes["delay_convex"]) <= float(notes["delay"]) * (1 + 1e-9)


@pytest.mark.parametrize("z", [(0.0, 0.0), (5.0, 0.0), (0.0, 5.0)])
def test_no_change_of_one_cut_makes_the_slot_better(z: tuple[float, float]) -> None:
    users = users_at(many_to_one(4, devices=3, blocks=3), "s0")
    choice = tuple(Ddpra(z_edge=z[0], z_cloud=z[1]).slot(users, "s0"))
    best = sum_of_slot(users, "s0", choice, by_roots(users, choice), v=1.0, z=z)
    for user in range(3):
        for way in range(len(users.ways[user])):
            other = (*choice[:user], way, *choice[user + 1 :])
            assert sum_of_slot(users, "s0", other, by_roots(users, other), v=1.0, z=z) >= best * (1 - 1e-9)


def test_a_backlog_of_energy_moves_work_to_the_other_side() -> None:
    users = users_at(many_to_one(4, devices=3, blocks=3), "s0")

    def at_cloud(solver: Ddpra) -> float:
        return float(users.chosen(solver.slot(users, "s0"))[1][:, users.things.index("s0")].sum())

    assert at_cloud(Ddpra(z_cloud=1e4)) == 0.0
    assert at_cloud(Ddpra(z_edge=1e4)) > 0.0


def test_weights_go_up_while_earlier_layers_compute() -> None:
    """By hand: the device computes 2 s, meanwhile 1.5 s of the second layer's weights are sent."""
    layers = Layers([2.0, 10.0], [0.1, 0.5], [5.0, 1.5], [4.0, 1.0, 0.5], [9.0, 9.0, 0.25])
    assert finish_s(layers, 0b10, 1.0, 1.0) == pytest.approx(2.0 + 1.0 + 0.5 + 0.25)
    assert finish_s(layers, 0b00, 1.0, 1.0) == 12.0
    # All away: the input goes first (4 s), both layers' weights after it, one layer computes meanwhile.
    assert finish_s(layers, 0b11, 1.0, 1.0) == pytest.approx(4.0 + 5.0 + 1.5 + 0.5 + 0.25)
    assert tree(layers, 1.0, 1.0, 64) == 0b10


def test_a_feature_goes_before_weights_that_are_under_way() -> None:
    layers = Layers([2.0, 10.0], [0.1, 0.5], [5.0, 3.0], [4.0, 1.0, 0.5], [9.0, 9.0, 0.25])
    # Weights from 0 to 3, but the feature takes the uplink from 2 to 3: they are there at 4.
    assert finish_s(layers, 0b10, 1.0, 1.0) == pytest.approx(4.0 + 0.5 + 0.25)


@pytest.mark.parametrize("seed", range(20))
def test_the_pruned_tree_finds_the_best_path(seed: int) -> None:
    generator = np.random.default_rng(seed)
    size = 6
    layers = Layers(*(generator.uniform(0.1, 2, n).tolist() for n in (size, size, size, size + 1, size + 1)))
    best = min(finish_s(layers, path, 0.5, 0.5) for path in range(2**size))
    assert finish_s(layers, tree(layers, 0.5, 0.5, 10_000), 0.5, 0.5) == pytest.approx(best)


def test_weights_that_are_sent_keep_small_models_at_home() -> None:
    """The server is fast and everything would go there, were the weights installed."""
    graph = chain([10, 10], weights=[10**6, 10**6], first=10)
    link = Link(between=("d", "s"), up=Direction(bytes_per_s=1e6), down=Direction(bytes_per_s=1e6))
    cluster = Cluster(
        name="two", nodes=(Node(name="d", flops_per_s=1e9), Node(name="s", flops_per_s=1e9)), links=(link,)
    )
    problem = problem_of(graph, cluster, profile_of(graph, {"d": [0.2, 0.2], "s": [0.01, 0.01]}), "latency")
    layers = layers_of(problem, problem.task, "s")
    assert layers is not None
    assert tree(layers, 1.0, 1.0, 64) == 0
    assert tree(layers._replace(weights_s=[0.0, 0.0]), 1.0, 1.0, 64) == 0b11


def test_modules_end_at_branches_and_merges() -> None:
    graph = graph_of([[-1], [0], [1], [1], [2, 3], [4]], [8] * 6)
    cluster = Cluster(name="one", nodes=(Node(name="d", flops_per_s=1e9),))
    problem = problem_of(graph, cluster, profile_of(graph, {"d": [1.0] * 6}), "latency")
    assert modules(Layout(problem, problem.task)) == [[0, 1], [2], [3], [4, 5]]


def test_a_partition_ends_where_one_device_fewer_could_take_more() -> None:
    """Three devices hold 3000, 2000 and 1000 bytes; each layer has 800."""
    graph = chain([8] * 4, weights=[800] * 4)
    nodes = tuple(Node(name=f"d{i}", flops_per_s=1e9, memory_bytes=room) for i, room in enumerate((3000, 2000, 1000)))
    problem = problem_of(
        graph, Cluster(name="c", nodes=nodes), profile_of(graph, {n.name: [1.0] * 4 for n in nodes}), "latency"
    )
    layout = Layout(problem, problem.task)
    assert [takers(layout, list(range(size)), 10.0) for size in (1, 2, 3, 4)] == [3, 2, 1, 0]
    assert partitions(problem, problem.task, 10.0) == [0, 1, 2, 3]
    roomy = problem.replace(cluster=Cluster(name="c", nodes=tuple(n.replace(memory_bytes=2000) for n in nodes)))
    assert partitions(roomy, roomy.task, 10.0) == [0, 0, 1, 1]
    assert partitions(roomy, roomy.task, 1.0) == [0, 1, 2, 3]  # the time limit counts too


def test_the_sum_over_users_is_what_the_judge_finds() -> None:
    problem: Problem = many_to_one(6, devices=3, blocks=4, cell=True)
    users = users_of(problem)
    for choice in all_choices(users)[::17]:
        shares = by_roots(users, choice)
        found = users.judge.costs(users.plan(choice, shares))
        assert [cost.latency_s for cost in found.values()] == pytest.approx(users.latencies_s(choice, shares).tolist())
    assert ratio(np.array([0.0, 1.0]), np.array([0.0, 0.0])).tolist() == [0.0, np.inf]
