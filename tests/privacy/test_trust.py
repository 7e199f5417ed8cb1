"""Private inputs stay on trusted nodes: the judge says where they do not, and no solver lets them go."""

from pathlib import Path

import pytest
from graphs import zoo_model
from problems import chain, graph_of, problem_of, profile_of, random_problem
from split_problems import split_problem
from transformers_small import transformer

from hocket.cluster import Cluster, Link, Node
from hocket.cost import Evaluator, Objective, Problem, evaluate, problem_for, read_problem, simulate
from hocket.cost.leakage import Leak, LeakageTable
from hocket.cost.trust import private_tensors
from hocket.errors import FormatError, GraphError, HocketError, InfeasibleError
from hocket.graph import Graph
from hocket.plan import Copies, Crossing, Plan, Split
from hocket.plan.placement import plan_for
from hocket.solvers import SOLVERS, Exhaustive, solve
from hocket.solvers.contract import kept_private
from hocket.solvers.stop import MaxIterations


def home(
    graph: Graph | None = None, *, limit: float | None = None, leakage: dict[str, dict[str, float]] | None = None
) -> Problem:
    """A slow phone and a trusted box, and between them a fast server that nobody trusts."""
    graph = graph or chain([256] * 4)
    size = len(graph.operators)
    nodes = (
        Node(name="phone", flops_per_s=1e9, trust=2),
        Node(name="server", flops_per_s=1e9),
        Node(name="box", flops_per_s=1e9, trust=3),
    )
    cluster = Cluster(
        name="home", nodes=nodes, links=(Link(between=("phone", "server")), Link(between=("server", "box")))
    )
    seconds = {"phone": [1.0] * size, "server": [0.01] * size, "box": [0.1] * size}
    objective = Objective(metric="latency", limits={} if limit is None else {"leakage": limit})
    task = {"private": tuple(tensor.name for tensor in graph.inputs), "trust": 2, "leakage": leakage or {}}
    return problem_of(graph, cluster, profile_of(graph, seconds), objective=objective, task=task)


def plan(problem: Problem, *places: str | Split | Copies) -> Plan:
    return plan_for(problem.task.name, problem.task.graph, places)


def broken(problem: Problem, made: Plan) -> list[str]:
    """What the judge says of trust."""
    return [one.sentence for one in evaluate(problem, made).violations if one.constraint == "trust"]


def test_a_private_input_may_not_go_to_a_node_of_too_little_trust() -> None:
    problem = home()
    made = plan(problem, "server", "server", "server", "phone")
    (sentence,) = broken(problem, made)
    assert sentence == (
        "trust: 'x0' of 'chain' is private to nodes of trust 2 or more, and it goes to 'server', whose trust is 0;"
        " keep it on trusted nodes or trust that one more"
    )
    assert not evaluate(problem, made).feasible
    for judged in (Evaluator(problem).evaluate(made), simulate(problem, made, requests=2)):
        assert [one.sentence for one in judged.violations] == [sentence]


def test_what_is_computed_from_it_may_go_anywhere_unless_there_is_a_limit() -> None:
    made = plan(home(), "phone", "server", "server", "phone")
    assert broken(home(), made) == []
    assert "'t0'" in broken(home(limit=0.5), made)[0]


def test_a_relay_sees_what_it_forwards() -> None:
    problem = home()
    (sentence,) = broken(problem, plan(problem, "box", "box", "box", "phone"))
    assert "it passes 'server'" in sentence


def test_a_tensor_that_leaks_little_ends_what_is_private() -> None:
    leaks = {"t0": {"raw": 0.9}, "t1": {"raw": 0.2}}
    problem = home(limit=0.3, leakage=leaks)
    # t2 is not measured, and is computed from t1, which may go anywhere.
    assert private_tensors(problem, problem.task) == {"x0", "t0"}
    assert broken(problem, plan(problem, "phone", "phone", "server", "phone")) == []
    assert "'t0'" in broken(problem, plan(problem, "phone", "server", "server", "phone"))[0]
    strict = home(limit=0.1, leakage=leaks)
    assert private_tensors(strict, strict.task) == {"x0", "t0", "t1", "t2", "t3"}
    assert private_tensors(home(), home().task) == {"x0"}


