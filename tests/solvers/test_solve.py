"""The verb: names, options, refusals, infeasible problems, the solution that it returns."""

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest
from problems import chain, fleet, problem_of, profile_of, random_problem

from hocket.cluster import Cluster, Link, Node
from hocket.cost import Objective, Problem, evaluate
from hocket.errors import FormatError, HocketError, InfeasibleError, RefusedError
from hocket.plan.placement import placement
from hocket.solvers import (
    SOLVERS,
    Descent,
    Local,
    MaxIterations,
    MaxRuntime,
    MinCut,
    NoImprovement,
    Remote,
    Solution,
    all_solvers,
    solve,
    table_of,
)
from hocket.solvers.heads import heads
from hocket.solvers.layout import Layout

SLOW = ("ga", "pso", "nsga2", "cp_sat", "eosdnn", "autodice_explore")
"""Searches that take seconds each."""


def small(metric: str = "sequential", **fields: object) -> Problem:
    """Three layers on a slow and a fast node."""
    graph = chain([10, 10, 10], weights=[1000, 1000, 1000], first=10)
    nodes = (Node(name="phone", flops_per_s=1e9, memory_bytes=10_000), Node(name="edge", flops_per_s=1e9))
    cluster = Cluster(name="two", nodes=nodes, links=(Link(between=("phone", "edge"), latency_s=0.5),))
    profile = profile_of(graph, {"phone": [1.0, 1.0, 1.0], "edge": [0.1, 0.1, 0.1]})
    return problem_of(graph, cluster, profile, metric, **fields)


def three() -> Problem:
    return random_problem(1, nodes=3, size=6, shape="dag")


def two_tasks() -> Problem:
    problem = small()
    return problem.replace(tasks=(problem.task, problem.task.replace(name="other")))


ERRORS: list[tuple[Callable[[], object], type[HocketError], str]] = [
    (
        lambda: solve(small(), "min_cutt"),
        RefusedError,
        "there is no solver 'min_cutt'; did you mean 'min_cut'?",
    ),
    (
        lambda: solve(small(), "zzz"),
        RefusedError,
        f"there is no solver 'zzz'; use 'auto', or one of the {len(SOLVERS)} that `hocket solvers` lists",
    ),
    (
        lambda: solve(small(), "min_cut", speed=1),
        RefusedError,
        "min_cut has no option 'speed'; its options are relaxed",
    ),
    (lambda: solve(small(), "local", speed=1), RefusedError, "local has no option 'speed'; it has none"),
    (
        lambda: solve(small(), MinCut(), relaxed=True),
        RefusedError,
        "options go with the name of a solver, got MinCut(relaxed=False); give it the options itself",
    ),
    (
        lambda: solve(three(), "min_cut"),
        RefusedError,
        "min_cut cannot solve this problem: it divides a model over two nodes that compute, and here 3 do; auto, local,"
        " remote, linear_scan, exhaustive or descent can",
    ),
    (
        lambda: solve(small("latency"), "min_cut"),
        RefusedError,
        "min_cut cannot solve this problem: latency does not add up over units and tensors, as sequential, energy,"
        " price do; auto, local, remote, linear_scan, chain_dp, exhaustive or descent can",
    ),
    (
        lambda: solve(two_tasks(), "chain_dp"),
        RefusedError,
        "chain_dp cannot solve this problem: it plans one task, and this problem has 2; auto, local or remote can",
    ),
    (
        lambda: solve(fleet([1.0] * 4), "exhaustive"),
        RefusedError,
        "exhaustive cannot solve this problem: 48 units on 4 nodes are more than 20000 placements; auto, local, remote,"
        " linear_scan, chain_dp or descent can",
    ),
    (
        lambda: solve(small(), "remote", node="egde"),
        RefusedError,
        "remote cannot solve this problem: there is no node 'egde': did you mean 'edge'; auto, local, linear_scan,"
        " min_cut, chain_dp, exhaustive or descent can",
    ),
    (
        lambda: solve(small(objective=Objective(metric="energy", limits={"latency": 0.1})), "local"),
        InfeasibleError,
        "the plan of local breaks a constraint: limit: latency_s is at most 0.1, and this plan's is 3; raise the limit"
        " or change the objective",
    ),
    (
        lambda: solve(small(objective=Objective(metric="energy", limits={"latency": 0.1}))),
        InfeasibleError,
        "no plan of 'chain' keeps the constraints, searched over all placements of units: limit: latency_s is at most"
        " 0.1, and this plan's is 3; raise the limit or change the objective",
    ),
    (
        lambda: heads("Solves  a\nAnswer  b", "Mine"),
        FormatError,
        "the docstring of a solver's module has the heads Solves, Answer, Time, Source, Departs, Cards, and that of"
        " Mine lacks Time, Source, Departs, Cards; add them",
    ),
]


