"""Shares: reserved and capped, the same for the program and the judge; stations, refusals, dealing."""

import numpy as np
import pytest
from graphs import graph_of, mesh, node, operator, profile_of
from stars import cluster, entry, problem, split, task

from hocket.cluster import Medium, Node, RateTrace
from hocket.cost import Objective, Problem, Task, evaluate, simulate
from hocket.cost.evaluate import entries_of
from hocket.cost.queueing import Stream, wait_of_streams_s
from hocket.errors import ClusterError, PlanError
from hocket.plan import Plan
from hocket.plan.dealing import dealt
from hocket.plan.equipment import equipment
from hocket.plan.shares import held


def test_a_share_of_a_node_takes_longer_in_the_program_and_for_the_judge() -> None:
    made = problem(task("t", "a"))
    whole, part = (evaluate(made, Plan(entries=(split("t", "a", shares=s),))) for s in ({}, {"e": 0.25}))
    assert part.latency_s - whole.latency_s == pytest.approx(0.06 / 0.25 - 0.06)
    assert part.busy_s["e/t"] == pytest.approx(0.24)
    assert "e" not in part.busy_s
    sites, _, _ = equipment(made.cluster, split("t", "a", shares={"e": 0.25}))
    assert {site.name: site.slowdown for site in sites} == {"a": 1.0, "b": 1.0, "e": 4.0}


def test_a_share_costs_its_part_of_the_rent_and_of_the_power() -> None:
    made = problem(task("t", "a"))
    whole, part = (evaluate(made, Plan(entries=(split("t", "a", shares=s),))) for s in ({}, {"e": 0.25}))
    assert (part.energy_j, part.price_usd) == (pytest.approx(whole.energy_j), pytest.approx(whole.price_usd))


def test_a_share_of_a_medium_is_a_resource_of_its_own_on_every_wire() -> None:
    made = problem(task("t", "a"))
    plan = Plan(entries=(split("t", "a", shares={"wifi": 0.5}),))
    assert evaluate(made, plan).busy_s["medium:wifi/t"] == pytest.approx(2 * 1000 / 5e3)
    _, wires, resources = equipment(made.cluster, plan.entries[0])
    assert all("medium:wifi/t" in wire.resources and "medium:wifi" not in wire.resources for wire in wires)
    assert {resource.name: resource.bytes_per_s for resource in resources}["medium:wifi/t"] == 5e3


def test_the_trace_of_a_shared_medium_is_scaled() -> None:
    medium = Medium(name="wifi", trace=RateTrace(steps=((0.0, 1e3), (1.0, 4e3)), length_s=2.0))
    star = cluster().replace(media=(medium,))
    _, _, resources = equipment(star, split("t", "a", shares={"medium:wifi": 0.5}))
    own = next(resource for resource in resources if resource.name == "medium:wifi/t")
    assert (own.trace, own.trace_s) == (((0.0, 500.0), (1.0, 2e3)), 2.0)


def test_whole_cores_have_the_gain_that_the_node_states() -> None:
    gains = {"cores": 4, "core_gains": ((2, 1.8), (4, 3.0))}
    shares = {cores: held(cluster(**gains), split("t", "a", shares={"e": float(cores)}))["e"] for cores in (1, 2, 3, 4)}
    assert [share.speed for share in shares.values()] == pytest.approx([1 / 3, 1.8 / 3, 2.4 / 3, 1.0])
    assert [share.portion for share in shares.values()] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    linear = held(cluster(cores=4), split("t", "a", shares={"e": 3.0}))["e"]
    assert linear == (0.75, 0.75)


def test_four_tasks_with_one_core_each_fit_on_four_cores() -> None:
    gains = {"cores": 4, "core_gains": ((2, 1.8), (4, 3.0))}
    made = problem(*(task(name, "a") for name in "pqrs"), server=gains)
    cost = evaluate(made, Plan(entries=tuple(split(name, "a", shares={"e": 1.0}) for name in "pqrs")))
    assert cost.feasible
    assert cost.busy_s["e/p"] == pytest.approx(0.06 * 3)


def test_gains_are_in_order() -> None:
    with pytest.raises(ClusterError) as caught:
        Node(name="e", flops_per_s=1e9, core_gains=((2, 1.8), (4, 1.5)))
    assert str(caught.value) == (
        "node 'e' has a gain of 1.5 with 4 cores after 1.8 with 2, and gains are listed by rising cores and do not"
        " fall; put them in order"
    )


def test_shares_beyond_the_whole_break_c2_and_c4() -> None:
    made = problem(task("s", "a"), task("t", "b"))
    shares = {"e": 0.7, "wifi": 0.6}
    cost = evaluate(made, Plan(entries=(split("s", "a", shares=shares), split("t", "b", shares=shares))))
    assert [found.sentence for found in cost.violations] == [
        "C2: the shares of a resource add up to at most 1, and those of 'e' to 1.4; lower one",
        "C4: the shares of a resource add up to at most 1, and those of 'medium:wifi' to 1.2; lower one",
    ]


