"""The probability that a program answers: against every case of what is up and what is down."""

import random
from collections.abc import Iterator
from itertools import pairwise, product

import pytest
from graphs import graph_of, link, mesh, node, operator, problem_of, profile_of, random_graph

from hocket.cluster import Cluster
from hocket.cost import Problem, evaluate
from hocket.cost.survival import reliability
from hocket.errors import InfeasibleError, PlanError
from hocket.graph import Graph
from hocket.plan import Copies, Entry, Plan, Run
from hocket.plan.lower import lower
from hocket.program import INPUT, Binding, Port, Program, Segment, Site, TensorInfo, Transfer, Wire
from hocket.solvers import Solver
from hocket.solvers.robust import CpoSa3Fmtr, ReplicaSearch


def chances(cluster: Cluster) -> dict[frozenset[str], float]:
    """Failure probability of each node {a} and each link {a, b}."""
    nodes = {frozenset({each.name}): each.failure_probability for each in cluster.nodes}
    return nodes | {frozenset(each.between): each.failure_probability for each in cluster.links}


def answers(program: Program, down: set[frozenset[str]]) -> bool:
    """Whether every answer arrives: whatever can start does, until nothing new starts."""
    there: set[str] = set()

    def has(source: str, at: str) -> bool:
        return frozenset({at}) not in down if source == INPUT else source in there

    def works(path: tuple[str, ...]) -> bool:
        return not any({frozenset({a}), frozenset({b}), frozenset({a, b})} & down for a, b in pairwise(path))

    def ready(port: Port, at: str) -> bool:
        came = [has(source, at) for source in port.sources]
        return any(came) if port.take != "all" else all(came)

    before = -1
    while len(there) > before:
        before = len(there)
        for segment in program.segments:
            if frozenset({segment.node}) not in down and all(ready(port, segment.node) for port in segment.inputs):
                there.add(segment.id)
        there |= {each.id for each in program.transfers if has(each.source, each.path[0]) and works(each.path)}
    return all(has(each.source, each.node) and frozenset({each.node}) not in down for each in program.outputs)


def by_enumeration(cluster: Cluster, program: Program) -> float:
    known = chances(cluster)
    total = 0.0
    for states in product([False, True], repeat=len(known)):
        weight = 1.0
        for chance, fails in zip(known.values(), states, strict=True):
            weight *= chance if fails else 1 - chance
        if weight:
            total += weight * answers(program, {name for name, fails in zip(known, states, strict=True) if fails})
    return total


def unreliable(rng: random.Random, *, line: bool = False) -> Cluster:
    """Three nodes in a row, or linked to each other; each node and link fails sometimes, now and then never."""
    nodes = tuple(node(name, failure_probability=rng.choice([0.0, 0.1, 0.3, 0.5])) for name in "abc")
    ways = [("a", "b"), ("b", "c")] if line else [("a", "b"), ("b", "c"), ("a", "c")]
    links = tuple(link(a, b, failure_probability=rng.choice([0.0, 0.05, 0.4])) for a, b in ways)
    return Cluster(name="unreliable", nodes=nodes, links=links)


def random_runs(rng: random.Random, graph: Graph, *, copies: bool) -> Iterator[Run]:
    """Operators cut into runs, each on a node or, if asked for, on racing copies."""
    names = [each.name for each in graph.operators]
    start = 0
    while start < len(names):
        last = min(start + rng.choice([0, 1, 3]), len(names) - 1)
        some = tuple(rng.sample("abc", rng.choice([2, 3])))
        on = Copies(nodes=some) if copies and rng.random() < 0.6 else rng.choice("abc")
        yield Run(operators=names[start] if start == last else f"{names[start]}..{names[last]}", on=on)
        start = last + 1


