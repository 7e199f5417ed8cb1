"""Problems for the tests of tiles."""

from graphs import mesh, node

from hocket.cost import Problem, problem_for
from hocket.graph import Graph


def on_nodes(graph: Graph, speeds: list[float], *, bytes_per_s: float = 1e9, latency_s: float = 0.0) -> Problem:
    """Nodes a, b, c ... of so many FLOP/s."""
    nodes = [node("abcdef"[number], speed) for number, speed in enumerate(speeds)]
    return problem_for(graph, mesh(*nodes, bytes_per_s=bytes_per_s, latency_s=latency_s))
