"""Least bottlenecks of chains: the recurrences of PipeEdge and EdgeShard, bisection, greedy prefixes, fixed orders."""

import random
from itertools import combinations, permutations

import numpy as np
import pytest

from hocket.solvers.bottleneck import Bottleneck
from hocket.solvers.chains.dichotomy import prefixes, shortest_stage
from hocket.solvers.chains.hpipe import in_order, longest
from hocket.solvers.chains.minimax import least_bottleneck
from hocket.solvers.chains.ocdst import DepthFirst
from hocket.solvers.stages import Fleet, Runs, Stage


def random_runs(rng: random.Random, *, memory: bool = True, kinds: int | None = None, layers: int = 7) -> Runs:
    """A chain on hosts of a few kinds, whose ways differ by kind and by tensor."""
    width, length = rng.randint(1, 4), rng.randint(1, layers)
    count = rng.randint(1, width) if kinds is None else kinds
    kind = [rng.randrange(count) for _ in range(width)]
    work = np.array([[rng.choice([0.0, 1.0, 2.0, 3.5]) for _ in range(count)] for _ in range(length)])
    rate = [[rng.choice([0.2, 1.0, 4.0, np.inf]) for _ in range(count)] for _ in range(count)]
    sizes = [rng.choice([1.0, 2.0, 5.0]) for _ in range(length)]
    steps = [[[0.0 if a == b else rate[kind[a]][kind[b]] * size for b in range(width)] for a in range(width)]
             for size in sizes]  # fmt: skip
    rooms = [[min(length, block + rng.choice([0, 1, 2, 3, 9])) for _ in range(count)] for block in range(length)]
    return Runs(
        before=np.vstack([np.zeros(width), np.cumsum(work[:, kind], axis=0)]),
        call_s=np.array([0.1 * number for number in kind]),
        enter=np.array([rng.choice([0.0, 1.0, 6.0]) if rng.random() < 0.3 else 1.0 * number for number in kind]),
        steps=np.array(steps),
        leave=np.array([rng.choice([0.0, 1.0, 6.0]) if rng.random() < 0.3 else 1.0 for _ in kind]),
        ends=np.array(rooms, dtype=float)[:, kind] if memory else np.full((length, width), float(length)),
    )


def divisions(runs: Runs, most: int, order: list[int] | None = None) -> list[list[Stage]]:
    """All divisions into one run per host that fit, in any order or in prefixes of one."""
    found = []
    for count in range(1, most + 1):
        for hosts in permutations(range(runs.width), count) if order is None else [tuple(order[:count])]:
            for cuts in combinations(range(1, runs.length), count - 1):
                edges = (0, *cuts, runs.length)
                stages = [Stage(edges[i], edges[i + 1], hosts[i]) for i in range(count)]
                if len(set(edges)) == count + 1 and all(s.stop <= runs.ends[s.start, s.host] for s in stages):
                    found.append(stages)
    return found


def least(values: list[float]) -> float | None:
    """The least of those that are finite."""
    return min((value for value in values if np.isfinite(value)), default=None)


@pytest.mark.parametrize("method", ["bisection", "pipeedge", "edgeshard"])
def test_the_least_bottleneck_is_that_of_all_divisions(method: str) -> None:
    """Counting nodes of a kind, naming every node, and bisection over counts all agree with enumeration."""
    for seed in range(150):
        rng = random.Random(seed)
        runs = random_runs(rng)
        most = rng.randint(1, runs.width)
        best = least([runs.busiest(stages) for stages in divisions(runs, most)])
        if method == "bisection":
            stages = Bottleneck(runs, most).least(0.0)
        else:
            fleet = Fleet.of(runs) if method == "pipeedge" else Fleet.apart(runs.width)
            stages = least_bottleneck(runs, fleet, most)
        assert (stages is None) == (best is None), seed
        if stages is not None:
            assert runs.busiest(stages) == pytest.approx(best), seed
            assert stages in divisions(runs, most), seed


