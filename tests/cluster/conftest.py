"""Small clusters that several tests use, and strategies that make others."""

from itertools import pairwise

import pytest

from hocket.cluster import Cluster, Direction, Link, Node


def straight(*names: str, bytes_per_s: float = 1e6, latency_s: float = 0.0) -> Cluster:
    """A chain of nodes."""
    rate = Direction(bytes_per_s=bytes_per_s)
    links = [Link(between=pair, up=rate, down=rate, latency_s=latency_s) for pair in pairwise(names)]
    return Cluster(name="chain", nodes=tuple(Node(name=name, flops_per_s=1e9) for name in names), links=tuple(links))


@pytest.fixture
def chain() -> Cluster:
    """a - b - c, 1 MB/s and 2 ms each."""
    return straight("a", "b", "c", latency_s=0.002)