def random_program(seed: int, *, copies: bool) -> tuple[Cluster, Program]:
    rng = random.Random(f"{seed} {copies}")
    graph = random_graph(seed, rng.choice([2, 4, 6]), inputs=rng.choice([1, 2]))
    cluster = unreliable(rng, line=seed % 3 == 0)
    entry = Entry(task="t", where=tuple(random_runs(rng, graph, copies=copies)))
    inputs = {tensor.name: rng.choice("abc") for tensor in graph.inputs}
    return cluster, lower(graph, entry, cluster, inputs, {name: rng.choice("abc") for name in graph.outputs})


def chooses(program: Program) -> bool:
    """Whether something takes the first of several answers."""
    return any(port.take == "first" for segment in program.segments for port in segment.inputs)


@pytest.mark.parametrize("seed", range(60))
def test_with_racing_copies_it_is_that_of_all_cases(seed: int) -> None:
    cluster, program = random_program(seed, copies=True)
    found, expected = reliability(cluster, program), by_enumeration(cluster, program)
    if chooses(program):
        assert found == pytest.approx(expected, abs=1e-12)
    else:
        # Where each reader has a copy on its own node, the copies that nobody reads are counted as needed.
        assert found <= expected + 1e-12


def test_most_of_the_random_programs_choose() -> None:
    assert sum(chooses(random_program(seed, copies=True)[1]) for seed in range(60)) >= 25


@pytest.mark.parametrize("seed", range(15))
def test_without_copies_it_is_the_product_of_all_that_is_used(seed: int) -> None:
    cluster, program = random_program(seed, copies=False)
    used = {frozenset({name}) for name in program.nodes()}
    used |= {frozenset(hop) for transfer in program.transfers for hop in pairwise(transfer.path)}
    product_of_all = 1.0
    for name, chance in chances(cluster).items():
        product_of_all *= 1 - chance if name in used else 1.0
    assert reliability(cluster, program) == pytest.approx(product_of_all)
    assert reliability(cluster, program) == pytest.approx(by_enumeration(cluster, program))


def race(
    b: float = 0.1, c: float = 0.2, *, links: float = 0.0, source: float = 0.0, **task: object
) -> tuple[Problem, Plan]:
    """u and v on b and c at once, the inputs and the answer at a, which is slow; b answers after 1 s, c after 3 s."""
    graph = graph_of(operator("u", "x"), operator("v", "u"))
    failing = {"a": source, "b": b, "c": c}
    cluster = mesh(*(node(name, failure_probability=chance) for name, chance in failing.items()), bytes_per_s=None)
    cluster = cluster.replace(links=tuple(each.replace(failure_probability=links) for each in cluster.links))
    seconds = {"a": {"u": 9.0, "v": 9.0}, "b": {"u": 0.5, "v": 0.5}, "c": {"u": 1.0, "v": 2.0}}
    problem = problem_of(graph, cluster, profile_of(graph, seconds), task=task)
    return problem, Plan(entries=(Entry(task="task", where=(Run(operators="u..v", on=Copies(nodes=("b", "c"))),)),))


@pytest.mark.parametrize(("options", "expected"), [
    ({}, 1 - 0.02),
    ({"source": 0.5}, 0.5 * 0.98),
    ({"links": 0.5}, 1 - (1 - 0.9 * 0.5) * (1 - 0.8 * 0.5)),  # the link to a copy carries the answer back too
    ({"b": 1.0}, 0.8),
    ({"b": 1.0, "c": 1.0}, 0.0),
])  # fmt: skip
def test_a_race_answers_if_one_copy_does(options: dict[str, float], expected: float) -> None:
    problem, plan = race(**options)
    assert evaluate(problem, plan).reliability == pytest.approx(expected)