def test_where_ways_differ_by_the_node_before_every_boundary_counts() -> None:
    """Only from the first host the third may be reached, and only before the second block: no prefix tells that."""
    inf = np.inf
    steps = np.zeros((3, 3, 3))
    steps[1, 1, 2] = steps[2, 0, 1] = steps[2, 0, 2] = steps[2, 1, 2] = inf
    steps[1, 0, 1] = steps[2, 2, 1] = inf
    runs = Runs(
        before=np.array([[0.0] * 3, [1.0, 2.0, 2.0], [2.0, 4.0, 4.0], [3.0, 6.0, 6.0]]),
        call_s=np.zeros(3), enter=np.array([0.0, inf, inf]), steps=steps, leave=np.zeros(3), ends=np.full((3, 3), 3.0),
    )  # fmt: skip
    assert Bottleneck(runs).least(0.0) == [Stage(0, 3, 0)]
    steps[2, 2, 1] = 0.5
    assert Bottleneck(runs).least(0.0) == [Stage(0, 1, 0), Stage(1, 2, 2), Stage(2, 3, 1)]


def test_devices_of_a_kind_are_counted_and_not_named() -> None:
    """Sixteen devices of four kinds make 5 x 5 x 5 x 5 vectors, not 65536 sets."""
    kind = [number % 4 for number in range(16)]
    runs = Runs(
        before=np.outer(np.arange(4.0), 1.0 + np.array(kind)), call_s=np.zeros(16), enter=np.zeros(16),
        steps=np.zeros((3, 16, 16)), leave=np.zeros(16), ends=np.full((3, 16), 3.0),
    )  # fmt: skip
    fleet = Fleet.of(runs)
    assert fleet.vectors == 625
    assert Fleet.apart(16).vectors == 65536
    stages = least_bottleneck(runs, fleet)
    assert stages is not None
    assert sorted(stage.host for stage in stages) == [0, 4, 8]


def test_the_recurrence_of_pipeedge_step_by_step() -> None:
    """Two layers of 2 s and 3 s on A, half of that on B, 1.2 s between: h[{A}][B][1] = 2, and the answer is 2."""
    runs = Runs(
        before=np.array([[0.0, 0.0], [2.0, 1.0], [5.0, 2.5]]), call_s=np.zeros(2), enter=np.array([0.0, 9.0]),
        steps=np.array([[[0.0, 7.0], [7.0, 0.0]], [[0.0, 1.2], [1.2, 0.0]]]), leave=np.zeros(2),
        ends=np.full((2, 2), 2.0),
    )  # fmt: skip
    stages = least_bottleneck(runs, Fleet.apart(2))
    assert stages == [Stage(0, 1, 0), Stage(1, 2, 1)]
    assert runs.busiest(stages) == 2.0
    assert least_bottleneck(runs, Fleet.apart(2), 1) == [Stage(0, 2, 0)]


def uniform(rng: random.Random) -> Runs:
    """No memory limits and the same links everywhere, where greedy prefixes are known to be right."""
    runs = random_runs(rng, memory=False, layers=9)
    shape = runs.steps.shape
    sizes = np.array([rng.choice([0.5, 1.0, 2.0]) for _ in range(runs.length)])
    steps = np.broadcast_to(sizes[:, None, None], shape) * (1 - np.eye(runs.width))
    nothing = np.zeros(runs.width)
    work = np.array([[rng.uniform(0.5, 3.0) for _ in range(runs.width)] for _ in range(runs.length)])
    before = np.vstack([nothing, np.cumsum(work, axis=0)])
    return Runs(before, nothing, nothing, steps, nothing, runs.ends)


def test_greedy_prefixes_of_pdd_match_all_divisions_in_one_order() -> None:
    """With every host of the order or only the first ones, the longest prefix is never wrong."""
    wrong = 0
    for seed in range(200):
        rng = random.Random(seed)
        runs = uniform(rng)
        order = list(range(runs.width))
        rng.shuffle(order)
        best = least([runs.busiest(stages) for stages in divisions(runs, runs.width, order)])
        stages = shortest_stage(runs, order)
        assert stages is not None
        wrong += abs(runs.busiest(stages) - best) > 1e-9 * best
    assert wrong == 0


