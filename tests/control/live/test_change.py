"""Run lengths are those that counting all partitions gives; changes are reported once, soon, and seldom falsely."""

import math
import os
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.cluster.trace_files import read_trace
from hocket.control.live.change import OnlineChange, Prior, Smoothed

TRACES = Path(os.environ.get("HOCKET_TRACES", ""))
"""A folder with recordings of links: Belgian 4G (`sabre_4g`) and Wi-Fi (`solis_wifi`)."""


def fed(change, values):
    """The state after some values, and which of them were reported as changes."""
    reports = []
    for number, value in enumerate(values):
        change = change.seen(value)
        if change.changed:
            reports.append(number)
    return change, reports


def evidence(values, prior):
    """Probability density of log values of one state of the world: the normal-inverse-gamma evidence, in one go."""
    count, mean = len(values), np.mean(values)
    strength, shape = prior.strength + count, prior.shape + count / 2
    scale = (
        prior.scale
        + 0.5 * np.sum((values - mean) ** 2)
        + 0.5 * prior.strength * count * (mean - prior.mean) ** 2 / strength
    )
    return (
        math.gamma(shape)
        / math.gamma(prior.shape)
        * prior.scale**prior.shape
        / scale**shape
        * math.sqrt(prior.strength / strength)
        * (2 * math.pi) ** (-count / 2)
    )


def by_enumeration(logs, prior, hazard):
    """Posterior of the last part's length over all 2 ** (n - 1) ways to divide the values into parts."""
    weights = dict.fromkeys(range(1, len(logs) + 1), 0.0)
    for cuts in product((False, True), repeat=len(logs) - 1):
        bounds = [0, *(place for place, cut in enumerate(cuts, 1) if cut), len(logs)]
        weight = math.prod(hazard if cut else 1 - hazard for cut in cuts)
        weight *= math.prod(evidence(logs[a:b], prior) for a, b in pairwise(bounds))
        weights[len(logs) - bounds[-2]] += weight
    total = sum(weights.values())
    return {length: weight / total for length, weight in weights.items()}


@pytest.mark.parametrize("jump", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("prior", [Prior(mean=0.0), Prior(mean=0.4, strength=0.5, shape=2.5, scale=0.3)])
def test_the_posterior_is_that_of_all_partitions(jump, prior):
    logs = np.array([0.10, -0.21, 0.05, 0.17 + jump, -0.02 + jump, 0.11 + jump])
    for count in range(1, 7):
        change, _ = fed(OnlineChange(prior=prior, hazard=0.1), np.exp(logs[:count]))
        exact = by_enumeration(logs[:count], prior, 0.1)
        assert change.posterior() == pytest.approx(exact, rel=1e-9)


@given(st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6), st.floats(0.01, 0.5))
def test_the_posterior_is_that_of_all_partitions_for_any_values(logs, hazard):
    """Up to the beginnings that were given up: at most 6, each with less than a millionth at its time."""
    change, _ = fed(OnlineChange(prior=Prior(mean=0.0), hazard=hazard), np.exp(logs))
    exact = by_enumeration(np.array(logs), change.prior, hazard)
    found = change.posterior()
    assert all(found.get(length, 0.0) == pytest.approx(part, rel=1e-3, abs=1e-4) for length, part in exact.items())


def test_the_mean_and_probability_are_those_of_the_most_probable_run():
    logs = np.array([0.0, 0.1, -0.1, 2.0, 2.1, 1.9])
    change, _ = fed(OnlineChange(prior=Prior(mean=0.0), hazard=0.1), np.exp(logs))
    exact = by_enumeration(logs, change.prior, 0.1)
    assert change.length == 3
    assert change.probability == pytest.approx(exact[3], rel=1e-4)
    assert change.mean == pytest.approx(math.exp(6.0 / 3.01))  # the prior's mean 0 counts as a hundredth of a value


def test_a_step_of_five_deviations_is_found_within_three_values_and_reported_once():
    delays, again = [], 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        logs = np.concatenate([rng.normal(0.0, 0.2, 100), rng.normal(1.0, 0.2, 40)])
        change, reports = fed(OnlineChange.of(), np.exp(logs))
        after = [number - 100 for number in reports if number >= 100]
        delays.append(after[0])
        again += len(after) - 1
        assert change.mean == pytest.approx(math.e, rel=0.25)
    assert max(delays) <= 3
    assert np.mean(delays) < 2.2
    assert again <= 3


def test_a_fall_is_found_as_a_rise_is():
    rng = np.random.default_rng(0)
    logs = np.concatenate([rng.normal(0.0, 0.2, 100), rng.normal(-1.0, 0.2, 40)])
    change, reports = fed(OnlineChange.of(), np.exp(logs))
    assert len(reports) == 1
    assert 100 < reports[0] <= 103
    assert change.count - change.length == pytest.approx(100, abs=1)


@pytest.mark.parametrize(("noise", "most"), [(0.05, 0), (0.2, 2), (0.4, 6)])
def test_noise_alone_is_seldom_called_a_change(noise, most):
    """Of 4,000 values, with the noise that was stated, a quarter of it, and twice as much."""
    reports = 0
    for seed in range(10):
        values = np.exp(np.random.default_rng(seed).normal(0.0, noise, 400))
        reports += len(fed(OnlineChange.of(noise=0.2), values)[1])
    assert reports <= most


def test_one_outlier_is_no_state_of_the_world():
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(0.0, 0.1, 60))
    values[40] = 20.0
    change, reports = fed(OnlineChange.of(), values)
    assert reports == []
    assert change.mean == pytest.approx(1.0, rel=0.1)