@pytest.mark.parametrize(("call", "error", "sentence"), ERRORS, ids=[sentence[:60] for _, _, sentence in ERRORS])
def test_every_error_is_one_sentence_that_helps(
    call: Callable[[], object], error: type[HocketError], sentence: str
) -> None:
    with pytest.raises(error) as found:
        call()
    assert str(found.value) == sentence


def test_too_little_memory_is_said_with_what_would_make_it_fit() -> None:
    tight = fleet([1.0, 1.0], layers=4, memory=[1500, 1500])
    with pytest.raises(InfeasibleError) as found:
        solve(tight, "chain_dp")
    assert str(found.value) == (
        "no plan of 'chain' keeps the constraints, searched over all plans with one run of blocks per node: C6: 'n0'"
        " has 1.46 KiB and would need 3.91 KiB; add 2.45 KiB or move operators elsewhere"
    )


def test_a_solution_says_how_good_it_is_and_survives_its_file() -> None:
    solution = solve(small(), seed=3)
    assert solution.solver == "auto"
    assert solution.notes["found_by"] == "min_cut"
    assert solution.optimal_over == "units"
    assert solution.gap == 0.0
    assert solution.bound == solution.cost.value == pytest.approx(1.3)
    assert solution.candidates == {"local": pytest.approx(3.0), "remote:edge": pytest.approx(1.3)}
    assert solution.stages() == [{"task": "chain", "node": "edge", "operators": ["t0", "t1", "t2"]}]
    assert [(c["tensor"], c["source"], c["target"], c["nbytes"]) for c in solution.crossings()] == [
        ("x0", "phone", "edge", 40),
        ("t2", "edge", "phone", 40),
    ]
    assert Solution.from_json(solution.to_json()) == solution
    assert evaluate(solution.problem, solution.plan).value == solution.cost.value


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in SLOW])
def test_the_solution_of_every_solver_survives_its_file(name: str) -> None:
    try:
        solution = solve(three(), name)
    except (InfeasibleError, RefusedError) as error:
        pytest.skip(str(error))
    assert Solution.from_json(solution.to_json()) == solution


def test_the_options_of_a_solver_are_kept() -> None:
    solution = solve(small(), Remote(node="edge"))
    assert (solution.solver, solution.options) == ("remote", {"node": "edge"})
    assert solve(small(), "remote").cost.value == solution.cost.value
    assert solution.gap + 1 > 0 and solution.bound is not None


def test_what_does_not_fit_is_no_candidate() -> None:
    problem = fleet([1.0, 1.0], layers=4, memory=[1500, None])
    assert solve(problem).candidates == {"local": None, "remote:n1": pytest.approx(4.0)}