def test_a_prefix_ends_before_the_boundary_that_costs_too_much() -> None:
    steps = np.zeros((4, 2, 2))
    steps[:, 0, 1] = [9.0, 1.0, 5.0, 5.0]
    zeros = np.zeros(2)
    before = np.outer(np.arange(5.0), np.ones(2))
    runs = Runs(before, zeros, zeros, steps, zeros, np.full((4, 2), 4.0))
    assert prefixes(runs, [0, 1], 3.0) == [Stage(0, 1, 0), Stage(1, 4, 1)]
    assert prefixes(runs, [0, 1], 2.5) is None
    assert shortest_stage(runs, [0, 1]) == [Stage(0, 1, 0), Stage(1, 4, 1)]


def test_ocdst_pdd_and_the_dynamic_program_agree_on_the_longest_stage() -> None:
    """Of a very long stream only the longest stage counts; with the best of all orders PDD finds it too."""
    for seed in range(40):
        runs = uniform(random.Random(seed))
        by_program = least_bottleneck(runs, Fleet.apart(runs.width))
        search = DepthFirst(runs, requests=10**9, most_steps=10**7)
        search.run()
        orders = permutations(range(runs.width))
        greedy = [stages for order in orders if (stages := shortest_stage(runs, list(order))) is not None]
        assert by_program is not None
        assert search.best is not None
        period = runs.busiest(by_program)
        assert runs.busiest(search.best) == pytest.approx(period, rel=1e-6)
        assert min(runs.busiest(stages) for stages in greedy) == pytest.approx(period)


@pytest.mark.parametrize("requests", [1, 2, 10, 1000])
def test_ocdst_finds_the_least_mean_delay(requests: int) -> None:
    def delay(runs: Runs, stages: list[Stage]) -> float:
        return (runs.total(stages) + (requests - 1) * runs.busiest(stages)) / requests

    for seed in range(40):
        runs = random_runs(random.Random(seed))
        best = least([delay(runs, stages) for stages in divisions(runs, runs.width)])
        search = DepthFirst(runs, requests=requests, most_steps=10**7)
        search.run()
        assert (search.best is None or not np.isfinite(search.value)) == (best is None), seed
        if best is not None and search.best is not None:
            assert search.value == pytest.approx(best), seed
            assert delay(runs, search.best) == pytest.approx(best), seed


def test_ocdst_prunes_and_ends_with_a_path() -> None:
    runs = next(runs for seed in range(99) if (runs := uniform(random.Random(seed))).width == 4 and runs.length > 7)
    full = DepthFirst(runs, requests=100, most_steps=10**7)
    full.run()
    assert full.steps < len(divisions(runs, runs.width))
    cut = DepthFirst(runs, requests=100, most_steps=1)
    cut.run()
    assert cut.over
    assert cut.best is not None
    assert cut.value >= full.value


def test_hpipe_divides_in_its_order_by_computing_plus_way_out() -> None:
    for seed in range(100):
        rng = random.Random(seed)
        runs = random_runs(rng)
        order = rng.sample(range(runs.width), runs.width)
        best = least([longest(runs, stages) for stages in divisions(runs, runs.width, order)])
        stages = in_order(runs, order)
        assert (stages is None) == (best is None), seed
        if stages is not None:
            assert longest(runs, stages) == pytest.approx(best), seed


def test_hpipe_adds_what_pipeedge_takes_the_longer_of() -> None:
    """3 s and 2 s with 2 s between: as one stage 5 s is shorter than 3 + 2, as stages of their own 3 s."""
    zeros = np.zeros(2)
    runs = Runs(
        np.array([[0.0, 0.0], [3.0, 3.1], [4.9, 5.0]]), zeros, zeros, np.full((2, 2, 2), 2.0) * (1 - np.eye(2)), zeros,
        np.full((2, 2), 2.0),
    )  # fmt: skip
    assert in_order(runs, [0, 1]) == [Stage(0, 2, 0)]
    assert least_bottleneck(runs, Fleet.apart(2)) == [Stage(0, 1, 0), Stage(1, 2, 1)]
