"""Several tasks, deadlines and clocks: threads, shares, queues, windows of time, and balanced parts."""

from itertools import product

import numpy as np
import pytest
from problems import chain, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem, Task, evaluate
from hocket.errors import InfeasibleError
from hocket.graph import Graph
from hocket.profile import Profile
from hocket.solvers import solve
from hocket.solvers.cuts.dong_joint import DongJoint, least_shares
from hocket.solvers.cuts.hsms_adp import HsmsAdp
from hocket.solvers.cuts.miao_adaptive import MiaoAdaptive, longest, proportional, shifts
from hocket.solvers.cuts.scan import cut_table, sequential
from hocket.solvers.cuts.task_migration import Clocks, TaskMigration
from hocket.solvers.cuts.throughput_max import ThroughputMax, packed, priced
from hocket.solvers.layout import Layout


def star(graph: Graph, profile: Profile, sources: list[str], **server: object) -> Problem:
    """Devices around a server, one task for each name in `sources`."""
    names = list(dict.fromkeys(sources))
    nodes = (*(Node(name=name, flops_per_s=1e9) for name in names), Node(name="server", flops_per_s=1e9, **server))
    rate = Direction(bytes_per_s=1e6)
    links = tuple(Link(between=(name, "server"), up=rate, down=rate) for name in names)
    tasks = tuple(
        Task(
            name=f"task{number}",
            graph=graph,
            profile=profile,
            inputs={tensor.name: source for tensor in graph.inputs},
            outputs=dict.fromkeys(graph.outputs, source),
        )
        for number, source in enumerate(sources)
    )
    return Problem(tasks=tasks, cluster=Cluster(name="star", nodes=nodes, links=links))


def due(problem: Problem, *deadlines: float, **fields: object) -> Problem:
    tasks = (task.replace(deadline_s=s, **fields) for task, s in zip(problem.tasks, deadlines, strict=True))
    return problem.replace(tasks=tuple(tasks))


def one_layer(sources: list[str], **server: object) -> Problem:
    """4 kB in (4 ms), 1 s on a device or 80 ms on the whole server, 4 bytes out."""
    graph = chain([1], first=1000)
    seconds = {name: [1.0] for name in dict.fromkeys(sources)} | {"server": [0.08]}
    return star(graph, profile_of(graph, seconds), sources, **server)


@pytest.mark.parametrize(("deadline_s", "threads"), [(1.1, 0), (0.66, 1), (0.33, 2), (0.25, 3), (0.1, 7)])
def test_throughput_max_takes_the_fewest_threads_that_are_in_time(deadline_s: float, threads: int) -> None:
    """On m of 8 threads the layer takes 0.64 / m seconds."""
    problem = due(one_layer(["a"], cores=8), deadline_s)
    plan = solve(problem, ThroughputMax())
    assert plan.notes == {"task0": f"{threads} threads"}
    assert plan.plan.entries[0].shares == ({"server": threads / 8} if threads else {})
    assert plan.cost.latency_s == pytest.approx(0.004004 + 0.64 / threads if threads else 1.0)


def test_throughput_max_refuses_who_asks_most() -> None:
    """Three need 4, 2 and 2 of 4 threads: the two small ones are served."""
    problem = due(one_layer(["a", "b", "c"], cores=4), 0.085, 0.17, 0.17)
    with pytest.raises(InfeasibleError, match=r"2 of 3 requests are in time on 4 threads, and 'task0' cannot be"):
        ThroughputMax()(problem)
    plan = ThroughputMax()(due(problem, 0.085, 0.17, 0.17, refusal_cost=1.0)).plan
    assert [entry.task for entry in plan.entries] == ["task1", "task2"]
    assert [entry.shares for entry in plan.entries] == [{"server": 0.5}] * 2


def test_packing_admits_as_many_as_can_be_on_one_cloudlet() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        needs = rng.integers(1, 7, 6).tolist()
        admitted = sum(cloudlet is not None for cloudlet in packed([{0: need} for need in needs], {0: 10}))
        best = max(sum(taken) for taken in product((0, 1), repeat=6) if np.dot(taken, needs) <= 10)
        assert admitted == best


def test_online_prices_keep_threads_for_later_requests() -> None:
    asked = [{0: 4}, {0: 3}, {0: 1}, {1: 1}]
    assert packed(asked, {0: 8, 1: 4}) == [0, 0, 0, 1]
    assert priced(asked, {0: 8, 1: 4}) == [0, None, None, 1]


def test_a_deadline_is_needed_where_it_is_what_the_method_is_about() -> None:
    problem = one_layer(["a"])
    assert ThroughputMax().refuses(problem) == "it admits requests by their deadlines, and 'task0' has none"
    assert DongJoint().refuses(problem) == "it rents what the deadlines ask for, and 'task0' has none"