def test_a_task_has_one_share_of_a_thing() -> None:
    made = problem(task("t", "a"))
    entries = tuple(split("t", "a", shares={"e": share}) for share in (0.2, 0.3))
    with pytest.raises(PlanError) as caught:
        evaluate(made, Plan(entries=entries))
    assert str(caught.value) == (
        "C1: a task has one share of a resource, and 't' has 0.2 and 0.3 of 'e'; give its entries the same"
    )


def test_who_has_no_share_has_what_the_shares_leave() -> None:
    made = problem(task("s", "a", rate_per_s=2.0), task("t", "b", rate_per_s=2.0))
    plan = Plan(entries=(split("s", "a", shares={"e": 0.9}), split("t", "b")))
    assert [found.sentence for found in evaluate(made, plan).violations] == [
        "C2: tasks without a share have what the shares leave, and of 'e' that is 0.1 where they would need 0.12;"
        " lower the shares or give them some",
    ]


def test_a_full_share_names_its_station() -> None:
    made = problem(task("s", "a", rate_per_s=2.0), queue="mm1")
    cost = evaluate(made, Plan(entries=(split("s", "a", shares={"e": 0.1}),)))
    assert cost.wait_s == float("inf")
    assert [found.sentence for found in cost.violations] == [
        "C2: a station works less than all the time, and 'e/s' would be busy 1.2 seconds per second; lower the rate or"
        " use a larger share",
    ]


def test_waiting_counts_all_tasks_of_a_station_but_not_those_with_a_share() -> None:
    tasks = [task(name, where, rate_per_s=2.0) for name, where in (("s", "a"), ("t", "b"), ("u", "b"))]
    made = problem(*tasks, queue="md1")
    whole = [entry(name, ("u..v", "e")) for name in "stu"]
    both = evaluate(made, Plan(entries=tuple(whole)))
    radio = [Stream(2.0, 0.2)] * 3
    assert both.wait_s == float("inf")
    assert wait_of_streams_s("md1", [Stream(2.0, 0.08)] * 3) == pytest.approx(0.48 * 0.08 / 2 / 0.52)
    assert radio[0].rate_per_s * radio[0].service_s * 3 > 1
    made = problem(*(row.replace(rate_per_s=0.5) for row in tasks), queue="md1")
    parted = Plan(entries=(*whole[:2], whole[2].replace(shares={"e": 0.5})))
    station = {"e": [Stream(0.5, 0.08)] * 2, "e/u": [Stream(0.5, 0.16)], "medium:wifi": [Stream(0.5, 0.2)] * 3}
    waits = {name: wait_of_streams_s("md1", streams) for name, streams in station.items()}
    links = wait_of_streams_s("md1", [Stream(0.5, 0.1)]), wait_of_streams_s("md1", [Stream(0.5, 0.1)] * 2)
    cost = evaluate(made, parted)
    expected = [
        waits["e"] + waits["medium:wifi"] + _links(made, "a", 1),
        waits["e"] + waits["medium:wifi"] + _links(made, "b", 2),
        waits["e/u"] + waits["medium:wifi"] + _links(made, "b", 2),
    ]
    assert links[0] < links[1]
    assert cost.wait_s == pytest.approx(np.mean(expected))


def _links(made: Problem, device: str, tasks: int) -> float:
    """Waiting for both directions of the link of a device, which its transfers hold as long as the medium."""
    assert made.cluster.link[device, "e"].up.bytes_per_s
    return 2 * wait_of_streams_s("md1", [Stream(0.5, 0.1)] * tasks)


def test_a_task_that_may_be_refused_costs_what_it_says() -> None:
    objective = Objective(metric="latency", aggregate="sum")
    made = problem(task("s", "a"), task("t", "b", refusal_cost=0.3), objective=objective)
    one = evaluate(made, Plan(entries=(split("s", "a"),)))
    assert one.refused == ("t",)
    alone = evaluate(made.replace(tasks=made.tasks[:1]), Plan(entries=(split("s", "a"),)))
    assert one.value == pytest.approx(alone.value + 0.3)
    assert (one.energy_j, one.busy_s) == (alone.energy_j, alone.busy_s)
    both = evaluate(made, Plan(entries=(split("s", "a"), split("t", "b"))))
    assert both.refused == ()
    assert simulate(made, Plan(entries=(split("s", "a"),)), requests=3).refused == ("t",)
    with pytest.raises(PlanError, match="C1: every task has an entry, and 's' has none; add one or drop the task"):
        evaluate(made, Plan(entries=(split("t", "b"),)))


def test_nobody_served() -> None:
    made = problem(task("s", "a", refusal_cost=2.0))
    for cost in (evaluate(made, Plan(entries=())), simulate(made, Plan(entries=()))):
        assert (cost.value, cost.latency_s, cost.refused) == (2.0, 0.0, ("s",))


