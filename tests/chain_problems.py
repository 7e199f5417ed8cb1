"""Problems for the tests of methods on chains."""

from problems import random_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem

METRICS = ("sequential", "latency", "period", "energy", "price")


def instances() -> list[Problem]:
    """Problems of all metrics, shapes and clusters that the tests know, 40 in all."""
    return [
        random_problem(
            seed, metric, nodes=2 + seed % 2, size=4 + (seed % 5 == 0), limited=seed % 3 == 0, spread=seed % 4 == 0,
            packed=seed % 5 == 0, media=seed % 6 == 0, relay=seed % 7 == 0, call_s=2e-4 if seed % 4 == 1 else 0.0,
            **({"shape": "chain"} if seed % 3 == 1 else {}),
        )
        for metric in METRICS
        for seed in range(8)
    ]  # fmt: skip


def straight(seed: int, metric: str = "period", **options: object) -> Problem:
    """A random chain with one input and one answer."""
    return random_problem(seed, metric, shape="chain", **{"nodes": 3, "size": 5, **options})


def two(up: float = 1e6, down: float = 1e6, **fields: object) -> Cluster:
    """A device and a server, links without latency."""
    nodes = (Node(name="d", flops_per_s=1e9, **fields), Node(name="s", flops_per_s=1e9))
    link = Link(between=("d", "s"), up=Direction(bytes_per_s=up), down=Direction(bytes_per_s=down))
    return Cluster(name="two", nodes=nodes, links=(link,))


def star(rate: float = 1e6, memory: tuple[int | None, int | None, int | None] = (None, None, None)) -> Cluster:
    """Three devices, each with a link to each other one."""
    nodes = tuple(Node(name=f"n{i}", flops_per_s=1e9, memory_bytes=m) for i, m in enumerate(memory))
    d = Direction(bytes_per_s=rate)
    links = tuple(Link(between=(f"n{a}", f"n{b}"), up=d, down=d) for a, b in ((0, 1), (0, 2), (1, 2)))
    return Cluster(name="star", nodes=nodes, links=links)