def test_a_packed_input_is_a_candidate_and_every_solver_uses_it() -> None:
    """A camera's picture goes to the server without loss in a third of its bytes."""
    for seed in range(30):
        problem = random_problem(seed, packed=True, nodes=2, size=5)
        solution = solve(problem)
        packed = solution.candidates.get("remote:n1+packed")
        if packed is not None:
            assert packed < solution.candidates["remote:n1"]
            assert solution.cost.value <= packed * (1 + 1e-9)
            assert {c["codec"] for c in solve(problem, "remote").crossings()} >= {"png"}
            return
    pytest.fail("no problem where packing pays")


def test_auto_is_never_worse_than_any_other_solver() -> None:
    for seed in range(5):
        for metric in ("latency", "period"):
            problem = random_problem(seed, metric, nodes=3, size=6, limited=seed % 3 == 0)
            try:
                best = solve(problem).cost.value
            except InfeasibleError:
                continue
            for name in SOLVERS:
                if name in SLOW:
                    continue
                try:
                    other = solve(problem, name)
                except (InfeasibleError, RefusedError):
                    continue
                # Requests that are dealt out, and racing copies, are plans that auto does not look for.
                if len(other.plan.entries) == 1 and all(isinstance(run.on, str) for run in other.plan.entries[0].where):
                    assert best <= other.cost.value * (1 + 1e-9), name


def test_several_tasks_share_their_nodes() -> None:
    """Two tasks that would both go to the edge do not when it cannot take both."""
    problem = two_tasks()
    assert {stage["node"] for stage in solve(problem).stages()} == {"edge"}
    busy = tuple(task.replace(rate_per_s=1.5) for task in problem.tasks)
    assert solve(problem.replace(tasks=busy)).cost.feasible
    crowded = tuple(task.replace(rate_per_s=r) for task, r in zip(problem.tasks, (3.2, 0.3), strict=True))
    crowded_problem = problem.replace(tasks=crowded)
    solution = solve(crowded_problem)
    assert [stage["node"] for stage in solution.stages()] == ["edge", "phone"]
    with pytest.raises(InfeasibleError, match="no choice among the plans of 2 tasks keeps the constraints: C2"):
        solve(problem.replace(tasks=tuple(task.replace(rate_per_s=9.0) for task in problem.tasks)))


def test_a_task_is_refused_where_that_costs_less() -> None:
    """On the edge each takes 1.3 s, and in the mean of both; refusing one costs its price and leaves the other."""
    problem = two_tasks()
    first, second = problem.tasks

    def solved(cost: float, rate_per_s: float = 0.0) -> Solution:
        tasks = (first.replace(rate_per_s=rate_per_s), second.replace(rate_per_s=rate_per_s, refusal_cost=cost))
        return solve(problem.replace(tasks=tasks))

    assert solved(0.5).cost.refused == ()
    busy = solved(0.5, rate_per_s=3.2)  # the edge keeps up with one of them only, and the phone with none
    assert busy.cost.refused == ("other",)
    assert busy.cost.value == pytest.approx(1.3 + 0.5)
    assert busy.bound == 0.0
    alone = solve(problem.replace(tasks=(first.replace(refusal_cost=0.1),)))
    assert (alone.plan.entries, alone.cost.value) == ((), pytest.approx(0.1))


def test_tasks_that_meet_on_a_server_are_cut_where_neither_place_keeps_up() -> None:
    """Four requests per second each: 0.3 s at home is too long, and so is 0.15 s twice on the edge; after the first
    layer, for which the edge is slow, both have time. Alone each would go to the edge at once."""
    graph = chain([1, 1, 1], first=1)
    nodes = tuple(Node(name=name, flops_per_s=1e9) for name in ("one", "two", "edge"))
    cluster = Cluster(name="three", nodes=nodes, links=tuple(Link(between=(name, "edge")) for name in ("one", "two")))
    tasks = tuple(
        problem_of(graph, cluster, profile_of(graph, {name: [0.1] * 3, "edge": [0.09, 0.03, 0.03]})).task.replace(
            name=name, inputs={"x0": name}, outputs={"t2": name}, rate_per_s=4.0
        )
        for name in ("one", "two")
    )
    solution = solve(Problem(tasks=tasks, cluster=cluster))
    assert solution.notes["found_by"] == "cut_and_share"
    assert solution.bound <= solution.cost.value
    assert [(stage["node"], len(stage["operators"])) for stage in solution.stages()] == [
        ("one", 1), ("edge", 2), ("two", 1), ("edge", 2),
    ]  # fmt: skip


