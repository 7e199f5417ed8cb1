"""The integer program: equal to exhaustive search, bounds that hold when it is stopped, whole relaxations."""

import numpy as np
import pytest
from problems import chain, graph_of, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, evaluate
from hocket.errors import InfeasibleError
from hocket.solvers import Exhaustive, MaxIterations, MaxRuntime, check_solver, lower_bound
from hocket.solvers.additive import additive_of
from hocket.solvers.bound import sum_bound
from hocket.solvers.exact import Milp
from hocket.solvers.exact.figures import Figures
from hocket.solvers.exact.linear import Linear

METRICS = ("sequential", "latency", "period", "energy", "price")


def few(metric: str, count: int) -> list[Problem]:
    return [
        random_problem(seed, metric, nodes=2 + seed % 2, size=4 + seed % 2, limited=seed % 3 == 0, spread=seed % 4 == 0,
                       packed=seed % 5 == 0, media=seed % 6 == 0, call_s=2e-4 if seed % 4 == 1 else 0.0)
        for seed in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
def test_it_keeps_the_contract(metric: str) -> None:
    assert check_solver(Milp(most_rounds=8), few(metric, 9), iterations=8) >= 6


def test_sums_are_proven_in_one_round_on_three_nodes() -> None:
    for seed in range(8):
        problem = random_problem(seed, "sequential", nodes=3, size=6)
        proposal = Milp()(problem)
        assert proposal.over == "units"
        assert int(proposal.notes["rounds"]) <= 1
        assert proposal.bound == pytest.approx(evaluate(problem, Exhaustive()(problem).plan).value)


def star() -> Problem:
    """Three operators, each at home on another node and joined with a fourth: the classic gap of cuts in two.

    The middle tensor takes 1 s to any other node, so two of the three branches have to send theirs: 2 s of ways. A cut
    that sees two groups of nodes separates only one branch from the others.
    """
    graph = graph_of([[-1], [-2], [-3], [0, 1, 2]], [1000, 1000, 1000, 1], inputs=(1, 1, 1), outputs=(-1,))
    names = ("a", "b", "c")
    rate = Direction(bytes_per_s=4000.0)
    cluster = Cluster(
        name="star",
        nodes=tuple(Node(name=name, flops_per_s=1e9) for name in names),
        links=tuple(Link(between=pair, up=rate, down=rate) for pair in (("a", "b"), ("a", "c"), ("b", "c"))),
    )
    seconds = {name: [0.0 if number == at else 100.0 for number in range(3)] + [0.0] for at, name in enumerate(names)}
    return problem_of(graph, cluster, profile_of(graph, seconds), inputs={"x0": "a", "x1": "b", "x2": "c"})


def test_the_relaxation_sees_three_nodes_where_a_cut_sees_two_groups() -> None:
    problem = star()
    best = evaluate(problem, Exhaustive()(problem).plan).value
    assert best == pytest.approx(2.0, rel=1e-2)
    assert sum_bound(additive_of(problem)) < 1.1
    assert lower_bound(problem) == pytest.approx(best, rel=1e-6)


def test_a_tensor_with_several_readers_is_paid_for_once_per_node() -> None:
    graph = graph_of([[-1], [0], [0], [1, 2]], [1000, 1, 1, 1], outputs=(-1,))
    rate = Direction(bytes_per_s=4000.0)
    nodes = (Node(name="a", flops_per_s=1e9), Node(name="b", flops_per_s=1e9))
    cluster = Cluster(name="two", nodes=nodes, links=(Link(between=("a", "b"), up=rate, down=rate),))
    profile = profile_of(graph, {"a": [0.0, 10.0, 10.0, 10.0], "b": [100.0, 0.0, 0.0, 0.0]})
    problem = problem_of(graph, cluster, profile)
    assert Milp()(problem).bound == pytest.approx(1.0 + 4 / 4000)


def test_memory_is_a_row_and_not_a_search() -> None:
    """Twelve layers of 1000 bytes, two nodes with room for half of them: 4096 placements, but few rounds."""
    graph = chain([1] * 12, weights=[1000] * 12, first=1)
    nodes = tuple(Node(name=name, flops_per_s=1e9, memory_bytes=6100) for name in ("a", "b"))
    rate = Direction(bytes_per_s=1e3)
    cluster = Cluster(name="two", nodes=nodes, links=(Link(between=("a", "b"), up=rate, down=rate),))
    problem = problem_of(graph, cluster, profile_of(graph, {"a": [1.0] * 12, "b": [2.0] * 12}))
    proposal = Milp()(problem)
    assert proposal.over == "units"
    assert int(proposal.notes["rounds"]) <= 3
    assert evaluate(problem, proposal.plan).sequential_s == pytest.approx(18 + 2 * 4 / 1e3)


def test_no_room_at_all_is_said() -> None:
    graph = chain([1] * 3, weights=[1000] * 3, first=1)
    nodes = tuple(Node(name=name, flops_per_s=1e9, memory_bytes=900) for name in ("a", "b"))
    cluster = Cluster(name="two", nodes=nodes, links=(Link(between=("a", "b")),))
    problem = problem_of(graph, cluster, profile_of(graph, {"a": [1.0] * 3, "b": [2.0] * 3}))
    with pytest.raises(InfeasibleError, match="searched over all placements of units: C6"):
        Milp()(problem)


def test_a_limit_is_a_row() -> None:
    problem = random_problem(0, "sequential", nodes=3, size=6)
    free = evaluate(problem, Milp()(problem).plan)
    limited = problem.replace(objective=Objective(metric="sequential", limits={"energy": free.energy_j * 0.9}))
    found, oracle = Milp()(limited), Exhaustive()(limited)
    assert evaluate(limited, found.plan).value == pytest.approx(evaluate(limited, oracle.plan).value)
    assert found.over == "units"


def test_a_latency_with_calls_on_a_chain_is_the_judges() -> None:
    for seed in range(6):
        problem = random_problem(seed, "latency", nodes=3, size=6, shape="chain", call_s=1e-3)
        proposal = Milp()(problem)
        assert proposal.notes["rounds"] in ("0", "1")
        assert proposal.over == "units"


@pytest.mark.parametrize("stop", [MaxIterations(0), MaxRuntime(0.0)])
def test_when_it_is_stopped_the_bound_still_holds(stop: object) -> None:
    for seed in range(4):
        problem = random_problem(seed, "period", nodes=3, size=5)
        proposal = Milp()(problem, stop=stop)  # type: ignore[arg-type]
        best = evaluate(problem, Exhaustive()(problem).plan).value
        assert proposal.bound is not None
        assert proposal.bound <= best * (1 + 1e-9)
        assert evaluate(problem, proposal.plan).feasible


def test_the_program_gives_the_judges_figure_for_a_placement() -> None:
    """With all units fixed the sums are the judge's, and the times are never above it."""
    for metric in METRICS:
        for seed in range(4):
            problem = random_problem(seed, metric, nodes=3, size=6, media=seed == 1)
            additive = additive_of(problem)
            figures = Figures(problem, additive.layout)
            rng = np.random.default_rng(seed)
            places = rng.choice(additive.layout.hosts, len(additive.layout.units)).tolist()
            for unit, place in enumerate(places):
                at = figures.crossings.places[unit, figures.crossings.column[place]]
                figures.linear.row([(np.array([at]), 1.0)], low=1.0)
            judged = evaluate(problem, additive.plan(places)).value
            value = figures.solve(judged).bound
            assert value <= judged * (1 + 1e-6)
            if metric in ("sequential", "energy", "price", "period"):
                assert value == pytest.approx(judged, rel=1e-6)


def test_a_safe_bound_of_a_linear_program() -> None:
    """Least x + 2 y with x + y >= 1.5 and both at most 1 is 1 + 1."""
    linear = Linear()
    both = linear.variables(2)
    linear.row([(both, 1.0)], low=1.5)
    assert linear.relaxed(np.array([1.0, 2.0]), 1.0).bound == pytest.approx(2.0, rel=1e-9)
    assert linear.relaxed(np.array([1.0, 2.0]), 1.0).bound <= 2.0


def test_an_integer_program_rounds_up_what_its_relaxation_leaves() -> None:
    linear = Linear()
    three = linear.variables(3, whole=True)
    for pair in ((0, 1), (0, 2), (1, 2)):
        linear.row([(three[list(pair)], 1.0)], low=1.0)
    assert linear.relaxed(np.ones(3), 1.0).bound == pytest.approx(1.5, rel=1e-6)
    assert linear.solve(np.ones(3), 1.0, seconds=None, most_nodes=100).bound == pytest.approx(2.0, rel=1e-6)
