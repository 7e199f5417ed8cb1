"""From a DAG to a chain and back: what stays the same, what a boundary carries, and what is lost."""

import random

import pytest
from problems import chain, graph_of, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem, evaluate
from hocket.errors import PlanError
from hocket.graph.topology import blocks, live, units
from hocket.plan import Copies, Plan
from hocket.plan.placement import placement, plan_for
from hocket.solvers import ChainDp, LinearScan, check_solver, solve
from hocket.solvers.additive import additive_of
from hocket.solvers.chain import Chain
from hocket.solvers.layout import Layout
from hocket.solvers.reductions.chained import Chained
from hocket.solvers.reductions.kinds import REDUCTIONS, Articulation, Linearised, Modules, straight_runs
from hocket.solvers.reductions.reduced import Reduced

SAME = 1 + 1e-9


def problems(count: int, **options: object) -> list[Problem]:
    return [
        random_problem(seed, size=7, nodes=2 + seed % 2, shape=("dag", "diamond", "chain")[seed % 3], **options)
        for seed in range(count)
    ]


def anywhere(reduced: Reduced, seed: int) -> Plan:
    """A random plan of the chain."""
    rng, graph = random.Random(seed), reduced.problem.task.graph
    nodes = [node.name for node in reduced.problem.cluster.nodes]
    return plan_for(reduced.problem.task.name, graph, [rng.choice(nodes) for _ in graph.operators])


