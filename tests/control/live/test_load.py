"""The load factor is a ratio of sums that forgets, and does not drift on its own."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.control.live.load import LEAST_FACTOR, MOST_FACTOR, LoadFactor


def looked(load, pairs):
    for measured_s, predicted_s in pairs:
        load = load.seen(measured_s, predicted_s)
    return load


def test_a_node_is_as_fast_as_its_profile_until_seen():
    assert LoadFactor().factor == 1.0
    assert LoadFactor().seen(0.9, 0.0009).factor == 1.0
    assert LoadFactor().seen(0.9, 0.0009).seen(0.9, 0.0009).factor == pytest.approx(1000.0)


def test_it_is_the_ratio_of_faded_sums():
    """By hand: (0.8 * 0.8 * 2 + 0.8 * 3 + 8) / (0.8 * 0.8 * 1 + 0.8 * 1 + 2)."""
    assert looked(LoadFactor(), [(2.0, 1.0), (3.0, 1.0), (8.0, 2.0)]).factor == pytest.approx(11.68 / 3.44)


def test_a_long_segment_counts_more_than_many_short_ones():
    disturbed = [(0.001, 0.00001)] * 4
    assert looked(LoadFactor(), [(0.2, 0.1), *disturbed]).factor == pytest.approx(2.0, rel=0.1)


def test_a_busy_node_is_known_after_some_looks_and_a_free_one_too():
    rng = np.random.default_rng(0)

    def looks(load, times):
        return [
            (load * predicted_s * rng.uniform(0.9, 1.1), predicted_s) for predicted_s in rng.uniform(0.05, 0.1, times)
        ]

    load = looked(LoadFactor(), looks(1.0, 20))
    assert load.factor == pytest.approx(1.0, rel=0.05)
    load = looked(load, looks(4.0, 10))
    assert load.factor == pytest.approx(4.0, rel=0.15)
    load = looked(load, looks(1.0, 15))
    assert load.factor == pytest.approx(1.0, rel=0.15)


def test_more_looks_remember_longer():
    brief, lasting = (looked(LoadFactor.of(looks=looks), [(1.0, 1.0)] * 50 + [(5.0, 1.0)]) for looks in (2, 10))
    assert brief.factor == pytest.approx(3.0)
    assert lasting.factor == pytest.approx(1.4, rel=0.01)


def test_it_is_clipped():
    assert LoadFactor().seen(1e9, 1.0).factor == MOST_FACTOR
    assert LoadFactor().seen(0.0, 1.0).factor == LEAST_FACTOR


def test_rest_brings_it_back_to_one_from_both_sides():
    assert LoadFactor().seen(16.0, 1.0).rested(20.0).factor == pytest.approx(2.0)
    assert LoadFactor().seen(1.0, 16.0).rested(20.0).factor == pytest.approx(0.5)
    assert LoadFactor().seen(16.0, 1.0).rested(1e6).factor == 1.0
    assert LoadFactor().seen(16.0, 1.0).rested(0.0).factor == pytest.approx(16.0)


def test_what_says_nothing_changes_nothing():
    load = LoadFactor().seen(2.0, 1.0)
    for measured_s, predicted_s in ((1.0, 0.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.nan), (math.inf, 1.0)):
        assert load.seen(measured_s, predicted_s) == load


@given(st.lists(st.tuples(st.floats(0.0, 1e3), st.floats(1e-6, 1e3)), min_size=1, max_size=40))
def test_it_lies_between_the_smallest_and_largest_ratio(pairs):
    load = looked(LoadFactor(), pairs)
    ratios = [measured_s / predicted_s for measured_s, predicted_s in pairs]
    assert min(ratios) * (1 - 1e-9) <= load.ratio <= max(ratios) * (1 + 1e-9)
    assert LEAST_FACTOR <= load.factor <= MOST_FACTOR
