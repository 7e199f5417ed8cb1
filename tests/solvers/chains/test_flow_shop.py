"""Johnson's order, mixes of two cuts, and slices of a prompt, against everything that there is."""

import random
from itertools import combinations_with_replacement, pairwise, permutations

import numpy as np
import pytest

from hocket.solvers.chains.flow_shop import around_crossing, best_mix, candidates, johnson, makespan_s
from hocket.solvers.chains.slices import Slicing, best_slices


def test_johnsons_order_is_the_best_of_all_permutations() -> None:
    for seed in range(100):
        rng = random.Random(seed)
        jobs = rng.randint(1, 6)
        first, second = ([rng.choice([0.0, 1.0, 2.5, 4.0]) for _ in range(jobs)] for _ in range(2))
        best = min(makespan_s(first, second, order) for order in permutations(range(jobs)))
        assert makespan_s(first, second, johnson(first, second)) == best


def cuts_of(rng: random.Random) -> tuple[list[float], list[float]]:
    """Computing that grows along the chain, uploads of any size."""
    size = rng.randint(2, 7)
    first = np.cumsum([0.0, *(rng.uniform(0.1, 4.0) for _ in range(size))]).tolist()
    return first, [rng.uniform(0.2, 8.0) for _ in range(size)] + [0.0]


def best_of_all(first: list[float], second: list[float], jobs: int) -> float:
    """Least makespan of any cut for each job, in Johnson's order."""
    best = np.inf
    for cuts in combinations_with_replacement(range(len(first)), jobs):
        f, g = [first[cut] for cut in cuts], [second[cut] for cut in cuts]
        best = min(best, makespan_s(f, g, johnson(f, g)))
    return best


def test_a_mix_of_any_two_cuts_is_within_its_known_ratio() -> None:
    """At most 1.21 x the best of all mixes, equal to the best mix of two; the crossing alone can be worse."""
    worst = {"any": 1.0, "crossing": 1.0}
    for seed in range(120):
        rng = random.Random(seed)
        first, second = cuts_of(rng)
        jobs = rng.randint(2, 5)
        best = best_of_all(first, second, jobs)
        cuts = candidates(np.array(first), np.array(second))
        for pairs, some in (("any", cuts), ("crossing", around_crossing(np.array(first), np.array(second), cuts))):
            mix = best_mix(np.array(first), np.array(second), jobs, some)
            assert mix is not None
            f = [first[mix.first]] * mix.ahead + [first[mix.second]] * (jobs - mix.ahead)
            g = [second[mix.first]] * mix.ahead + [second[mix.second]] * (jobs - mix.ahead)
            assert makespan_s(f, g, range(jobs)) == pytest.approx(mix.makespan_s)
            assert makespan_s(f, g, johnson(f, g)) == pytest.approx(mix.makespan_s)
            worst[pairs] = max(worst[pairs], mix.makespan_s / best)
    assert worst["any"] <= 1.21
    assert worst["crossing"] > worst["any"]


def test_two_cuts_beat_one() -> None:
    """Computing 1 s and 3 s, uploading 3 s and 1 s: two jobs of a kind take 7 s, one of each 5 s."""
    mix = best_mix(np.array([1.0, 3.0]), np.array([3.0, 1.0]), 2, [0, 1])
    assert mix is not None
    assert (mix.first, mix.second, mix.ahead, mix.makespan_s) == (0, 1, 1, 5.0)


def test_cuts_that_are_worse_in_both_steps_are_dropped() -> None:
    assert candidates(np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 6.0, 2.0, 2.0])) == [0, 2]
    assert around_crossing(np.array([0.0, 1.0, 4.0, 9.0]), np.array([8.0, 5.0, 3.0, 0.0]), [0, 1, 2, 3]) == [1, 2]


def all_slices(tokens: int) -> list[tuple[int, ...]]:
    """Every way to divide so many tokens."""
    found = []
    for mask in range(2 ** (tokens - 1)):
        edges = [0, *(at for at in range(1, tokens) if mask >> (at - 1) & 1), tokens]
        found.append(tuple(b - a for a, b in pairwise(edges)))
    return found


def latency_s(stages: list[Slicing], lengths: tuple[int, ...]) -> float:
    """Sum of the slices + (stages - 1) x the longest."""
    done, times = 0, []
    for length in lengths:
        times.append(max(stage.seconds(length, done) for stage in stages))
        done += length
    return sum(times) + (len(stages) - 1) * max(times)


def test_slices_are_the_best_of_all() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        tokens, count = rng.randint(1, 9), rng.randint(1, 5)
        stages = [
            Slicing(tokens=tokens, plain_s=rng.uniform(0.1, 3), context_s=rng.choice([0.0, 1.0, 9.0]),
                    call_s=rng.choice([0.0, 0.1, 1.0]))
            for _ in range(count)
        ]  # fmt: skip
        found = best_slices(stages, tokens)
        assert sum(found.lengths) == tokens
        assert found.latency_s == pytest.approx(min(latency_s(stages, lengths) for lengths in all_slices(tokens)))
        assert latency_s(stages, found.lengths) == pytest.approx(found.latency_s)


def test_later_slices_are_shorter() -> None:
    """Attention grows with the context, so equal times mean shrinking slices; one stage alone is not sliced."""
    stage = Slicing(tokens=64, plain_s=1.0, context_s=8.0, call_s=0.05)
    found = best_slices([stage] * 4, 64)
    assert found.lengths[:6] == (11, 6, 5, 4, 4, 3)
    assert all(a >= b for a, b in pairwise(found.lengths))
    assert best_slices([stage], 64).lengths == (64,)
    assert best_slices([stage] * 4, 64, 16).lengths == (32, 16, 16)
