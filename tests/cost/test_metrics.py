"""Energy, price, reliability, memory, period and objective, worked out by hand."""

import itertools

import pytest
from graphs import graph_of, link, mesh, node, operator, problem_of, profile_of, random_graph, random_places

from hocket.cluster import Cluster
from hocket.cost import Cost, Objective, Problem, Table, evaluate
from hocket.cost.metrics import cubic_energy_j
from hocket.cost.objective import figure, value
from hocket.errors import FormatError
from hocket.graph import Graph
from hocket.plan.placement import plan_for


def graph() -> Graph:
    return graph_of(operator("u", "x", weights=("w",)), operator("v", "u", weights=("w", "z")))


A = {
    "compute_w": 2.0, "idle_w": 0.5, "transmit_w": 1.0, "receive_w": 0.25, "compute_price_per_s": 3.0,
    "transmit_price_per_s": 0.5, "energy_price_per_j": 0.1, "failure_probability": 0.1,
}  # fmt: skip
B = {"compute_w": 10.0, "failure_probability": 0.2, "energy_price_per_j": 0.01}


def problem(**options: object) -> Problem:
    """u takes 1 s and v 2 s at a; 0.5 s each at b; 1 s per crossing."""
    cluster = Cluster(
        name="two", nodes=(node("a", **A), node("b", **B)), links=(link("a", "b", 1e3, failure_probability=0.05),)
    )
    seconds = {"a": {"u": 1.0, "v": 2.0}, "b": {"u": 0.5, "v": 0.5}}
    return problem_of(graph(), cluster, profile_of(graph(), seconds), **options)


def cost(*places: str, **options: object) -> Cost:
    return evaluate(problem(**options), plan_for("task", graph(), places))


def test_energy_of_a_plan_over_two_nodes() -> None:
    # 1 s computing at a, 1 s sending, 0.5 s computing at b, 1 s receiving the answer: 3.5 s in all.
    found = cost("a", "b")
    assert found.latency_s == pytest.approx(3.5)
    at_a = 2.0 * 1 + 1.0 * 1 + 0.25 * 1 + 0.5 * (3.5 - 1)
    assert found.energy_j == pytest.approx(at_a + 10.0 * 0.5)


def test_nodes_that_take_no_part_spend_nothing() -> None:
    assert cost("a", "a").energy_j == pytest.approx(2.0 * 3)


def test_price() -> None:
    found = cost("a", "b")
    energy_a = found.energy_j - 5.0
    assert found.price_usd == pytest.approx(3.0 * 1 + 0.5 * 1 + 0.1 * energy_a + 0.01 * 5.0)


def test_reliability_counts_each_node_and_link_once() -> None:
    assert cost("a", "a").reliability == pytest.approx(0.9)
    assert cost("a", "b").reliability == pytest.approx(0.9 * 0.8 * 0.95)
    assert cost("b", "a").reliability == pytest.approx(0.9 * 0.8 * 0.95)
    assert cost("b", "b").reliability == pytest.approx(0.9 * 0.8 * 0.95), "the source has to live too"


def test_reliability_counts_relays() -> None:
    nodes = tuple(node(name, failure_probability=0.5) for name in "amb")
    line = Cluster(name="line", nodes=nodes, links=(link("a", "m"), link("m", "b")))
    made = problem_of(graph(), line, profile_of(graph(), {"a": {}, "b": {}}))
    assert evaluate(made, plan_for("task", graph(), ["a", "b"])).reliability == pytest.approx(0.5**3)


def test_memory_counts_shared_weights_once_and_mailboxes_for_the_window() -> None:
    assert cost("a", "a").memory_bytes == {"a": 200 + 2 * 1000}
    assert cost("a", "b").memory_bytes == {"a": 100 + 3 * 1000, "b": 200 + 3 * 1000}
    assert cost("a", "b", whole_model=True).memory_bytes == {"a": 200 + 3 * 1000, "b": 200 + 3 * 1000}


def test_the_period_is_the_busiest_resource() -> None:
    assert cost("a", "a").period_s == pytest.approx(3.0)
    found = cost("a", "b")
    assert found.busy_s == pytest.approx({"a": 1.0, "b": 0.5, "link:a>b": 1.0, "link:b>a": 1.0})
    assert found.period_s == pytest.approx(1.0)


