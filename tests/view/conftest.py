"""Small nouns that pictures are drawn of."""

from collections.abc import Callable, Sequence

import pytest

from hocket.cluster import Cluster, Direction, Link, Medium, Node
from hocket.cost import Problem, problem_for
from hocket.graph import Graph, Operator, Tensor
from hocket.program import Span, Trace

GraphOf = Callable[[str, Sequence[Sequence[int]]], Graph]


def _graph_of(name: str, reads: Sequence[Sequence[int]], shape: tuple[int, ...] = (1, 8, 16, 16)) -> Graph:
    """Convolutions by the positions that each reads; -1 is the input. The last one is the output."""
    operators = [
        Operator(
            name=f"t{position}",
            kind="Conv" if len(read) == 1 else "Concat",
            inputs=tuple("x" if other < 0 else f"t{other}" for other in read),
            outputs=(f"t{position}",),
            flops=1e6 * (position + 1),
            scope=f"stage{position // 4}.layer_{position}",
        )
        for position, read in enumerate(reads)
    ]
    entering = Tensor(name="x", dtype="float32", shape=shape)
    made = [Tensor(name=operator.name, dtype="float32", shape=shape) for operator in operators]
    return Graph(
        name=name, inputs=(entering,), outputs=(made[-1].name,), operators=tuple(operators), tensors=(entering, *made)
    )


@pytest.fixture
def graph_of() -> GraphOf:
    """Makes a graph of convolutions from the positions that each reads."""
    return _graph_of


@pytest.fixture
def diamond() -> Graph:
    """One operator feeds two branches (of two and of one), which are joined."""
    return _graph_of("diamond", [[-1], [0], [1], [0], [2, 3], [4]])


@pytest.fixture
def home() -> Cluster:
    """Phone, edge and cloud in a row; the first two share their air."""
    wifi, line = Direction(bytes_per_s=5e6), Direction(bytes_per_s=12e6)
    return Cluster(
        name="home",
        nodes=(
            Node(name="phone", flops_per_s=8e6),
            Node(name="edge", flops_per_s=4e8, cores=2, memory_bytes=2**30),
            Node(name="cloud", flops_per_s=2e9),
        ),
        links=(
            Link(between=("phone", "edge"), up=wifi, down=wifi, latency_s=0.003, media=("air",)),
            Link(between=("edge", "cloud"), up=line, down=line, latency_s=0.012),
        ),
        media=(Medium(name="air", bytes_per_s=6e6),),
    )


@pytest.fixture
def problem(diamond: Graph, home: Cluster) -> Problem:
    """The diamond at home, by the formula profile."""
    return problem_for(diamond, home)


@pytest.fixture
def busy() -> Trace:
    """Forty requests over two nodes, 200 spans, transfers overlapping by their latency."""
    spans: list[Span] = []
    for request in range(40):
        at = 0.01 * request
        spans += [
            Span(kind="compute", id="t/000@phone", request=request, node="phone", start_s=at, stop_s=at + 0.008),
            Span(kind="encode", id="t/x>edge", request=request, node="phone", start_s=at + 0.008, stop_s=at + 0.009),
            Span(
                kind="transfer", id="t/x>edge", request=request, node="phone", target="edge", nbytes=2048,
                start_s=at + 0.009, stop_s=at + 0.021,
            ),
            Span(kind="compute", id="t/001@edge", request=request, node="edge", start_s=at + 0.021, stop_s=at + 0.024),
            Span(kind="request", id="t", request=request, node="phone", start_s=at, stop_s=at + 0.024),
        ]  # fmt: skip
    return Trace(name="busy", judge="simulated", spans=tuple(spans))
