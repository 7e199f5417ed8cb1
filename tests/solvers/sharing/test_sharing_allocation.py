"""Closed forms of allocation against a general convex optimiser and against enumeration."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize

from hocket.solvers.sharing.allocation import (
    least_energy_clock_hz,
    least_max_shares,
    least_shares,
    least_sum_shares,
    tandem_rates,
    units_to_the_worst,
)


def drawn(seed: int, count: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fixed seconds, work and weights."""
    generator = np.random.default_rng(seed)
    return generator.uniform(0, 2, count), generator.uniform(0.1, 3, count), generator.uniform(0.2, 3, count)


def best(value: object, start: np.ndarray) -> float:
    """The least of a convex function over shares that add up to 1, by sequential quadratic programming."""
    one = {"type": "eq", "fun": lambda shares: shares.sum() - 1}
    bounds = [(1e-4, 1.0)] * len(start)
    return minimize(value, start, bounds=bounds, constraints=[one], options={"maxiter": 500, "ftol": 1e-12}).fun


@pytest.mark.parametrize("seed", range(5))
def test_square_roots_have_the_least_sum(seed: int) -> None:
    _, work, weights = drawn(seed)
    shares = least_sum_shares(weights, work)
    assert shares.sum() == pytest.approx(1)
    found = best(lambda shares: (weights * work / shares).sum(), np.full(4, 0.25))
    assert (weights * work / shares).sum() == pytest.approx(found, rel=1e-5)
    assert (weights * work / shares).sum() == pytest.approx(np.sqrt(weights * work).sum() ** 2)


@pytest.mark.parametrize("seed", range(5))
def test_equal_ends_have_the_least_maximum(seed: int) -> None:
    fixed, work, _ = drawn(seed)
    until, shares = least_max_shares(fixed, work)
    assert fixed + work / shares == pytest.approx(np.full(4, until))
    # The smooth form of the maximum: least T with T >= fixed + work / share.
    ends = [{"type": "ineq", "fun": lambda x, i=i: x[4] - fixed[i] - work[i] / x[i]} for i in range(4)]
    one = {"type": "ineq", "fun": lambda x: 1 - x[:4].sum()}
    start = np.append(np.full(4, 0.25), 100.0)
    bounds = [(1e-3, 1.0)] * 4 + [(0.0, 200.0)]
    found = minimize(lambda x: x[4], start, bounds=bounds, constraints=[*ends, one], options={"maxiter": 500}).fun
    assert until == pytest.approx(found, rel=1e-4)
    assert least_shares(fixed, work, until).sum() == pytest.approx(1)


def test_who_has_no_work_needs_no_share() -> None:
    until, shares = least_max_shares(np.array([5.0, 0.0]), np.array([0.0, 1.0]))
    assert (until, shares.tolist()) == (5.0, [0.0, 1.0])
    assert least_sum_shares(np.ones(2), np.zeros(2)).tolist() == [0.0, 0.0]
    assert least_shares(np.array([1.0, 1.0, 3.0]), np.array([1.0, 0.0, 1.0]), 2.0).tolist() == [1.0, 0.0, np.inf]


def test_the_slowest_clock_in_time() -> None:
    assert least_energy_clock_hz(1e9, 3e9, 2.0) == 1.5e9
    assert least_energy_clock_hz(1e9, 3e9, 0.0) == np.inf


@pytest.mark.parametrize("seed", range(5))
def test_rates_of_tandem_queues(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rates, work = generator.uniform(0.5, 2, 3), generator.uniform(0.02, 0.15, 3)

    def delay(shares: np.ndarray) -> float:
        spare = shares / work - rates
        return float((rates / spare).sum()) if (spare > 0).all() else 1e6 * (1 - spare.min())

    found = tandem_rates(rates, work)
    assert (work * found).sum() == pytest.approx(1)
    start = work * rates + (1 - (work * rates).sum()) / 3
    assert delay(work * found) == pytest.approx(best(delay, start), rel=1e-4)


@pytest.mark.parametrize("seed", range(30))
def test_the_next_unit_to_the_worst_is_optimal(seed: int) -> None:
    """For any latencies that do not rise with units."""
    generator = np.random.default_rng(seed)
    table = np.sort(generator.integers(1, 30, size=(3, 6)), axis=1)[:, ::-1]
    held = units_to_the_worst(lambda user, units: float(table[user, units]), 3, 5)
    splits = [split for split in product(range(6), repeat=3) if sum(split) == 5]
    least = min(max(table[user, units] for user, units in enumerate(split)) for split in splits)
    assert max(table[user, units] for user, units in enumerate(held)) == least
