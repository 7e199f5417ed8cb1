# ruff: noqa: E501 (messages stand whole)
"""Rates over time: how long bytes take, and traces made of others."""

import math
import re
from itertools import pairwise

import pytest
from cluster_strategies import traces
from hypothesis import given, settings
from hypothesis import strategies as st

from hocket.cluster import RateTrace, markov, random_walk, seconds_to_send, slowest
from hocket.cluster.traces import within
from hocket.errors import ClusterError

STOP_AND_GO = RateTrace(steps=((0.0, 100.0), (1.0, 0.0), (3.0, 50.0)), length_s=4.0)


def sent(trace: RateTrace, from_s: float, to_s: float) -> float:
    """Bytes that pass between two times, by adding up rate times duration step by step."""
    total, now_s = 0.0, from_s
    while now_s < to_s:
        change_s = min(trace.next_change_s(now_s), to_s)
        total += trace.rate_at((now_s + change_s) / 2) * (change_s - now_s)
        now_s = change_s
    return total


@pytest.mark.parametrize(
    ("start_s", "nbytes", "seconds"),
    [
        (0, 0, 0.0), (0, 50, 0.5), (0, 100, 1.0), (0, 101, 3.02), (0, 150, 4.0), (0, 151, 4.01), (0.5, 50, 0.5),
        (1.5, 50, 2.5), (3.5, 25, 0.5), (3.5, 26, 0.51), (4.0, 50, 0.5), (9.5, 50, 2.5), (0, 1500, 40.0), (2, 0, 0.0),
    ],
)  # fmt: skip
def test_seconds_by_hand(start_s: float, nbytes: float, seconds: float) -> None:
    """100 B/s for a second, nothing for two, 50 B/s for one, and again."""
    assert seconds_to_send(STOP_AND_GO, start_s, nbytes) == pytest.approx(seconds, abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(traces(), st.floats(0, 500), st.floats(1e-3, 1e6))
def test_as_many_bytes_pass_as_were_asked_for(trace: RateTrace, start_s: float, nbytes: float) -> None:
    """The rate over the time that was answered carries the bytes."""
    seconds = seconds_to_send(trace, start_s, nbytes)
    if math.isinf(seconds):
        assert trace.steps[-1][1] == 0
    elif seconds < 1e4:
        top = max(rate for _, rate in trace.steps)
        assert sent(trace, start_s, start_s + seconds) == pytest.approx(nbytes, rel=1e-6, abs=top * 1e-9)


def test_what_never_passes_takes_for_ever() -> None:
    """A rate that ends at 0, and one that is always 0."""
    assert seconds_to_send(RateTrace(steps=((0.0, 10.0), (1.0, 0.0))), 0.0, 10.0) == 1.0
    assert seconds_to_send(RateTrace(steps=((0.0, 10.0), (1.0, 0.0))), 0.0, 11.0) == math.inf
    assert seconds_to_send(RateTrace(steps=((0.0, 0.0),), length_s=2.0), 0.0, 1.0) == math.inf
    assert seconds_to_send(RateTrace(steps=((0.0, 0.0),)), 0.0, 0.0) == 0.0


@settings(max_examples=50, deadline=None)
@given(st.lists(traces(), min_size=1, max_size=3), st.lists(st.floats(0, 200), min_size=1, max_size=9))
def test_the_slowest_of_several(several: list[RateTrace], times: list[float]) -> None:
    """At every moment, away from the steps, the least of all rates."""
    together = slowest(several)
    # Without a common period it is exact only up to the last step.
    for at_s in (time_s for time_s in times if len(together.steps) < 20_000 or time_s < together.steps[-1][0]):
        if all(trace.rate_at(at_s - 1e-6) == trace.rate_at(at_s + 1e-6) for trace in [together, *several] if at_s > 1):
            assert together.rate_at(at_s) == min(trace.rate_at(at_s) for trace in several)


def test_a_common_period_is_found() -> None:
    """Two and three seconds repeat together after six."""
    two = RateTrace(steps=((0.0, 1.0), (1.0, 4.0)), length_s=2.0)
    three = RateTrace(steps=((0.0, 2.0), (2.0, 3.0)), length_s=3.0)
    assert slowest([two, three]).length_s == 6.0
    assert [slowest([two, three]).rate_at(at + 0.5) for at in range(7)] == [1, 2, 1, 2, 1, 3, 1]


def test_without_a_common_period_it_goes_on_with_the_mean() -> None:
    """After some 20,000 steps."""
    one = RateTrace(steps=((0.0, 1.0), (1.0, 3.0)), length_s=2.0)
    other = RateTrace(steps=((0.0, 9.0), (0.7, 2.0)), length_s=math.pi)
    together = slowest([one, other])
    assert together.length_s is None
    assert together.steps[-1][1] == pytest.approx(1.6, abs=0.1)


def test_within_windows() -> None:
    """Nothing passes outside them, and a trace goes on inside as if it had run all the time."""
    trace = within(STOP_AND_GO, [(0.5, 3.5), (5.5, 6.0)])
    assert trace.steps == ((0.0, 0.0), (0.5, 100.0), (1.0, 0.0), (3.0, 50.0), (3.5, 0.0), (5.5, 0.0), (6.0, 0.0))
    assert trace.length_s is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": ()}, "a trace has 1 to 1000000 steps, got 0; shorten or fill it"),
        ({"steps": ((1.0, 1.0),)}, "a trace starts at 0 s, got 1.0 s; shift its times"),
        ({"steps": ((0.0, -1.0),)}, "a trace has times and rates from 0 to 1e+100, got -1.0 at 0.0 s; correct that step"),
        ({"steps": ((0.0, math.nan),)}, "a trace has times and rates from 0 to 1e+100, got nan at 0.0 s; correct that step"),
        ({"steps": ((0.0, 1.0), (0.0, 2.0))}, "a trace has rising times, got 0.0 s after 0.0 s; sort its steps"),
        ({"steps": ((0.0, 1.0), (5.0, 2.0)), "length_s": 5.0}, "a trace ends after its last step at 5.0 s, got the length 5.0 s; lengthen it"),
    ],
)  # fmt: skip
def test_a_trace_refuses(fields: dict[str, object], message: str) -> None:
    """Each rule of a trace, with its whole sentence."""
    with pytest.raises(ClusterError, match=f"^{re.escape(message)}$"):
        RateTrace(**fields)  # type: ignore[arg-type]