def test_dong_joint_rents_just_what_is_in_time() -> None:
    """a / (T - b) = 0.08 / (0.3 - 0.004004) of the server; with that share the answer is there at the deadline."""
    problem = due(one_layer(["a"], compute_price_per_s=1.0), 0.3)
    found = solve(problem, DongJoint())
    share = 0.08 / (0.3 - 0.004004)
    assert found.plan.entries[0].shares["server"] == pytest.approx(share)
    assert float(found.notes["rent_usd"]) == pytest.approx(share * 0.3)
    assert found.cost.latency_s == pytest.approx(0.3)
    assert not solve(due(problem, 1.1), DongJoint()).plan.entries[0].shares


def test_dong_joint_finds_the_cut_of_least_share() -> None:
    for seed in range(40):
        problem = random_problem(seed, size=6, shape="chain")
        table = cut_table(sequential(problem), 0, 1)
        deadline_s = float(table.total_s().min()) * 1.2
        shares = least_shares(table, deadline_s)
        for cut, share in enumerate(shares):
            if 0 < share <= 1:
                rest = table.first_s[cut] + table.across_s[cut] + table.answer_s[cut]
                assert rest + table.second_s[cut] / share <= deadline_s
                assert share == pytest.approx(1e-6) or rest + table.second_s[cut] / share > deadline_s * (1 - 1e-6)
        plan = DongJoint()(problem.replace(tasks=(problem.task.replace(deadline_s=deadline_s),))).plan
        rents = problem.cluster.nodes[1].compute_price_per_s or problem.cluster.nodes[0].transmit_price_per_s
        if not rents:
            assert plan.entries[0].shares.get("n1", 0.0 if shares.min() < 1 else 1.0) == pytest.approx(shares.min())


def test_dong_joint_shares_one_server_out_once() -> None:
    fits = due(one_layer(["a", "b"]), 0.3, 0.3)
    assert sum(entry.shares["server"] for entry in DongJoint()(fits).plan.entries) < 1
    with pytest.raises(InfeasibleError, match=r"C2: a server is shared out once, and 2 tasks need 1\.667 of it"):
        DongJoint()(due(fits, 0.1, 0.1))


def two_layers(sources: list[str]) -> Problem:
    """Layers of 0.1 s on a device and 30 ms on the server; 40 kB in (40 ms), 4 bytes between and out."""
    graph = chain([1, 1], first=10_000)
    seconds = {name: [0.1, 0.1] for name in dict.fromkeys(sources)} | {"server": [0.03, 0.03]}
    return star(graph, profile_of(graph, seconds), sources)


def nodes_by_task(problem: Problem, solver: object) -> list[list[str]]:
    stages = solve(problem, solver).stages()
    return [[s["node"] for s in stages if s["task"] == task.name for _ in s["operators"]] for task in problem.tasks]


def test_task_migration_looks_at_queues_or_takes_one_cut_for_all() -> None:
    """Alone all on the server is best (0.1 s). The third task would be done there at 0.22 s and at home at 0.2 s."""
    problem = two_layers(["a"] * 3)
    remote, local = ["server", "server"], ["a", "a"]
    assert nodes_by_task(problem, TaskMigration(schedule="single")) == [remote] * 3
    queued = TaskMigration()(problem)
    assert nodes_by_task(problem, TaskMigration())[0] == remote
    assert nodes_by_task(problem, TaskMigration()) != [remote] * 3
    single = TaskMigration(schedule="single")(problem)
    assert float(single.notes["total_s"]) == pytest.approx(0.1 + 0.16 + 0.22 + 3 * 4e-6, abs=1e-6)
    assert float(queued.notes["total_s"]) < float(single.notes["total_s"])
    assert nodes_by_task(problem, TaskMigration(capacity=0)) == [local] * 3


def test_each_task_is_done_as_early_as_those_before_it_allow() -> None:
    problem = two_layers(["a", "b", "a", "b"])
    clocks = Clocks(capacity=1)
    plan = TaskMigration(capacity=1)(problem).plan
    for task, entry in zip(problem.tasks, plan.entries, strict=True):
        table = cut_table(sequential(problem, task), problem.cluster.index[task.source], 2)
        done = [clocks.done_s(table, cut, wait=False) for cut in range(3)]
        chosen = next(cut for cut in range(3) if table.plan(cut).entries[0] == entry)
        assert done[chosen] == min(done)
        assert clocks.book(table, chosen) == min(done)


def test_one_cut_is_for_tasks_of_one_model() -> None:
    problem = two_layers(["a", "b"])
    other = chain([1, 1, 1])
    seconds = {name: [0.1] * 3 for name in ("a", "b", "server")}
    odd = problem.tasks[1].replace(
        graph=other, profile=profile_of(other, seconds), inputs={"x0": "b"}, outputs={"t2": "b"}
    )
    mixed = problem.replace(tasks=(problem.tasks[0], odd))
    reason = "one cut is for tasks of one model, and 'task1' has another than 'task0'"
    assert TaskMigration(schedule="single").refuses(mixed) == reason
    assert TaskMigration().refuses(mixed) is None