def test_the_margin_slows_computing_but_not_links() -> None:
    assert cost("a", "b", margin=0.5).latency_s == pytest.approx(1.5 * 1.5 + 2.0)


def test_cubic_energy() -> None:
    assert cubic_energy_j(2e-28, 2e9, 1e9) == pytest.approx(0.8)


@pytest.mark.parametrize("metric", ["latency", "sequential", "period", "energy", "price"])
def test_the_objective_is_one_figure(metric: str) -> None:
    found = cost("a", "b", objective=Objective(metric=metric))
    assert found.value == figure(found, metric)


def test_a_weighted_objective_divides_by_everything_at_the_source() -> None:
    objective = Objective(metric="weighted", weights={"latency": 1.0, "energy": 0.5})
    assert cost("a", "a", objective=objective).value == pytest.approx(1.5)
    split = cost("a", "b", objective=objective)
    assert split.value == pytest.approx(split.latency_s / 3.0 + 0.5 * split.energy_j / 6.0)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        figure(cost("a", "a"), "beauty")
    assert str(caught.value) == (
        "a metric is one of latency, sequential, period, energy, price, got 'beauty'; correct the name"
    )
    with pytest.raises(FormatError):
        value(problem(objective=Objective(metric="weighted", weights={"beauty": 1.0})), cost("a", "a"))


@pytest.mark.parametrize(
    ("aggregate", "latency"), [("mean", (3.0 + 3 * 3.5) / 4), ("max", 3.5), ("sum", 3.0 + 3 * 3.5)]
)
def test_several_tasks(aggregate: str, latency: float) -> None:
    one = problem(objective=Objective(aggregate=aggregate))
    tasks = (one.task.replace(name="s"), one.task.replace(name="t", weight=3.0))
    plans = [plan_for("s", graph(), ["a", "a"]), plan_for("t", graph(), ["a", "b"])]
    plan = plans[0].replace(entries=plans[0].entries + plans[1].entries)
    found = evaluate(one.replace(tasks=tasks), plan)
    alone = [cost("a", "a"), cost("a", "b")]
    assert found.latency_s == pytest.approx(latency)
    assert found.energy_j == pytest.approx(alone[0].energy_j + alone[1].energy_j)
    assert found.busy_s["a"] == pytest.approx(4.0)
    assert found.memory_bytes["a"] == alone[0].memory_bytes["a"] + alone[1].memory_bytes["a"]


@pytest.mark.parametrize("seed", range(10))
def test_sequential_is_the_sum_of_the_solvers_table(seed: int) -> None:
    made = random_graph(seed, 12)
    cluster = mesh(node("a", compute_w=1.0), node("b"), node("c"), bytes_per_s=1e6, latency_s=0.01)
    times = {
        name: {row.name: row.flops / (1e9 * factor) for row in made.operators}
        for name, factor in zip("abc", (1, 2, 3), strict=True)
    }
    problem_ = problem_of(made, cluster, profile_of(made, times, call_s=0.001))
    places = random_places(seed, 12, ["a", "b", "c"])
    found = evaluate(problem_, plan_for("task", made, places))
    table = Table(problem_, problem_.task)
    computing = sum(table.seconds[v, table.nodes.index(place)] for v, place in enumerate(places))
    crossings = set()
    origin = {"x0": "a"} | {
        name: place for row, place in zip(made.operators, places, strict=True) for name in row.outputs
    }
    for row, place in zip(made.operators, places, strict=True):
        crossings |= {(name, place) for name in row.inputs}
    crossings |= {(name, "a") for name in made.outputs}
    sending = sum(table.transfer_s(origin[name], place, made.tensor[name].nbytes) for name, place in crossings)
    assert found.sequential_s == pytest.approx(computing + sending)


@pytest.mark.parametrize("places", list(itertools.product("ab", repeat=2)))
def test_latency_is_at_most_sequential_plus_calls(places: tuple[str, str]) -> None:
    found = cost(*places)
    assert found.latency_s <= found.sequential_s + 1e-12
    assert found.period_s <= found.latency_s + 1e-12