def test_a_tensor_computed_from_a_public_and_a_private_one_is_private() -> None:
    graph = graph_of([[-1], [-2], [0, 1]], [4, 4, 4], inputs=(4, 4))
    problem = home(graph, limit=0.5, leakage={"t0": {"raw": 0.1}})
    assert private_tensors(problem, problem.task) == {"x0", "x1", "t1", "t2"}
    one = problem.replace(tasks=(problem.task.replace(private=("x0",)),))
    assert private_tensors(one, one.task) == {"x0"}


def test_a_codec_that_hides_enough_lets_a_private_tensor_go() -> None:
    leaks = {"t0": {"raw": 0.9, "gaussian": 0.9, "bits1": 0.25}, "x0": {"bits1": 0.25}}
    problem = home(limit=0.3, leakage=leaks)
    made = plan(problem, "phone", "server", "server", "phone")

    def with_codec(tensor: str, codec: str, made: Plan = made) -> Plan:
        crossing = Crossing(tensor=tensor, target="server", codec=codec)
        return made.replace(entries=(made.entries[0].replace(codecs=(crossing,)),))

    assert broken(problem, with_codec("t0", "bits1")) == []
    assert broken(problem, with_codec("t0", "bits1+zlib")) == []
    assert broken(problem, with_codec("t0", "bits8"))
    whole = plan(problem, "server", "server", "server", "phone")
    assert broken(problem, with_codec("x0", "bits1", whole)) == []
    # Without a limit nothing hides an input, whatever was measured.
    assert broken(home(leakage=leaks), with_codec("x0", "bits1", whole))


def test_every_part_and_every_copy_of_a_private_operator_is_on_a_trusted_node() -> None:
    graph = zoo_model("toy_chain").graph
    problem = home(graph)
    rest = ["phone"] * (len(graph.operators) - 1)
    split = Split(axis=2, parts=("phone", "server"), weights=(1.0, 1.0))
    copies = Copies(nodes=("phone", "server"))
    for place in (split, copies):
        (sentence,) = broken(problem, plan(problem, place, *rest))
        assert "goes to 'server'" in sentence


def test_a_partial_result_is_as_private_as_its_tensor() -> None:
    """Megatron's sums: what crosses is a part of a sum, which is called like its tensor with a suffix."""
    graph = transformer("vit", layers=1).graph
    nodes = tuple(Node(name=name, flops_per_s=1e9, trust=2) for name in ("phone", "box"))
    cluster = Cluster(name="pair", nodes=nodes, links=(Link(between=("phone", "box")),))
    objective = Objective(metric="latency", limits={"leakage": 0.5})
    problem = problem_for(graph, cluster, objective=objective, private=("image",), trust=2)
    found = solve(problem, "megatron")
    parts = {one["tensor"] for one in found.crossings() if "{" in one["tensor"] and one["target"] == "box"}
    assert parts and found.cost.feasible
    nodes = (nodes[0], nodes[1].replace(trust=1))
    exposed = problem.replace(cluster=cluster.replace(nodes=nodes))
    said = " ".join(broken(exposed, found.plan))
    assert all(f"{part.partition('{')[0]!r} of" in said for part in parts)


# ---------------------------------------------------------------- problems and their files


def test_an_input_that_is_born_on_a_node_of_too_little_trust_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        InfeasibleError, match="'x0' of 'chain' is private to nodes of trust 3 or more, and it is born on"
    ):
        home().replace(tasks=(home().task.replace(trust=3),))


@pytest.mark.parametrize(
    ("changes", "telling"),
    [
        ({"private": ("t0",)}, "what is private is an input"),
        ({"leakage": {"no": {"raw": 1.0}}}, "what leaks is a tensor"),
    ],
)
def test_names_that_are_none_are_refused(changes: dict[str, object], telling: str) -> None:
    with pytest.raises(GraphError, match=telling):
        home().replace(tasks=(home().task.replace(**changes),))


