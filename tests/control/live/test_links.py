"""Rates and latencies of links that are known because they are made up, and of recorded ones."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.cluster.trace_files import read_trace
from hocket.cluster.traces import RateTrace, constant, seconds_to_send
from hocket.control.live.links import LinkEstimate

TRACES = Path(os.environ.get("HOCKET_TRACES", ""))
"""A folder with recordings of links: Belgian 4G (`sabre_4g`) and Wi-Fi (`solis_wifi`)."""


def carried(trace, sends, *, latency_s=0.0, jitter_s=0.0, seed=0):
    """Samples of a link that carries (start_s, nbytes) one after another, each arriving with a random delay."""
    rng = np.random.default_rng(seed)
    free_s, samples = 0.0, []
    for start_s, nbytes in sorted(sends):
        begun_s = max(start_s, free_s)
        free_s = begun_s + seconds_to_send(trace, begun_s, nbytes)
        samples.append((nbytes, start_s, free_s + latency_s + jitter_s * rng.exponential()))
    return sorted(samples, key=lambda sample: sample[2])


def estimated(samples, link=None, **options):
    link = link or LinkEstimate()
    for sample in samples:
        link = link.seen(*sample, **options)
    return link


def regular(every_s, nbytes, until_s=20.0):
    return [(every_s * number, nbytes) for number in range(int(until_s / every_s))]


PINGS = regular(1.0, 0)


@pytest.mark.parametrize("latency_s", [0.0, 0.001, 0.02, 0.2])
@pytest.mark.parametrize(
    ("bytes_per_s", "every_s", "nbytes"),
    [(1e5, 2.0, 150_000), (1e6, 0.5, 150_000), (1e7, 0.05, 150_000), (1e7, 0.01, 20_000), (1e8, 0.5, 3_000_000)],
)
def test_rate_and_latency_of_a_link_with_jitter(bytes_per_s, every_s, nbytes, latency_s):
    """From idle to three quarters busy; the arrival of each is up to some milliseconds late, half a one on average."""
    sends = [*PINGS, *regular(every_s, nbytes)]
    link = estimated(carried(constant(bytes_per_s), sends, latency_s=latency_s, jitter_s=0.0005))
    assert link.bytes_per_s == pytest.approx(bytes_per_s, rel=0.1)
    assert link.latency_s == pytest.approx(latency_s, abs=0.001)
    low, high = link.range_bytes_per_s
    assert low <= link.bytes_per_s <= high


@pytest.mark.parametrize("nbytes", [10_000, 100_000, 1_000_000])
def test_transfers_that_wait_for_each_other_are_not_taken_for_slow_ones(nbytes):
    """Twice as much is sent as the link carries: a transfer takes up to 10 s, and the rate stays what it is."""
    sends = regular(nbytes / 2e6, nbytes, 10.0)
    link = estimated(carried(constant(1e6), [(0.0, 0), *sends], latency_s=0.01, jitter_s=0.001))
    assert link.bytes_per_s == pytest.approx(1e6, rel=0.1)
    assert link.latency_s == pytest.approx(0.01, abs=0.002)


def test_transfers_that_share_the_link_are_counted_together():
    """Four that begin together and each get a quarter of the rate arrive together."""
    samples = []
    for round_s in range(10):
        samples += [(10_000, float(round_s), round_s + 0.04 + 1e-6 * number) for number in range(4)]
    assert estimated(samples).bytes_per_s == pytest.approx(1e6, rel=0.01)


@pytest.mark.parametrize(("before", "after"), [(1e7, 2e6), (2e6, 1e7)])
def test_a_step_of_the_rate_is_known_two_seconds_later(before, after):
    trace = RateTrace(steps=((0.0, before), (10.0, after)))
    samples = carried(trace, regular(0.2, 200_000, 12.0), latency_s=0.002, jitter_s=0.0005)
    link = estimated((sample for sample in samples if sample[2] < 10.0), LinkEstimate.of(0.002))
    assert link.bytes_per_s == pytest.approx(before, rel=0.1)
    link = estimated((sample for sample in samples if sample[2] >= 10.0), link)
    assert link.bytes_per_s == pytest.approx(after, rel=0.1)


def test_single_outliers_do_not_count():
    rng = np.random.default_rng(0)
    sends = regular(0.2, 100_000)
    samples = [
        (nbytes, start_s, stop_s + (0.3 if rng.random() < 0.15 else 0.0))
        for nbytes, start_s, stop_s in carried(constant(1e6), sends[:-1])
    ]
    assert estimated([*samples, carried(constant(1e6), sends)[-1]]).bytes_per_s == pytest.approx(1e6, rel=0.1)


def test_a_link_that_stalls_ages_and_then_tells_how_slow_it_was():
    """Nothing passes from 10 s to 40 s."""
    trace = RateTrace(steps=((0.0, 1e6), (10.0, 0.0), (40.0, 1e6)))
    samples = carried(trace, regular(0.5, 100_000, 10.5))
    before = estimated(samples[:-1])
    assert before.last_s == pytest.approx(9.6)
    assert before.idle_s(30.0) == pytest.approx(20.4)
    after = before.seen(*samples[-1])
    assert after.bytes_per_s == pytest.approx(100_000 / 30.1)
    assert after.seen(1_000_000, 41.0, 42.0).bytes_per_s == pytest.approx(1e6)


def test_nothing_is_said_of_the_rate_on_too_few_bytes():
    link = estimated([(20_000, float(number), number + 0.02) for number in range(3)])
    assert (link.bytes_per_s, link.range_bytes_per_s) == (None, None)
    assert link.seen(20_000, 3.0, 3.02).bytes_per_s == pytest.approx(1e6)
    assert LinkEstimate().idle_s(5.0) == math.inf


def test_small_messages_say_nothing_of_the_rate():
    link = estimated([(4096, 0.01 * number, 0.01 * number + 0.005) for number in range(1000)])
    assert link.bytes_per_s is None
    assert link.latency_s == pytest.approx(0.005)


def test_the_stated_latency_holds_until_a_small_message_has_come():
    link = LinkEstimate.of(0.1).seen(100_000, 0.0, 0.2)
    assert (link.latency_s, link.latency_error_s) == (0.1, math.inf)
    assert link.bytes_per_s == pytest.approx(1e6)
    assert link.seen(0, 1.0, 1.02).latency_s == pytest.approx(0.02)


def test_a_small_message_that_waited_says_nothing_of_the_latency():
    assert LinkEstimate.of(0.01).seen(1_000_000, 0.0, 1.01).seen(0, 0.5, 1.01).latency_s == 0.01


def test_a_latency_that_has_grown_is_known_a_minute_later():
    link = estimated([(0, float(at_s), at_s + (0.01 if at_s < 10 else 0.05)) for at_s in range(75)])
    assert link.latency_s == pytest.approx(0.05)


def test_clocks_that_differ_do_not_change_the_rate_once_a_small_message_has_come():
    samples = carried(constant(1e6), [*PINGS, *regular(0.3, 50_000)], latency_s=0.01)
    ahead = [(nbytes, start_s, stop_s + 0.5) for nbytes, start_s, stop_s in samples]
    behind = [(nbytes, start_s, stop_s - 0.5) for nbytes, start_s, stop_s in samples]
    assert estimated(ahead).bytes_per_s == pytest.approx(1e6, rel=0.01)
    assert estimated(behind).bytes_per_s == pytest.approx(1e6, rel=0.01)
    assert estimated(behind).latency_s == 0.0


def test_clocks_that_may_differ_widen_the_range():
    """100 ms that may be 20 ms more or less: from 1e5 / 0.12 to 1e5 / 0.08."""
    link = estimated([(100_000, float(at_s), at_s + 0.1) for at_s in range(5)], clock_error_s=0.02)
    assert link.bytes_per_s == pytest.approx(1e6)
    assert link.range_bytes_per_s == pytest.approx((1e5 / 0.12, 1e5 / 0.08))
    assert link.seen(0, 9.0, 9.01, clock_error_s=0.02).latency_error_s == 0.02


def test_what_clocks_cannot_tell_is_not_used():
    link = estimated([(100_000, float(at_s), at_s + 0.01) for at_s in range(5)], clock_error_s=0.02)
    assert link.bytes_per_s is None


def test_arrivals_one_after_another_do_not_depend_on_the_clocks():
    samples = carried(constant(1e6), regular(0.05, 100_000, 2.0))
    low, high = estimated(samples, clock_error_s=0.05).range_bytes_per_s
    assert (low, high) == pytest.approx((1e6, 1e6), rel=0.01)


def test_a_sample_that_comes_late_counts_where_it_overlaps():
    samples = carried(constant(1e6), [(0.0, 100_000), (0.01, 100_000)])
    assert estimated(samples[::-1]).bytes_per_s == pytest.approx(1e6, rel=0.06)
    link = estimated([(100_000, 10.0, 10.1)])
    assert link.seen(100_000, 5.0, 5.01).bytes_per_s == link.bytes_per_s


def test_what_no_transfer_can_be_changes_nothing():
    link = estimated([(100_000, 0.0, 0.1)])
    for sample in ((-1, 1.0, 2.0), (100_000, math.nan, 2.0), (100_000, 1.0, math.inf)):
        assert link.seen(*sample) == link


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.floats(0.0, 100.0), st.floats(-1.0, 100.0), st.floats(0.0, 0.1)),
        max_size=80,
    )
)
def test_whatever_comes_the_rate_is_positive_and_within_its_range(samples):
    link = LinkEstimate()
    for nbytes, start_s, taken_s, clock_error_s in samples:
        link = link.seen(nbytes, start_s, start_s + taken_s, clock_error_s=clock_error_s)
    assert link.latency_s >= 0.0
    if link.bytes_per_s is not None:
        low, high = link.range_bytes_per_s
        assert 0.0 < low <= link.bytes_per_s <= high


@pytest.mark.skipif(not (TRACES / "sabre_4g").exists(), reason="HOCKET_TRACES names no folder of recordings")
@pytest.mark.parametrize(("family", "most"), [("sabre_4g/*.json", 0.7), ("solis_wifi/traces/*.txt", 0.9)])
def test_recorded_links_are_known_better_than_by_their_means(family, most):
    """Transfers of 100 kB, one after another with random pauses; how wrong the rate is for the next one, as a part of
    the error of each recording's mean, which knows the future."""
    errors, plain = [], []
    for path in sorted(TRACES.glob(family))[::4]:
        rng = np.random.default_rng(0)
        trace, link, now_s = read_trace(path), LinkEstimate.of(0.01), 0.0
        while now_s < 190.0:
            taken_s = seconds_to_send(trace, now_s, 100_000)
            if link.bytes_per_s is not None:
                errors.append(abs(math.log(link.bytes_per_s * taken_s / 100_000)))
                plain.append(abs(math.log(trace.mean_bytes_per_s * taken_s / 100_000)))
            link = link.seen(100_000, now_s, now_s + taken_s + 0.01)
            now_s += taken_s + 0.01 + rng.exponential(0.5)
    assert np.mean(errors) < most * np.mean(plain)
