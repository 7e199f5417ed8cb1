"""Thinking: a question about a world is the problem of that world, solved."""

import pytest
from worlds import DOWN, UP, WEIGHT, cluster_of, problem_of, rate

from hocket.control.live.facts import World
from hocket.control.live.thinking import Manner, changed, facts_of, faster, stated, think, value_of
from hocket.cost import Problem, evaluate
from hocket.plan import Plan
from hocket.solvers import solve

MANNER = Manner("chain_dp")
THIRD = ("phone", "third")


def three(fast: float = 2e6, third: float = 1e6) -> Problem:
    return problem_of(cluster_of(rate(fast), third=rate(third)))


def answer(problem: Problem, world: World, current: Plan | None = None) -> tuple[Plan, float]:
    plan, facts = think(problem, MANNER, "best", world, current).found[0]
    return plan, facts.value_s


def by_hand(problem: Problem) -> tuple[Plan, float]:
    solution = solve(problem, "chain_dp")
    return solution.plan, solution.cost.latency_s


def same(found: tuple[Plan, float], expected: tuple[Plan, float]) -> bool:
    return found[0].entries == expected[0].entries and found[1] == pytest.approx(expected[1])


def test_the_world_as_described_is_the_problem() -> None:
    assert same(answer(three(), World()), by_hand(three()))


@pytest.mark.parametrize("bytes_per_s", [1e4, 1e5, 3e5, 1e6, 1e7])
def test_with_other_rates_it_is_the_cluster_with_those_rates(bytes_per_s: float) -> None:
    world = World(rates={UP: bytes_per_s, DOWN: bytes_per_s})
    assert same(answer(three(), world), by_hand(three(bytes_per_s)))


@pytest.mark.parametrize("load", [0.5, 3.0, 50.0])
def test_with_other_loads_it_is_the_profile_with_those_loads(load: float) -> None:
    cluster = cluster_of(rate(2e6), third=rate(1e6))
    found = answer(three(), World(loads={"edge": load, "phone": 2.0}))
    assert same(found, by_hand(problem_of(cluster, {"edge": load, "phone": 2.0})))


def test_without_a_node_it_is_the_cluster_without_it() -> None:
    plan, value_s = answer(three(), World(missing=frozenset({"third"})))
    expected, latency_s = by_hand(problem_of(cluster_of(rate(2e6))))
    assert (plan.entries, value_s) == (expected.entries, pytest.approx(latency_s))


def test_with_a_cut_way_it_is_the_cluster_without_its_link() -> None:
    whole = three().cluster
    left = whole.replace(links=tuple(link for link in whole.links if link.between != UP))
    for cut in (UP, DOWN):
        assert same(answer(three(), World(cut=frozenset({cut}))), by_hand(problem_of(left)))


def test_without_the_source_nothing_runs_and_the_sentence_says_so() -> None:
    thoughts = think(three(), MANNER, "best", World(missing=frozenset({"phone"})), None)
    assert thoughts.found == ()
    assert "without node 'phone' no plan can run" in thoughts.sentence


def test_a_table_is_relative_to_the_world_that_was_seen() -> None:
    problem, factors = three(), (0.1, 1.0, 4.0)
    world = World(rates={UP: 5e5, DOWN: 5e5, THIRD: 1e4, THIRD[::-1]: 1e4})
    rows = think(problem, MANNER, "table", world, None, factors).found
    assert [facts.factor for _, facts in rows] == list(factors)
    for factor, (plan, facts) in zip(factors, rows, strict=True):
        assert same((plan, facts.value_s), by_hand(three(5e5 * factor, 1e4 * factor)))


def test_faster_leaves_a_world_alone_at_its_own_speed() -> None:
    world = World(rates={UP: 1e5})
    assert faster(three(), world, 1.0) is world
    assert faster(three(), world, 2.0).rates == {UP: 2e5, DOWN: 4e6, THIRD: 2e6, THIRD[::-1]: 2e6}


def test_the_plan_in_force_is_judged_in_the_same_world() -> None:
    problem, world = three(), World(rates={UP: 1e4, DOWN: 1e4})
    current, _ = by_hand(problem)
    thoughts = think(problem, MANNER, "best", world, current)
    assert thoughts.current_value == pytest.approx(evaluate(three(1e4), current).latency_s)
    assert value_of(problem, World(missing=frozenset({"edge", "third"})), current) is None


def test_no_world_is_solved_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, world = three(), World(rates={UP: 1e5, DOWN: 1e5})
    first = answer(problem, world)
    monkeypatch.setattr("hocket.control.live.thinking.solve", None)
    assert answer(problem, World(rates={DOWN: 1e5, UP: 1e5})) == first


def test_facts_say_what_each_way_carries() -> None:
    problem = problem_of(cluster_of(rate(1e7)))
    plan, _ = by_hand(problem)  # the first operator stays on the phone: its result is a quarter of the input
    assert facts_of(problem, plan).carried == {UP: 4 * 25_000.0, DOWN: 40.0}


def test_what_is_stated_has_the_latency_of_ways() -> None:
    assert stated(three().cluster).delays == dict.fromkeys((UP, DOWN, THIRD, THIRD[::-1]), 0.002)
    assert changed(three(), World()).cluster == three().cluster


def test_moving_takes_as_long_as_the_weights_that_are_missing() -> None:
    problem = problem_of(cluster_of(rate(1e7)))
    local = think(problem, MANNER, "best", World(rates={UP: 1.0, DOWN: 1.0}), None).found[0][0]
    _, facts = think(problem, MANNER, "best", World(rates={UP: 1e6, DOWN: 1e6}), local).found[0]
    moved = evaluate(problem, local).memory_bytes, facts.memory_bytes
    assert moved[1]["edge"] > moved[0].get("edge", 0)
    assert facts.move_s == pytest.approx(2 * WEIGHT / 1e6)  # two of the four operators go to the edge server