def test_auto_proves_sums_on_three_nodes_and_divides_any_graph_for_the_period() -> None:
    problem = random_problem(2, nodes=3, size=14, shape="dag")
    assert solve(problem).optimal_over == "units"
    for seed in range(2):
        problem = random_problem(seed, "period", nodes=3, size=8, shape="dag")
        assert solve(problem, judgements=50).cost.value <= solve(problem, "linear_pipeline").cost.value * (1 + 1e-9)


def test_descent_goes_on_from_where_it_is_told() -> None:
    problem = random_problem(5, "latency", nodes=3, size=14, shape="dag")
    good = Descent(judgements=400)(problem).plan
    nodes = [str(place) for place in placement(problem.task.graph, good.entries[0])]
    layout = Layout(problem, problem.task)
    first = [problem.cluster.index[nodes[unit.operators[0]]] for unit in layout.units]
    again = Descent(judgements=1).improved(problem, [first]).plan
    assert evaluate(problem, again).value == pytest.approx(evaluate(problem, good).value)


def test_solvers_of_other_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint(name="mine", value="hocket.solvers.local:Local", group="hocket.solvers"),
        EntryPoint(name="auto", value="hocket.solvers.local:Local", group="hocket.solvers"),
    ]
    monkeypatch.setattr("hocket.solvers.registry.entry_points", lambda group: points)
    assert all_solvers()["mine"] is Local
    assert all_solvers()["auto"] is SOLVERS["auto"]


def test_the_table_of_solvers_has_all_heads() -> None:
    rows = table_of(SOLVERS.values())
    assert [row["name"] for row in rows] == list(SOLVERS)
    assert all(
        set(row) == {"name", "summary", "solves", "answer", "time", "source", "departs", "cards", "family"}
        for row in rows
    )
    assert {row["name"]: row["cards"] for row in rows}["chain_dp"] == "pipeedge, edgeshard"
    assert rows[4]["summary"] == "Two nodes that compute, any DAG: the best placement is a minimum cut."


def test_stop_rules() -> None:
    assert [NoImprovement(2)(value) for value in (1.0,)] == [False]
    rule = NoImprovement(2)
    assert [rule(value) for value in (3.0, 3.0, 2.0, 2.0, 2.0)] == [False, False, False, False, True]
    assert not MaxRuntime(60.0)(1.0)
    assert MaxRuntime(0.0)(1.0)
    assert MaxIterations(0)(1.0)


def test_more_time_is_not_worse() -> None:
    problem = random_problem(5, "latency", nodes=3, size=14, shape="dag")
    short = solve(problem, "descent", judgements=20)
    assert solve(problem, "descent", judgements=400).cost.value <= short.cost.value
    assert solve(problem, "descent", time_limit_s=0.05).cost.feasible


def test_an_idle_node_s_power_makes_min_cut_refuse() -> None:
    problem = small("energy")
    nodes = tuple(node.replace(idle_w=0.5, compute_w=1.0) for node in problem.cluster.nodes)
    problem = problem.replace(cluster=problem.cluster.replace(nodes=nodes))
    assert MinCut().refuses(problem) == (
        "'phone' takes power while it idles, so the objective depends on the whole timeline"
    )
    assert MinCut(relaxed=True).refuses(problem) is None
    relaxed = solve(problem, "min_cut", relaxed=True)
    assert relaxed.optimal_over == ""
    assert relaxed.bound <= solve(problem).cost.value