def test_a_random_walk_keeps_its_mean() -> None:
    """The mean over a long time is the one asked for; the seed decides everything."""
    trace = random_walk(1e6, seed=5, length_s=100_000.0)
    assert trace.mean_bytes_per_s == pytest.approx(1e6, rel=0.05)
    assert trace == random_walk(1e6, seed=5, length_s=100_000.0) != random_walk(1e6, seed=6, length_s=100_000.0)
    assert random_walk(1e6, seed=5, spread=0.0).steps == ((0.0, pytest.approx(1e6)),)


def test_a_markov_trace_moves_to_neighbours() -> None:
    """Its rates are the levels, and each change goes one level up or down."""
    levels = [0.0, 1e3, 1e4, 1e6]
    trace = markov(levels, seed=3, length_s=2000.0, stay=0.5)
    indices = [levels.index(rate) for _, rate in trace.steps]
    assert set(indices) == {0, 1, 2, 3}
    assert {abs(one - other) for one, other in pairwise(indices)} == {1}
    assert 700 < len(indices) < 1300
    assert trace == markov(levels, seed=3, length_s=2000.0, stay=0.5)
    assert markov([7.0], seed=0).steps == ((0.0, 7.0),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: random_walk(0.0, seed=1), "a synthetic trace has a mean above 0, a spread >= 0, a memory in [0, 1); correct the arguments"),
        (lambda: markov([], seed=1), "a synthetic trace has at least one rate, and a probability to stay in [0, 1]; correct the arguments"),
        (lambda: markov([1.0], seed=1, step_s=0.0), "a synthetic trace has a length of 1 to 1000000 steps; correct the arguments"),
    ],
)  # fmt: skip
def test_synthetic_traces_refuse(make: object, message: str) -> None:
    """With the rule that was broken."""
    with pytest.raises(ClusterError, match=f"^{re.escape(message)}$"):
        make()  # type: ignore[operator]