CLUSTER = """
format = "hocket.cluster/1"
name = "home"
source = "phone"
[[node]]
name = "phone"
speed = "1 GFLOP/s"
trust = 2
[[node]]
name = "server"
speed = "100 GFLOP/s"
[[link]]
between = ["phone", "server"]
rate = "1 Gbit/s"
"""


def written(path: Path, task: str, rest: str = "") -> Path:
    (path / "cluster.toml").write_text(CLUSTER)
    text = f'format = "hocket.problem/1"\ncluster = "cluster.toml"\n[[task]]\nmodel = "zoo:toy_chain"\n{task}\n{rest}'
    (path / "problem.toml").write_text(text)
    return path / "problem.toml"


def graph_at(path: Path, shapes: object) -> Graph:
    return zoo_model("toy_chain").graph


def test_a_problem_file_says_what_is_private(tmp_path: Path) -> None:
    graph = zoo_model("toy_chain").graph
    entry, first = graph.inputs[0].name, graph.operators[0].name
    free = solve(read_problem(written(tmp_path, ""), graph_at))
    assert {stage["node"] for stage in free.stages()} == {"server"}
    secret = read_problem(written(tmp_path, 'private = "all"\ntrust = 2'), graph_at)
    assert secret.task.private == (entry,)
    assert secret == read_problem(written(tmp_path, f'private = ["{entry}"]\ntrust = 2'), graph_at)
    found = solve(secret)
    assert found.cost.feasible and not evaluate(secret, free.plan).feasible
    places = {run.operators.partition("..")[0]: run.on for run in found.plan.entries[0].where}
    assert places[first] == "phone"
    limited = '[objective]\nmetric = "latency"\nlimits = { leakage = 0.1 }'
    kept = solve(read_problem(written(tmp_path, 'private = "all"\ntrust = 2', limited), graph_at))
    assert {run.on for run in kept.plan.entries[0].where} == {"phone"}


def test_a_problem_file_takes_a_table_of_leakage(tmp_path: Path) -> None:
    graph = zoo_model("toy_chain").graph
    first = graph.operators[0].name
    table = LeakageTable(
        model=graph.name, input=graph.inputs[0].name, attack="by hand", known=1, held_out=1, mean_mse=0.1,
        entries=(Leak(tensor=first, leakage=0.3, mse=0.07), Leak(tensor=first, leakage=0.2, mse=0.08)),
    )  # fmt: skip
    table.save(tmp_path / "leakage.json")
    private = 'private = "all"\ntrust = 2\n'
    problem = read_problem(written(tmp_path, private + 'leakage = "leakage.json"'), graph_at)
    assert problem.task.leakage == {first: {"raw": 0.3}}
    assert read_problem(written(tmp_path, private + f'leakage = {{ "{first}" = 0.3 }}'), graph_at) == problem
    nested = f'leakage = {{ "{first}" = {{ raw = 0.3 }} }}'
    assert read_problem(written(tmp_path, private + nested), graph_at) == problem
    table.replace(sha256="00" * 32).save(tmp_path / "leakage.json")
    with pytest.raises(FormatError, match="leakage is measured of one model file"):
        read_problem(written(tmp_path, private + 'leakage = "leakage.json"'), graph_at)
    for wrong in ("leakage = 3", f'leakage = {{ "{first}" = 3.0 }}', "trust = -1", "private = 3"):
        with pytest.raises(FormatError, match=r"correct that key|give one"):
            read_problem(written(tmp_path, wrong), graph_at)


def test_a_source_that_is_not_trusted_enough_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match=r"private to nodes of trust 5 or more, and it is born on 'phone'"):
        read_problem(written(tmp_path, 'private = "all"\ntrust = 5'), graph_at)


# ---------------------------------------------------------------- all solvers


def with_fast_strangers(problem: Problem) -> Problem:
    """Nodes without an input or an answer compute fifty times as fast, and may see nothing private."""
    ends = {*problem.task.inputs.values(), *problem.task.outputs.values()}
    entries = tuple(
        entry if entry.node in ends else entry.replace(seconds={name: s / 50 for name, s in entry.seconds.items()})
        for entry in problem.task.profile.entries
    )
    profile = problem.task.profile.replace(entries=entries)
    return kept_private(problem.replace(tasks=(problem.task.replace(profile=profile),)))


