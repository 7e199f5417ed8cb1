"""A model of four operators on a phone and an edge server, for tests of what depends on rates and loads."""

import problems

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Problem

UP, DOWN = ("phone", "edge"), ("edge", "phone")
SIZES = (25_000, 5_000, 2_500, 10)
WEIGHT = 2_000_000
"""Bytes of each operator."""
SECONDS = {
    "phone": (0.02, 0.04, 0.08, 0.16),
    "edge": (0.002, 0.004, 0.008, 0.016),
    "third": (0.004, 0.008, 0.016, 0.03),
}


def cluster_of(up: Direction, down: Direction | None = None, *, third: Direction | None = None) -> Cluster:
    """A phone, an edge server and perhaps a third node, each with a link to the phone."""
    names = ("phone", "edge", "third") if third else ("phone", "edge")
    links = [Link(between=UP, up=up, down=down or up, latency_s=0.002)]
    if third:
        links.append(Link(between=("phone", "third"), up=third, down=third, latency_s=0.002))
    nodes = tuple(Node(name=name, flops_per_s=1e9) for name in names)
    return Cluster(name="world", nodes=nodes, links=tuple(links))


def problem_of(cluster: Cluster, loads: dict[str, float] | None = None) -> Problem:
    """Least latency; seconds are multiplied by the loads."""
    graph = problems.chain(SIZES, weights=[WEIGHT] * 4, first=100_000)
    seconds = {
        node.name: [each * (loads or {}).get(node.name, 1.0) for each in SECONDS[node.name]] for node in cluster.nodes
    }
    return problems.problem_of(graph, cluster, problems.profile_of(graph, seconds), "latency")


def rate(bytes_per_s: float) -> Direction:
    """Both ways alike."""
    return Direction(bytes_per_s=bytes_per_s)
