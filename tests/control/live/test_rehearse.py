"""Rehearsing: made-up links and loads, the policies' answer to them, and the same again."""

import math

import pytest
from worlds import cluster_of, problem_of, rate

from hocket.cluster import Direction, RateTrace
from hocket.control.live.facts import World
from hocket.control.live.policy import POLICIES
from hocket.control.live.rehearse import Rehearsal, Worlds, candidates, described, latencies, rehearse
from hocket.control.live.state import Rules
from hocket.control.live.thinking import Manner, think
from hocket.cost import Problem, evaluate
from hocket.errors import PlanError
from hocket.plan import Plan

MANNER = Manner("chain_dp")
FAST, SLOW = 4e6, 1e5
ADAPTIVE = ["table", "threshold", "replan"]


def steps(*rates: tuple[float, float]) -> Direction:
    return Direction(trace=RateTrace(steps=rates, length_s=1000.0))


def begin(problem: Problem) -> Plan:
    return think(problem, MANNER, "best", World(), None).found[0][0]


def play(name: str, way: Direction, until: int = 60, *, first: Problem | None = None, **fields: object) -> Rehearsal:
    known = first or problem_of(cluster_of(rate(FAST)))
    arrivals_s = [1.0 + number / 2 for number in range(2 * until)]
    rules = Rules(standby="none", quiet_s=1.0)
    return rehearse(
        problem_of(cluster_of(way)), begin(known), POLICIES[name](), arrivals_s, manner=MANNER, rules=rules,
        known=known, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("name", ADAPTIVE)
def test_it_follows_a_link_down_and_up_and_stays_there(name: str) -> None:
    found = play(name, steps((0.0, FAST), (15.0, SLOW), (30.0, FAST)), 60)
    slow, fast = problem_of(cluster_of(rate(SLOW))), problem_of(cluster_of(rate(FAST)))
    # Within a grid step of the rate another plan may look as good.
    assert found.latencies_s[2 * 22 : 2 * 29] == pytest.approx([best_s(slow)] * 14, rel=0.12)
    assert found.latencies_s[2 * 12 : 2 * 14] == pytest.approx([best_s(fast)] * 4)
    # After a rise by 40 the mean of seconds / byte needs some 20 s: what was slow weighs most.
    assert found.latencies_s[2 * 57 :] == pytest.approx([best_s(fast)] * 6)


def best_s(problem: Problem) -> float:
    return evaluate(problem, begin(problem)).latency_s


@pytest.mark.parametrize("name", [*ADAPTIVE, "static"])
def test_a_link_that_stays_is_left_alone(name: str) -> None:
    found = play(name, steps((0.0, FAST)), 20)
    assert found.switches == 1  # the beginning
    assert found.latencies_s[2:] == pytest.approx([found.latencies_s[2]] * 38)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_server_that_others_fill_up_is_left(name: str) -> None:
    busy = RateTrace(steps=((0.0, 1.0), (10.0, 30.0)), length_s=1000.0)
    found = play(name, steps((0.0, FAST)), 20, slow={"edge": busy})
    stayed = play("static", steps((0.0, FAST)), 20, slow={"edge": busy})
    assert sum(found.latencies_s[2 * 15 :]) < 0.6 * sum(stayed.latencies_s[2 * 15 :])
    assert found.latencies_s[:16] == pytest.approx(stayed.latencies_s[:16])


def test_a_link_that_stands_still_is_noticed_before_anything_arrives() -> None:
    found = play("replan", steps((0.0, FAST), (10.2, 0.0), (40.0, FAST)), 30)
    assert max(found.latencies_s) < 8
    assert all(latency_s < 0.31 for latency_s in found.latencies_s[2 * 16 :])


@pytest.mark.parametrize("name", list(POLICIES))
def test_the_same_again_is_the_same(name: str) -> None:
    way = steps((0.0, FAST), (10.0, SLOW), (17.0, FAST))
    assert play(name, way, 25) == play(name, way, 25)


def test_moving_weights_delays_the_plan_that_needs_them() -> None:
    way = steps((0.0, SLOW), (5.0, FAST))
    slow = problem_of(cluster_of(rate(SLOW)))
    here = play("replan", way, 20, first=slow)
    coming = play("replan", way, 20, first=slow, worlds=Worlds(installed=False))
    assert here.mean_s < coming.mean_s


def test_latencies_are_those_of_requests_alone() -> None:
    problem = problem_of(cluster_of(steps((0.0, FAST), (20.0, SLOW))))
    known = problem_of(cluster_of(rate(FAST)))
    plan = begin(known)
    assert plan in candidates(known, MANNER, [0.001, 1.0])
    early, late = latencies(problem, plan, [1.0, 30.0])
    assert early == pytest.approx(evaluate(known, plan).latency_s)
    assert late > 3 * early
    loaded = latencies(problem, plan, [1.0], {"edge": RateTrace(steps=((0.0, 10.0),))})
    assert loaded[0] == pytest.approx(early + 9 * 0.028)
    never = problem_of(cluster_of(Direction(trace=RateTrace(steps=((0.0, 0.0),)))))
    assert latencies(never, plan, [1.0]) == [math.inf]


def test_what_is_described_has_means_for_traces() -> None:
    way = steps((0.0, 100.0), (500.0, 300.0))
    assert described(cluster_of(way)).links[0].up == rate(200.0)


def test_a_rehearsal_needs_requests() -> None:
    problem = problem_of(cluster_of(rate(FAST)))
    with pytest.raises(PlanError, match="at least one request"):
        rehearse(problem, begin(problem), POLICIES["static"](), [])