def test_a_wrong_guess_of_the_first_value_is_no_change():
    rng = np.random.default_rng(4)
    change, reports = fed(OnlineChange.of(around=1e9), 1e3 * np.exp(rng.normal(0.0, 0.1, 50)))
    assert reports == []
    assert change.mean == pytest.approx(1e3, rel=0.1)


def test_only_ratios_of_values_matter():
    values = np.exp(np.random.default_rng(5).normal(0.0, 0.3, 60))
    one, _ = fed(OnlineChange.of(), values)
    million, _ = fed(OnlineChange.of(), 1e6 * values)
    assert million.posterior() == pytest.approx(one.posterior(), rel=1e-6)
    assert million.mean == pytest.approx(1e6 * one.mean)


def test_a_link_that_stands_still_is_a_change():
    change, reports = fed(OnlineChange.of(), [1e6, 1.1e6, 0.9e6, 1e6, 0.0, 0.0, 0.0])
    assert reports == [6]
    assert change.mean < 1e-6


def test_a_state_is_immutable_and_says_the_same_again():
    before, _ = fed(OnlineChange.of(), [1.0, 1.2, 0.9])
    posterior = before.posterior()
    assert before.seen(5.0) == before.seen(5.0)
    assert before.seen(5.0).seen(5.0) != before.seen(5.0)
    assert before.posterior() == posterior
    with pytest.raises(ValueError, match="read-only"):
        before._runs[0] = 0.0


def test_beginnings_stay_few_and_probabilities_whole():
    values = np.exp(np.random.default_rng(6).normal(0.0, 0.2, 1000))
    change = OnlineChange.of()
    for value in values:
        change = change.seen(value)
        posterior = change.posterior()
        assert len(posterior) <= 200
        assert sum(posterior.values()) == pytest.approx(1.0)
    assert change.length > 900


@pytest.mark.skipif(not (TRACES / "sabre_4g").exists(), reason="HOCKET_TRACES names no folder of recordings")
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("sabre_4g/report_foot_0004.json", 8),
        ("sabre_4g/report_tram_0001.json", 40),
        ("solis_wifi/traces/wifi_cafe_231115-151422.txt", 8),
    ],
)
def test_a_recorded_link_is_followed_with_few_changes(name, most):
    """Of seconds in which anything came. The state says more of the next second than the mean of all so far does."""
    rates = [rate for _, rate in read_trace(TRACES / name).steps if rate > 0]
    change, reports, errors, plain = OnlineChange.of(), 0, [], []
    for count, (now, then) in enumerate(pairwise(rates), 1):
        change = change.seen(now)
        reports += change.changed
        errors.append(abs(math.log(then / change.mean)))
        plain.append(abs(math.log(then) - np.mean(np.log(rates[:count]))))
    assert 1 <= reports <= most
    assert np.mean(errors) < np.mean(plain)


def smoothed(value, samples):
    reports = []
    for at_s, sample in samples:
        value = value.seen(at_s, sample)
        if value.reported:
            reports.append((at_s, value.said))
    return value, reports


def test_noise_inside_the_band_is_never_reported():
    samples = [(0.1 * number, 100.0 * (1.19 if number % 2 else 0.81)) for number in range(2000)]
    value, reports = smoothed(Smoothed(), [(0.0, 100.0), *samples])
    assert reports == []
    assert value.value == pytest.approx(100.0, rel=0.05)


def test_a_step_is_reported_once():
    samples = [(0.1 * number, 100.0 if number < 100 else 200.0) for number in range(1000)]
    value, reports = smoothed(Smoothed(tau_s=0.5, band=0.2, hold_s=2.0), samples)
    assert len(reports) == 1
    assert 12.0 <= reports[0][0] <= 12.5
    assert value.said == pytest.approx(200.0, rel=0.05)


def test_a_short_excursion_is_not_reported():
    samples = [(0.1 * number, 300.0 if 100 <= number < 105 else 100.0) for number in range(300)]
    assert smoothed(Smoothed(tau_s=0.5, band=0.2, hold_s=2.0), samples)[1] == []


def test_a_ramp_is_reported_in_steps():
    """From 100 to 400 over 100 s, in steps of a fifth and a little: at most log(4) / log(1.2) = 7.6."""
    samples = [(0.1 * number, 100.0 + 0.3 * number) for number in range(1001)]
    _, reports = smoothed(Smoothed(tau_s=0.5, band=0.2, hold_s=0.2), samples)
    said = [100.0, *(value for _, value in reports)]
    assert 5 <= len(reports) <= 7
    assert all(1.2 < after / before < 1.3 for before, after in pairwise(said))


def test_irregular_samples_weigh_by_the_time_between_them():
    """One sample after a gap of tau has the weight 1 - 1/e, however many came before it."""
    dense, _ = smoothed(Smoothed(tau_s=2.0), [(0.001 * number, 1.0) for number in range(1000)])
    after = dense.seen(dense.at_s + 2.0, 2.0)
    assert after.value == pytest.approx(2.0 - 1.0 / math.e)
    assert Smoothed().seen(5.0, 1.0).seen(4.0, 9.0).value == 1.0


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(1.0, 100.0)), min_size=1, max_size=50))
def test_what_is_smoothed_stays_within_what_came(samples):
    value, _ = smoothed(Smoothed(), samples)
    lowest, highest = min(sample for _, sample in samples), max(sample for _, sample in samples)
    assert lowest * (1 - 1e-9) <= value.value <= highest * (1 + 1e-9)