WHOLE = [
    with_fast_strangers(random_problem(seed, metric, nodes=2 + seed % 2, size=5, shape=shape, relay=seed == 3))
    for metric in ("sequential", "latency", "period", "energy")
    for seed, shape in enumerate(("chain", "dag", "diamond", "chain"))
]
DIVIDED = [
    *(with_fast_strangers(split_problem(seed, metric, nodes=3)) for seed in (1, 3) for metric in ("latency", "period")),
]  # fmt: skip


def trusting_two(problem: Problem) -> Problem:
    """The same with one stranger more that may see everything, so that there is something to divide between."""
    strangers = [node.name for node in problem.cluster.nodes if not node.trust]
    nodes = tuple(node.replace(trust=1) if node.name in strangers[:1] else node for node in problem.cluster.nodes)
    return problem.replace(cluster=problem.cluster.replace(nodes=nodes))


DIVIDED += [trusting_two(problem) for problem in DIVIDED]


def test_the_rule_binds_in_these_problems() -> None:
    free = [problem.replace(tasks=(problem.task.replace(private=()),)) for problem in WHOLE]
    plans = [Exhaustive()(problem).plan for problem in free]
    assert sum(bool(broken(problem, made)) for problem, made in zip(WHOLE, plans, strict=True)) >= 6


@pytest.mark.parametrize("name", list(SOLVERS))
def test_every_solver_keeps_private_inputs_on_trusted_nodes_or_says_why_it_cannot(name: str) -> None:
    for problem in (*WHOLE, *DIVIDED):
        if SOLVERS[name]().refuses(problem) is not None:
            continue
        try:
            found = solve(problem, SOLVERS[name](), seed=1) if name in ("local", "remote") else None
            made = found.plan if found else SOLVERS[name]()(problem, seed=1, stop=MaxIterations(5)).plan
        except HocketError as error:
            assert str(error)
            continue
        assert broken(problem, made) == []


@pytest.mark.parametrize(
    "name", ["auto", "exhaustive", "descent", "milp", "epsilon", "linear_scan", "dads", "cic", "ucl"]
)
def test_solvers_that_know_of_missing_ways_find_plans_that_keep_the_rule(name: str) -> None:
    """They do better than the trusted nodes alone wherever that is possible at all."""
    gained = 0
    for problem in WHOLE:
        if problem.task.source not in problem.task.profile.nodes:
            continue
        found = evaluate(problem, SOLVERS[name]()(problem, seed=1, stop=MaxIterations(20)).plan)
        alone = solve(problem, "local").cost
        assert found.feasible
        gained += found.value < alone.value * 0.99
    assert gained >= 4


@pytest.mark.parametrize("name", ["auto", "min_cut", "chain_dp", "milp", "cp_sat", "branch_and_bound"])
def test_exact_solvers_are_exact_among_the_plans_that_keep_the_rule(name: str) -> None:
    proven = 0
    for problem in WHOLE:
        solver = SOLVERS[name]()
        if solver.refuses(problem) is not None:
            continue
        try:
            proposal = solver(problem, seed=1)
            best = evaluate(problem, Exhaustive()(problem).plan).value
        except HocketError:
            continue
        value = evaluate(problem, proposal.plan).value
        assert proposal.bound is None or proposal.bound <= best * (1 + 1e-9)
        if proposal.over == "units":
            proven += 1
            assert value == pytest.approx(best, rel=1e-9)
    assert proven >= 2


def test_where_nothing_keeps_the_rule_the_sentence_names_it() -> None:
    problem = home(limit=0.1)
    nowhere = problem.replace(
        tasks=(problem.task.replace(outputs={"t3": "server"}),),
    )
    for name in ("auto", "exhaustive", "local", "descent", "linear_scan"):
        with pytest.raises(HocketError, match="trust"):
            solve(nowhere, name)
