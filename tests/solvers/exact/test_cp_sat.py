"""Constraint programming: the timeline with contention, and priorities that change it."""

import pytest

pytest.importorskip("ortools")

from problems import graph_of, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem, evaluate
from hocket.solvers import Exhaustive, check_solver, lower_bound
from hocket.solvers.exact import CpSat


def test_it_keeps_the_contract() -> None:
    problems = [
        random_problem(seed, "latency", nodes=2 + seed % 2, size=4, limited=seed % 3 == 0, spread=seed % 4 == 0,
                       packed=seed % 5 == 0, media=seed % 6 == 0, call_s=2e-4 if seed % 4 == 1 else 0.0)
        for seed in range(10)
    ]  # fmt: skip
    assert check_solver(CpSat(effort=1.0), problems, iterations=5) >= 7


def contended() -> Problem:
    """Two branches begin on `a`, for 3 s and for 1 s, and go on on `b`, for no time and for 10 s.

    `a` computes one after the other: in the order of the graph the long way begins after 4 s, else after
    1 s. Nobody else can compute what `a` computes, nor what `b` does.
    """
    graph = graph_of([[-1], [0], [0], [1], [2], [3, 4]], [1, 1, 1, 1, 1, 1], outputs=(-1,))
    nodes = (Node(name="a", flops_per_s=1e9), Node(name="b", flops_per_s=1e9))
    fast = Direction(bytes_per_s=1e9)
    cluster = Cluster(name="two", nodes=nodes, links=(Link(between=("a", "b"), up=fast, down=fast),))
    profile = profile_of(graph, {"a": [0.0, 3.0, 1.0, 100.0, 100.0, 0.0], "b": [100.0] * 3 + [0.0, 10.0, 100.0]})
    return problem_of(graph, cluster, profile, "latency")


def test_the_answer_carries_the_order_that_its_figure_needs() -> None:
    problem = contended()
    proposal = CpSat()(problem)
    default = evaluate(problem, Exhaustive()(problem).plan).latency_s
    assert default == pytest.approx(14.0, rel=1e-6)
    assert evaluate(problem, proposal.plan).latency_s == pytest.approx(11.0, rel=1e-6)
    assert proposal.plan.entries[0].order
    assert proposal.bound == pytest.approx(11.0, rel=1e-6)
    # No space of plans in the default order has it.
    assert proposal.over == ""


def test_contention_makes_a_bound_that_paths_do_not_see() -> None:
    """Two branches of 1 s on a node that alone can compute them, and 1 s each on the only link."""
    graph = graph_of([[-1], [-1], [0], [1], [2, 3]], [1000, 1000, 1, 1, 1], inputs=(1,), outputs=(-1,))
    nodes = (Node(name="a", flops_per_s=1e9), Node(name="b", flops_per_s=1e9))
    rate = Direction(bytes_per_s=4000.0)
    cluster = Cluster(
        name="two", nodes=nodes, links=(Link(between=("a", "b"), up=rate, down=Direction(bytes_per_s=1e9)),)
    )
    profile = profile_of(graph, {"a": [0.0, 0.0, 50.0, 50.0, 0.0], "b": [50.0, 50.0, 1.0, 1.0, 50.0]})
    problem = problem_of(graph, cluster, profile, "latency")
    proposal = CpSat()(problem)
    assert proposal.over == "units"
    assert proposal.bound == pytest.approx(3.0, rel=1e-6)
    assert lower_bound(problem) < 2.1


def test_other_objectives_are_refused() -> None:
    reason = CpSat().refuses(random_problem(1, "energy"))
    assert reason == "it schedules for latency, and the objective is energy"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from hocket.errors import MissingError

    monkeypatch.setitem(sys.modules, "ortools.sat.python.cp_model", None)
    with pytest.raises(MissingError, match=r"pip install hocket\[exact\]"):
        CpSat()(contended())