def test_blocks_cost_wherever_they_are_what_their_operators_do() -> None:
    for seed, problem in enumerate(problems(60, spread=True)):
        reduced = Articulation().apply(problem)
        plan = anywhere(reduced, seed)
        before, after = evaluate(problem, reduced.invert(plan)), evaluate(reduced.problem, plan)
        assert after.sequential_s == pytest.approx(before.sequential_s, rel=1e-9)
        assert after.energy_j == pytest.approx(before.energy_j, rel=1e-9)
        assert after.price_usd == pytest.approx(before.price_usd, rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("kind", [Linearised(), Modules()])
def test_a_single_cut_of_bundles_costs_what_its_tensors_do(kind: Linearised | Modules) -> None:
    for slow in problems(45):
        links = tuple(link.replace(latency_s=0.0) for link in slow.cluster.links)
        problem = slow.replace(cluster=slow.cluster.replace(links=links))
        reduced = kind.apply(problem)
        graph = reduced.problem.task.graph
        for cut in range(len(graph.operators) + 1):
            places = ["n0"] * cut + ["n1"] * (len(graph.operators) - cut)
            plan = plan_for(reduced.problem.task.name, graph, places)
            before, after = evaluate(problem, reduced.invert(plan)), evaluate(reduced.problem, plan)
            # An answer that is also read after the cut goes back alone in both, and on in the bundle.
            assert after.sequential_s * SAME >= before.sequential_s
            if len(problem.task.graph.outputs) == len(problem.task.graph.inputs) == 1:
                assert after.sequential_s == pytest.approx(before.sequential_s, rel=1e-9)


def test_a_boundary_carries_all_that_is_alive() -> None:
    for problem in problems(30):
        graph = problem.task.graph
        reduced = Linearised().apply(problem)
        made = reduced.problem.task.graph
        done: list[int] = []
        for number, unit in enumerate(units(graph)[:-1]):
            done += unit.operators
            nbytes = sum(graph.tensor[name].nbytes for name in live(graph, done))
            assert made.tensor[made.operators[number].outputs[0]].nbytes == nbytes


@pytest.mark.parametrize("name", REDUCTIONS)
def test_the_result_is_a_chain_and_every_operator_is_in_it_once(name: str) -> None:
    for problem in problems(45, limited=True):
        kind = REDUCTIONS[name]()
        reduced = kind.apply(problem)
        graph = reduced.problem.task.graph
        assert sorted(p for group in reduced.groups for p in group) == list(range(len(problem.task.graph.operators)))
        assert len(blocks(graph)) == len(graph.operators) or name == "articulation"
        assert graph.weight_bytes == problem.task.graph.weight_bytes
        assert kind.accepts(problem.task.graph) or len(graph.operators) == 1
        if name != "articulation":
            assert Chain(additive_of(reduced.problem)).untidy is None


def test_inverting_puts_every_operator_where_its_group_is() -> None:
    for seed, problem in enumerate(problems(30, packed=True)):
        for kind in REDUCTIONS.values():
            reduced = kind().apply(problem)
            plan = anywhere(reduced, seed)
            original = placement(problem.task.graph, reduced.invert(plan).entries[0])
            of_groups = placement(reduced.problem.task.graph, plan.entries[0])
            for group, place in zip(reduced.groups, of_groups, strict=True):
                assert {original[position] for position in group} == {place}


def test_a_plan_with_copies_is_not_inverted() -> None:
    reduced = Articulation().apply(random_problem(0, shape="chain"))
    graph = reduced.problem.task.graph
    plan = plan_for(reduced.problem.task.name, graph, [Copies(nodes=("n0", "n1"))] * len(graph.operators))
    with pytest.raises(
        PlanError, match="a plan of a chain has each operator on one node, and 't0' is divided or copied"
    ):
        reduced.invert(plan)


def branches(*, memory: int | None = None) -> Problem:
    """A stem, branches of two and one layers, a merge and a tail; the branches' insides are small."""
    graph = graph_of(
        [[-1], [0], [1], [0], [2, 3], [4]],
        [5000, 5, 5, 5, 5000, 1],
        inputs=(5000,),
        weights=[100, 400, 400, 400, 10, 10],
    )
    nodes = (Node(name="n0", flops_per_s=1e9), Node(name="n1", flops_per_s=1e9, memory_bytes=memory))
    rate = Direction(bytes_per_s=1e5)
    cluster = Cluster(name="pair", nodes=nodes, links=(Link(between=("n0", "n1"), up=rate, down=rate),))
    seconds = {"n0": [0.001] * 4 + [1.0, 1.0], "n1": [0.001] * 6}
    return problem_of(graph, cluster, profile_of(graph, seconds))


def test_modules_are_the_runs_between_branches_and_merges() -> None:
    problem = branches()
    assert straight_runs(Layout(problem, problem.task)) == [[0], [1, 2], [3], [4, 5]]
    assert Modules().apply(problem).groups == ((0,), (1, 2), (3,), (4, 5))


def test_a_module_ends_before_the_layer_that_fewer_nodes_can_hold() -> None:
    assert Modules().apply(branches(memory=500)).groups == ((0,), (1,), (2,), (3,), (4, 5))
    late = branches()
    late = late.replace(tasks=(late.task.replace(deadline_s=1.5),))
    assert Modules().apply(late).groups == ((0,), (1, 2), (3,), (4,), (5,))


def test_linearising_finds_the_cut_inside_branches_that_blocks_hide() -> None:
    problem = branches()
    coarse, fine = solve(problem, ChainDp()), solve(problem, Chained())
    assert fine.cost.sequential_s < coarse.cost.sequential_s / 5
    assert [stage["node"] for stage in fine.stages()][-1] == "n1"
    assert fine.cost.sequential_s == pytest.approx(solve(problem, LinearScan()).cost.sequential_s)
    articulated = solve(problem, Chained(reduction="articulation"))
    assert articulated.cost.sequential_s == pytest.approx(coarse.cost.sequential_s)
    assert fine.notes["chain"] == "6 operators of the chain for 6"


@pytest.mark.parametrize(("reduction", "solver"), [("articulation", "chain_dp"), ("linearised", "linear_scan"),
                                                   ("modules", "descent")])  # fmt: skip
def test_chained_keeps_the_contract(reduction: str, solver: str) -> None:
    some = [
        random_problem(
            seed, metric, nodes=2 + seed % 2, size=5, packed=seed % 2 == 0, shape=("chain", "diamond")[seed % 2]
        )
        for metric in ("sequential", "latency", "energy")
        for seed in range(4)
    ]
    assert check_solver(Chained(reduction=reduction, solver=solver), some, iterations=3) >= 5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"reduction": "magic"}, "a reduction is one of articulation, linearised, modules, and 'magic' is none"),
        ({"solver": "magic"}, "it needs a solver for the chain, and 'magic' is none"),
        ({"solver": "chained"}, "it needs a solver for the chain, and 'chained' is none"),
    ],
)
def test_chained_says_what_it_does_not_know(options: dict[str, str], reason: str) -> None:
    assert Chained(**options).refuses(branches()) == reason


def test_chained_says_why_the_chain_cannot_be_solved() -> None:
    whole = problem_of(chain([1]), branches().cluster, profile_of(chain([1]), {"n0": [1.0], "n1": [1.0]}), "sequential")
    assert Chained().refuses(whole) == "the chain of 'chain' by linearised has no place to cut"
    three = random_problem(3, nodes=3, shape="chain")
    reason = Chained(solver="min_cut").refuses(three)
    assert reason == (
        "min_cut refuses the chain, because it divides a model over two nodes that compute, and here 3 do"
    )
