"""Suspicion grows with silence as a normal tail says, and a node that comes and goes has to wait."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.control.live.suspicion import MOST_LEVEL, Flapping, Heartbeats

gaps = st.lists(st.floats(0.001, 30.0), max_size=100)


def beating(gaps_s, **options):
    beats = Heartbeats.began(0.0, **options)
    at_s = 0.0
    for gap_s in gaps_s:
        at_s += gap_s
        beats = beats.heard(at_s)
    return beats


@pytest.mark.parametrize(
    ("silence_s", "later"),
    [
        (1.0, 0.5),
        (1.1, 0.158655253931457),
        (1.2, 0.022750131948179),
        (1.3, 0.001349898031630),
        (1.5, 2.866515718791e-7),
    ],
)
def test_the_level_is_the_tail_of_a_normal_distribution(silence_s, later):
    """Mean 1 s, spread 0.1 s: tails at 0, 1, 2, 3 and 5 spreads, from a table."""
    beats = beating([1.0] * 10, expected_s=1.0, least_spread_s=0.1)
    assert beats.level(10.0 + silence_s) == pytest.approx(-math.log10(later), rel=1e-9)


def test_mean_and_spread_are_those_of_the_gaps():
    """Gaps of 1 and 3 s: mean 2 s, spread 1 s, so 2 spreads late are 4 s."""
    beats = beating([1.0, 3.0] * 8, expected_s=1.0, least_spread_s=0.1)
    assert beats.level(beats.last_s + 4.0) == pytest.approx(-math.log10(0.022750131948179))


def test_the_defaults_suspect_after_half_a_second_and_give_up_after_three_quarters():
    beats = beating([0.2] * 30)
    silences_s = np.arange(0.0, 2.0, 0.001)
    levels = np.array([beats.level(beats.last_s + silence_s) for silence_s in silences_s])
    assert silences_s[np.argmax(levels >= 3.0)] == pytest.approx(0.51, abs=0.005)
    assert silences_s[np.argmax(levels >= 8.0)] == pytest.approx(0.76, abs=0.005)


@given(gaps, st.floats(0.0, 100.0), st.floats(0.0, 100.0))
def test_longer_silence_is_never_less_suspicious(gaps_s, one_s, other_s):
    beats = beating(gaps_s)
    sooner_s, later_s = sorted((one_s, other_s))
    assert 0.0 <= beats.level(beats.last_s + sooner_s) <= beats.level(beats.last_s + later_s) <= MOST_LEVEL


@given(gaps, st.floats(0.0, 50.0))
def test_whoever_did_not_listen_starts_again(gaps_s, pause_s):
    beats = beating(gaps_s)
    now_s = beats.last_s + pause_s
    forgiven = beats.forgive(now_s)
    assert forgiven.silence_s(now_s) == 0.0
    assert forgiven.gaps_s == beats.gaps_s
    assert forgiven.level(now_s + 1.0) == pytest.approx(beats.level(beats.last_s + 1.0), rel=1e-6)


def test_a_pause_of_the_observer_is_no_gap_of_the_node():
    beats = beating([0.2] * 20)
    paused = beats.forgive(beats.last_s + 60.0).heard(beats.last_s + 60.05)
    assert max(paused.gaps_s) == pytest.approx(0.2)
    assert paused.level(paused.last_s + 1.0) == pytest.approx(beats.level(beats.last_s + 1.0))


def test_more_signs_of_life_than_owed_make_nobody_nervous():
    talkative = beating([0.001] * 100)
    quiet = beating([0.2] * 100)
    assert talkative.level(talkative.last_s + 0.5) == pytest.approx(quiet.level(quiet.last_s + 0.5))


def test_a_node_that_is_often_late_is_given_more_time():
    rng = np.random.default_rng(0)
    steady, ragged = beating([0.2] * 64), beating(0.2 + rng.exponential(0.3, 64))
    assert ragged.level(ragged.last_s + 1.0) < 3.0
    assert steady.level(steady.last_s + 1.0) > 8.0


def test_a_survived_outage_does_not_deafen():
    """An hour of silence counts as ten expected gaps, and is forgotten after 64 more."""
    beats = beating([0.2] * 63 + [3600.0])
    assert beats.level(beats.last_s + 2.0) > 8.0
    assert beating([3600.0] + [0.2] * 64).level(3600.0 + 64 * 0.2 + 0.8) > 8.0


def test_steady_beats_with_noise_are_not_suspected():
    """Level 8 promises one false alarm in a hundred million gaps; ten thousand bring none."""
    rng = np.random.default_rng(1)
    beats, at_s, worst = Heartbeats.began(0.0), 0.0, 0.0
    for gap_s in rng.normal(0.2, 0.05, 10_000).clip(0.01):
        at_s += gap_s
        worst = max(worst, beats.level(at_s))
        beats = beats.heard(at_s)
    assert worst < 8.0


def test_what_arrives_out_of_order_changes_nothing():
    beats = beating([0.2, 0.2])
    assert beats.heard(0.3) == beats
    assert beats.level(0.1) == beats.level(beats.last_s)


def test_each_fall_doubles_the_wait_up_to_the_most():
    flaps, waits_s = Flapping(), []
    for _ in range(8):
        flaps = flaps.fell(100.0)
        waits_s.append(flaps.wait_s(100.0))
    assert waits_s == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_good_time_halves_the_wait():
    flaps = Flapping(penalty_s=16.0, fell_s=0.0)
    assert [flaps.wait_s(at_s) for at_s in (0.0, 30.0, 60.0, 120.0)] == [16.0, 8.0, 4.0, 1.0]
    assert flaps.fell(60.0).wait_s(60.0) == 8.0
    assert flaps.fell(3600.0).wait_s(3600.0) == 1.0


def test_a_node_that_never_fell_need_not_wait():
    assert Flapping().wait_s(1e9) == 0.0


@given(st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=30), st.floats(0.0, 1000.0))
def test_the_wait_stays_within_its_bounds_and_sinks_with_time(falls_s, later_s):
    flaps = Flapping()
    for at_s in sorted(falls_s):
        flaps = flaps.fell(at_s)
        assert flaps.first_s <= flaps.wait_s(at_s) <= flaps.most_s
    waits_s = [flaps.wait_s(flaps.fell_s + part * later_s) for part in (0.0, 0.5, 1.0)]
    assert all(before >= after for before, after in pairwise(waits_s))
