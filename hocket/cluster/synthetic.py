"""Made-up rate traces, for tests and for experiments without recordings. The same seed gives the same trace."""

import math
from collections.abc import Sequence

import numpy as np

from hocket.cluster.traces import RateTrace
from hocket.errors import ClusterError


def random_walk(
    mean_bytes_per_s: float,
    *,
    seed: int,
    length_s: float = 200.0,
    step_s: float = 1.0,
    spread: float = 0.5,
    memory: float = 0.9,
) -> RateTrace:
    """A rate whose logarithm wanders and is drawn back to its mean (a first-order autoregressive process).

    With x the logarithm of rate / mean: x' = memory * x + sqrt(1 - memory^2) * spread * normal, shifted so that
    the mean of the rate itself is `mean_bytes_per_s`. It is never 0.

    Args:
        mean_bytes_per_s: expected rate.
        seed: of the generator.
        length_s: the trace repeats after it.
        step_s: how long a rate holds.
        spread: standard deviation of the logarithm; 0.5 means most rates lie within a factor of 2.7 of each other.
        memory: correlation of neighbouring steps, from 0 (none) to below 1.

    >>> random_walk(1e6, seed=1) == random_walk(1e6, seed=1)
    True
    """
    _check(
        mean_bytes_per_s > 0 and spread >= 0 and 0 <= memory < 1, "a mean above 0, a spread >= 0, a memory in [0, 1)"
    )
    count, random = _count(length_s, step_s), np.random.default_rng(seed)
    fresh = random.normal(size=count)
    logs, log = [], spread * fresh[0]
    for normal in fresh:
        logs.append(log)
        log = memory * log + math.sqrt(1 - memory**2) * spread * normal
    rates = mean_bytes_per_s * np.exp(np.array(logs) - spread**2 / 2)
    return _trace([float(rate) for rate in rates], step_s, length_s)


def markov(
    rates_bytes_per_s: Sequence[float],
    *,
    seed: int,
    length_s: float = 200.0,
    step_s: float = 1.0,
    stay: float = 0.9,
) -> RateTrace:
    """A rate that jumps between neighbouring levels (a Markov-modulated rate); a level may be 0.

    In each step it stays with probability `stay`, otherwise it moves one level up or down with equal chance
    (from an end there is only one way). It starts at a level drawn evenly.

    Args:
        rates_bytes_per_s: the levels, in the order in which they are neighbours; not all 0.
        seed: of the generator.
        length_s: the trace repeats after it.
        step_s: how long a rate holds at least.
        stay: probability of no jump.
    """
    _check(len(rates_bytes_per_s) >= 1 and 0 <= stay <= 1, "at least one rate, and a probability to stay in [0, 1]")
    last, random = len(rates_bytes_per_s) - 1, np.random.default_rng(seed)
    level, rates = int(random.integers(last + 1)), []
    for _ in range(_count(length_s, step_s)):
        rates.append(float(rates_bytes_per_s[level]))
        jump = -1 if random.random() < 0.5 else 1
        if random.random() >= stay:
            level += jump if 0 <= level + jump <= last else -jump
            level = min(max(level, 0), last)
    if not any(rates):
        rates[-1] = float(max(rates_bytes_per_s))  # a trace that lets nothing pass is none
    return _trace(rates, step_s, length_s)


def _trace(rates: Sequence[float], step_s: float, length_s: float) -> RateTrace:
    steps = [(0.0, rates[0])]
    for position, rate in enumerate(rates):
        if rate != steps[-1][1]:
            steps.append((position * step_s, rate))
    return RateTrace(steps=tuple(steps), length_s=length_s)


def _count(length_s: float, step_s: float) -> int:
    _check(0 < step_s <= length_s < math.inf and length_s / step_s <= 1e6, "a length of 1 to 1000000 steps")
    return math.ceil(length_s / step_s - 1e-9)


def _check(good: bool, rule: str) -> None:
    if not good:
        raise ClusterError(f"a synthetic trace has {rule}; correct the arguments")