def test_two_races_in_a_row_need_one_copy_each() -> None:
    problem, _ = race()
    runs = tuple(Run(operators=name, on=Copies(nodes=("b", "c"))) for name in "uv")
    # Whichever of b and c is up has computed both.
    assert evaluate(problem, Plan(entries=(Entry(task="task", where=runs),))).reliability == pytest.approx(0.98)
    on_a = (Run(operators="u", on=Copies(nodes=("a", "b"))), Run(operators="v", on=Copies(nodes=("b", "c"))))
    assert evaluate(problem, Plan(entries=(Entry(task="task", where=on_a),))).reliability == pytest.approx(0.98)


def test_mirrored_copies_are_all_needed_where_they_are_used() -> None:
    problem, _ = race()
    runs = (
        Run(operators="u", on=Copies(nodes=("b", "c"), mode="mirror")),
        Run(operators="v", on=Copies(nodes=("b", "c"))),
    )
    mirrored = evaluate(problem, Plan(entries=(Entry(task="task", where=runs),))).reliability
    assert mirrored == pytest.approx(0.98)  # each copy of v reads the u that is on its own node
    runs = (runs[0], Run(operators="v", on="a"))
    assert evaluate(problem, Plan(entries=(Entry(task="task", where=runs),))).reliability == pytest.approx(0.9 * 0.8)


def test_a_port_with_a_deadline_goes_on_with_what_has_come() -> None:
    cluster = mesh(node("a"), node("b", failure_probability=0.1), node("c", failure_probability=0.2))
    made = [
        Segment(id=f"y@{n}", node=n, operators=(), inputs=(Port(tensor="x", sources=(f"x>{n}",)),), outputs=("y",))
        for n in "bc"
    ]
    port = Port(tensor="y", sources=("y<b", "y<c"), take="deadline", deadline_s=1.0)
    program = Program(
        name="t",
        sites=tuple(Site(name=name) for name in "abc"),
        wires=tuple(Wire(source=s, target=t) for s in "abc" for t in "abc" if s != t),
        resources=(),
        tensors=tuple(TensorInfo(name=name, dtype="uint8", shape=(9,)) for name in "xyz"),
        segments=(*made, Segment(id="z", node="a", operators=(), inputs=(port,), outputs=("z",))),
        transfers=(
            *(Transfer(id=f"x>{n}", tensor="x", source=INPUT, path=("a", n), nbytes=9) for n in "bc"),
            *(Transfer(id=f"y<{n}", tensor="y", source=f"y@{n}", path=(n, "a"), nbytes=9) for n in "bc"),
        ),
        inputs=(Binding(tensor="x", node="a"),),
        outputs=(Binding(tensor="z", node="a", source="z"),),
    )
    assert reliability(cluster, program) == pytest.approx(by_enumeration(cluster, program))
    assert reliability(cluster, program) == pytest.approx(0.98)


@pytest.mark.parametrize("solver", [CpoSa3Fmtr(), ReplicaSearch()], ids=lambda solver: solver.name)
def test_a_floor_that_only_copies_meet_is_met(solver: Solver) -> None:
    floored = race(reliability_floor=0.95, deadline_s=5.0)[0]  # a alone would be reliable, but late
    proposal = solver(floored)
    assert evaluate(floored, proposal.plan).feasible
    assert evaluate(floored, proposal.plan).reliability == pytest.approx(0.98)
    assert all(isinstance(run.on, Copies) for run in proposal.plan.entries[0].where)


@pytest.mark.parametrize("solver", [CpoSa3Fmtr(copies=1), ReplicaSearch(copies=1)], ids=lambda solver: solver.name)
def test_without_copies_that_floor_is_not_met(solver: Solver) -> None:
    with pytest.raises(InfeasibleError, match=r"'task' needs 0\.95 and gets 0\.[89]"):
        solver(race(reliability_floor=0.95, deadline_s=5.0)[0])


def test_too_many_cases_are_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hocket.cost.survival._MOST_DECIDED", 5)
    problem, plan = race(links=0.5)
    with pytest.raises(PlanError) as caught:
        evaluate(problem, plan)
    assert str(caught.value) == "the reliability of 'task' has more than 5 cases; use fewer copies"