def road(first_s: float, second_s: float) -> Problem:
    """A car, an edge in reach until a time, a slower one in reach longer; layers of 1 s in the car, 0.1 and 0.2 s
    there."""
    rate = Direction(bytes_per_s=1e6)
    windows = {"first": ((0.0, first_s),), "second": ((0.0, second_s),)}
    links = tuple(
        Link(between=("car", edge), up=rate, down=rate, available=windows[edge]) for edge in ("first", "second")
    )
    nodes = tuple(Node(name=name, flops_per_s=1e9) for name in ("car", "first", "second"))
    cluster = Cluster(name="road", nodes=nodes, links=(*links, Link(between=("first", "second"), up=rate, down=rate)))
    graph = chain([1] * 4, first=1)
    seconds = {"car": [1.0] * 4, "first": [0.1] * 4, "second": [0.2] * 4}
    return problem_of(graph, cluster, profile_of(graph, seconds), "sequential")


def test_hsms_adp_takes_the_fastest_edge_that_stays_in_reach() -> None:
    assert _parts(road(0.5, 100.0)) == {"first": 4}
    assert _parts(road(0.25, 100.0)) == {"second": 4}


def test_hsms_adp_hands_over_what_no_edge_can_finish() -> None:
    """The edges would take 0.4 and 0.8 s. Two layers are done at the first in 0.2 s, the others at the second at 0.6 s;
    the car takes 4 s."""
    assert _parts(road(0.25, 0.7)) == {"first": 2, "second": 2}


def test_hsms_adp_stays_in_the_car_where_even_the_next_edge_is_lost() -> None:
    assert _parts(road(0.25, 0.5)) == {"car": 4}


def _parts(problem: Problem) -> dict[str, int]:
    plan = HsmsAdp()(problem).plan
    layout = Layout(problem, problem.task)
    names = [run.on for run in plan.entries[0].where for _ in range(_length(layout, run.operators))]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def _length(layout: Layout, run: str) -> int:
    first, _, last = run.partition("..")
    return layout.graph.index[last or first] - layout.graph.index[first] + 1


def peers(seconds: list[float], speeds: list[float]) -> Problem:
    """A chain with tensors of 4 bytes on peers in a full mesh."""
    graph = chain([1] * len(seconds), first=1)
    names = [f"n{number}" for number in range(len(speeds))]
    nodes = tuple(Node(name=name, flops_per_s=1e9) for name in names)
    links = tuple(Link(between=(a, b)) for i, a in enumerate(names) for b in names[i + 1 :])
    times = {name: [s / speed for s in seconds] for name, speed in zip(names, speeds, strict=True)}
    return problem_of(graph, Cluster(name="mesh", nodes=nodes, links=links), profile_of(graph, times), "period")


def test_miao_adaptive_begins_in_proportion_to_speed() -> None:
    problem = peers([1.0] * 8, [1.0, 1.0, 2.0])
    assert proportional(Layout(problem, problem.task), [0, 1, 2]) == (2, 4)
    found = solve(problem, MiaoAdaptive())
    assert found.cost.period_s == pytest.approx(2.0)


def test_miao_adaptive_shifts_until_the_longest_stage_stays() -> None:
    """Halves of the work are 3 + 3 layers' worth; a layer of 3 s cannot be divided: 1 + 1 + 1 and 3 are the best."""
    problem = peers([1.0, 1.0, 3.0, 1.0], [1.0, 1.0])
    additive = sequential(problem)
    start = proportional(additive.layout, [0, 1])
    assert start in {(2,), (3,)}
    assert solve(problem, MiaoAdaptive()).cost.period_s == pytest.approx(4.0)
    improved = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        problem = peers(rng.uniform(0.1, 2.0, 9).tolist(), rng.uniform(0.5, 2.0, 3).tolist())
        additive, order = sequential(problem), [0, 1, 2]
        begin = proportional(additive.layout, order)
        passed = [begin, *shifts(additive, order, begin)]
        times = [longest(additive, order, cuts) for cuts in passed]
        assert times == sorted(times, reverse=True)
        improved += len(passed) > 1
        for number, by in product(range(2), (-1, 1)):
            moved = [*passed[-1]]
            moved[number] += by
            if 0 <= moved[0] <= moved[1] <= 9:
                assert longest(additive, order, moved) >= times[-1] * (1 - 1e-9)
        assert evaluate(problem, MiaoAdaptive()(problem).plan).period_s == pytest.approx(times[-1])
    assert improved > 5
