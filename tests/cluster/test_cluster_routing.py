"""Routes against every simple path."""

import math
import random
import time
from collections.abc import Iterator
from itertools import combinations, pairwise

import pytest

from hocket.cluster import Cluster, Direction, Link, Medium, Node, RateTrace, seconds_to_send, slowest

SIZES = (0.0, 1.0, 37.0, 1e3, 1.5e4, 1e6, 1e9)


def random_cluster(random: random.Random, *, changing: bool) -> Cluster:
    """Up to six nodes, sparse links, ports and a medium, unlike rates in the two directions."""
    names = "abcdef"[: random.randint(2, 6)]

    def direction() -> Direction:
        if changing and random.random() < 0.3:
            steps = (*((float(at), random.choice([0.0, 1e2, 1e4])) for at in range(3)), (3.0, 1e3))
            return Direction(trace=RateTrace(steps=steps, length_s=random.choice([None, 5.0])))
        return Direction(bytes_per_s=random.choice([None, 10.0 ** random.uniform(1, 6)]))

    def link(pair: tuple[str, str]) -> Link:
        media = ("air",) if random.random() < 0.3 else ()
        latency_s = random.choice([0.0, 0.001, random.random()])
        return Link(between=pair, up=direction(), down=direction(), latency_s=latency_s, media=media)

    nodes = tuple(
        Node(name=name, flops_per_s=1.0, port_up_bytes_per_s=random.choice([None, 10.0 ** random.uniform(1, 6)]))
        for name in names
    )
    links = tuple(link(pair) for pair in combinations(names, 2) if random.random() < 0.6)
    return Cluster(name="c", nodes=nodes, links=links, media=(Medium(name="air", bytes_per_s=5e3),))


def simple_paths(cluster: Cluster, a: str, b: str) -> Iterator[tuple[str, ...]]:
    """Every way from a to b that visits no node twice."""

    def extend(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if path[-1] == b:
            yield path
            return
        for name in cluster.node:
            if name not in path and (path[-1], name) in cluster.link:
                yield from extend((*path, name))

    return extend((a,))


def seconds(cluster: Cluster, path: tuple[str, ...], nbytes: float) -> float:
    """The time of a message by the definition: hop by hop, from the program that the cluster becomes."""
    _, wires, resources = cluster.to_program()
    held = {resource.name: resource for resource in resources}
    total = 0.0
    for pair in pairwise(path):
        wire = next(wire for wire in wires if (wire.source, wire.target) == pair)
        rates = [
            RateTrace(steps=r.trace or ((0.0, r.bytes_per_s),), length_s=r.trace_s)
            for r in (held[name] for name in wire.resources)
            if r.trace or r.bytes_per_s is not None
        ]
        total += wire.latency_s + (seconds_to_send(slowest(rates), 0.0, nbytes) if rates else 0.0)
    return total


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_every_route_is_the_best_of_all_paths(seed: int, changing: bool) -> None:
    """For every pair and size: the least time, and a path that takes it."""
    cluster = random_cluster(random.Random(seed), changing=changing)
    for a in cluster.node:
        for b in cluster.node:
            paths = list(simple_paths(cluster, a, b))
            assert cluster.reachable(a, b) == bool(paths)
            for nbytes in SIZES if paths else ():
                best = min(seconds(cluster, path, nbytes) for path in paths)
                assert cluster.transfer_s(a, b, nbytes) == pytest.approx(best, rel=1e-9, abs=1e-12)
                assert seconds(cluster, cluster.path(a, b, nbytes), nbytes) == pytest.approx(best, rel=1e-9, abs=1e-12)


def test_small_and_large_messages_take_different_ways() -> None:
    """Two slow hops of little latency for the small one, a fast satellite for the large one."""
    slow, fast = Direction(bytes_per_s=1e3), Direction(bytes_per_s=1e6)
    links = (
        Link(between=("a", "b"), up=slow, down=slow, latency_s=0.001),
        Link(between=("b", "c"), up=slow, down=slow, latency_s=0.001),
        Link(between=("a", "c"), up=fast, down=fast, latency_s=0.5),
    )
    cluster = Cluster(name="c", nodes=tuple(Node(name=name, flops_per_s=1.0) for name in "abc"), links=links)
    assert cluster.path("a", "c", 10) == ("a", "b", "c")
    assert cluster.path("a", "c", 10_000) == ("a", "c")
    # 0.002 + 2 n / 1e3 = 0.5 + n / 1e6
    assert cluster.transfer_s("a", "c", 0.498 / 0.001999) == pytest.approx(0.5 + 0.498 / 1999, rel=1e-9)


def test_the_direct_link_wins_among_equals() -> None:
    """Fewest hops where time is the same."""
    links = tuple(Link(between=pair) for pair in combinations("abcd", 2))
    cluster = Cluster(name="c", nodes=tuple(Node(name=name, flops_per_s=1.0) for name in "dcba"), links=links)
    for pair in combinations("abcd", 2):
        assert cluster.path(*pair, 1e6) == pair
        assert cluster.transfer_s(*pair, 1e6) == 0.0


def test_many_questions_are_cheap() -> None:
    """A solver asks a hundred thousand times; generously below 20 microseconds each on any computer."""
    cluster = random_cluster(random.Random(3), changing=False)
    pairs = [(a, b) for a in cluster.node for b in cluster.node if cluster.reachable(a, b)]
    start = time.perf_counter()
    for count in range(100_000):
        cluster.transfer_s(*pairs[count % len(pairs)], count)
    assert time.perf_counter() - start < 2.0


def test_a_rate_that_ends_at_nothing_is_avoided() -> None:
    """A route whose rate falls to 0 takes for ever; another one is taken if there is one."""
    dying = Direction(trace=RateTrace(steps=((0.0, 10.0), (1.0, 0.0))))
    slow = Direction(bytes_per_s=1.0)
    links = (
        Link(between=("a", "c"), up=dying, down=dying),
        Link(between=("a", "b"), up=slow, down=slow),
        Link(between=("b", "c"), up=slow, down=slow),
    )
    cluster = Cluster(name="c", nodes=tuple(Node(name=name, flops_per_s=1.0) for name in "abc"), links=links)
    assert cluster.path("a", "c", 10) == ("a", "c")
    assert cluster.path("a", "c", 11) == ("a", "b", "c")
    assert cluster.replace(links=links[:1]).transfer_s("a", "c", 11) == math.inf