def test_requests_are_dealt_out_by_weight() -> None:
    made = problem(task("t", "a", rate_per_s=0.1), queue="md1")
    home, away = entry("t", ("u..v", "a"), weight=3.0), entry("t", ("u..v", "e"))
    first, second = (evaluate(made, Plan(entries=(part,))) for part in (home, away))
    cost = evaluate(made, Plan(entries=(home, away)))
    assert cost.latency_s == pytest.approx(0.75 * first.latency_s + 0.25 * second.latency_s)
    assert cost.energy_j == pytest.approx(0.75 * first.energy_j + 0.25 * second.energy_j)
    assert cost.busy_s["a"] == pytest.approx(0.75 * 0.8)
    assert cost.busy_s["e"] == pytest.approx(0.25 * 0.08)
    assert cost.memory_bytes["a"] >= 200
    assert cost.wait_s == pytest.approx(
        0.75 * wait_of_streams_s("md1", [Stream(0.075, 0.8)])
        + 0.25 * (wait_of_streams_s("md1", [Stream(0.025, 0.08)]) + wait_of_streams_s("md1", [Stream(0.025, 0.2)]))
        + 0.25 * 2 * wait_of_streams_s("md1", [Stream(0.025, 0.1)])
    )


def test_dealing_counts_weights_that_entries_have_in_common_once() -> None:
    made = problem(task("t", "a"))
    one = evaluate(made, Plan(entries=(split("t", "a"),)))
    two = evaluate(made, Plan(entries=(split("t", "a"), entry("t", ("u..v", "a")))))
    assert one.memory_bytes["a"] == 100 + 3 * 1000
    assert two.memory_bytes["a"] == 200 + 3 * 2000


def test_equal_weights_are_dealt_in_turn() -> None:
    assert dealt([1 / 3, 1 / 3, 1 / 3], 6) == [0, 1, 2, 0, 1, 2]
    counts = np.bincount(dealt([0.5, 0.3, 0.2], 1000))
    assert list(counts) == [500, 300, 200]


def test_the_simulation_deals_and_shares() -> None:
    made = problem(task("t", "a"), task("s", "b"))
    entries = (entry("t", ("u..v", "a"), weight=3.0), entry("t", ("u..v", "e"), shares={"e": 0.5}))
    plan = Plan(entries=(*entries, split("s", "b", shares={"e": 0.5})))
    simulated, predicted = simulate(made, plan, requests=8), evaluate(made, plan)
    assert simulated.busy_s == pytest.approx(predicted.busy_s)
    assert {"e/t", "e/s"} <= simulated.busy_s.keys()
    assert [fraction for fraction, _ in entries_of(plan, made.tasks[0])] == [0.75, 0.25]


def test_tasks_with_shares_do_not_wait_for_each_other() -> None:
    """Two tasks that arrive at once on one server: with shares both end as if they were alone."""
    made = problem(task("s", "a"), task("t", "b"))
    shares = {"e": 0.5, "wifi": 0.5}
    plan = Plan(entries=(split("s", "a", shares=shares), split("t", "b", shares=shares)))
    assert simulate(made, plan, requests=1).latency_s == pytest.approx(evaluate(made, plan).latency_s)
    free = Plan(entries=(entry("s", ("u..v", "e")), entry("t", ("u..v", "e"))))
    assert simulate(made, free, requests=1).latency_s > evaluate(made, free).latency_s + 0.01


@pytest.mark.parametrize("services", [(0.1, 0.1), (0.05, 0.15)])
def test_simulated_waiting_is_that_of_pollaczek_and_khinchine(services: tuple[float, float]) -> None:
    """Turns change who waits, not the waiting weighted by load (Kleinrock's conservation law)."""
    graph = graph_of(operator("u", "x"))
    tasks = tuple(
        Task(name=name, graph=graph, profile=profile_of(graph, {"a": {"u": seconds}}), inputs={"x": "a"},
             outputs={"u": "a"}, rate_per_s=3.0)
        for name, seconds in zip("st", services, strict=True)
    )  # fmt: skip
    made = Problem(tasks=tasks, cluster=mesh(node("a")), queue="md1")
    plan = Plan(entries=tuple(entry(name, ("u", "a")) for name in "st"))
    wait = evaluate(made, plan).wait_s
    assert wait == pytest.approx(wait_of_streams_s("md1", [Stream(3.0, seconds) for seconds in services]))
    spans = simulate(made, plan, requests=8000, seed=3, trace=True).trace.spans
    took = {name: [s.stop_s - s.start_s for s in spans if s.kind == "request" and s.id == name] for name in "st"}
    weighted = sum(3.0 * s * (np.mean(took[name]) - s) for name, s in zip("st", services, strict=True))
    assert weighted / (3.0 * sum(services)) == pytest.approx(wait, rel=0.07)
