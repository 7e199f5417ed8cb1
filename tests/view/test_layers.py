"""The layered layout."""

import random
from itertools import pairwise

import pytest

from hocket.view.layers import layered
from hocket.view.rows import broken


def random_edges(seed: int, count: int) -> list[tuple[int, int]]:
    generator = random.Random(seed)
    chain = [(node - 1, node) for node in range(1, count) if generator.random() < 0.8]
    more = [tuple(sorted(generator.sample(range(count), 2))) for _ in range(count // 2)]
    return sorted({*chain, *((a, b) for a, b in more)})


@pytest.mark.parametrize("seed", range(20))
def test_every_edge_goes_right_and_no_two_nodes_of_a_column_overlap(seed: int) -> None:
    heights = [random.Random(seed + node).uniform(0.3, 1.0) for node in range(40)]
    edges = random_edges(seed, 40)
    layout = layered(heights, edges, 0.2)
    assert all(layout.column[a] < layout.column[b] for a, b in edges)
    for column in set(layout.column):
        nodes = sorted((node for node in range(40) if layout.column[node] == column), key=lambda n: layout.y[n])
        for one, other in pairwise(nodes):
            assert layout.y[other] - layout.y[one] >= (heights[one] + heights[other]) / 2 + 0.1


@pytest.mark.parametrize("seed", range(5))
def test_a_way_passes_every_column_between_its_ends(seed: int) -> None:
    edges = random_edges(seed, 30)
    layout = layered([1.0] * 30, edges, 0.2)
    for (source, target), way in zip(edges, layout.ways, strict=True):
        assert [column for column, _ in way] == list(range(layout.column[source], layout.column[target] + 1))
        assert (way[0][1], way[-1][1]) == (layout.y[source], layout.y[target])


def test_a_chain_is_a_straight_line() -> None:
    layout = layered([1.0] * 5, [(0, 1), (1, 2), (2, 3), (3, 4)], 0.2)
    assert layout.y == pytest.approx([layout.y[0]] * 5)


def test_crossing_branches_are_put_in_order() -> None:
    layout = layered([1.0] * 6, [(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)], 0.2)
    assert (layout.y[1] < layout.y[2]) == (layout.y[4] < layout.y[3])


def test_a_node_without_edges_has_a_place() -> None:
    assert layered([1.0], [], 0.2).column == [0]


def test_rows_cover_every_column_once_and_break_where_one_line_passes() -> None:
    # Diamonds in a row: a break inside of one would cut two lines.
    diamond = ((0, 1), (0, 2), (1, 3), (2, 3))
    edges = [(start + a, start + b) for start in range(0, 60, 3) for a, b in diamond]
    layout = layered([0.5] * 61, edges, 0.2)
    columns = max(layout.column) + 1
    rows = broken(layout, [0.5] * 61, [1.5] * columns, 0.5)
    assert len(rows) > 1
    assert rows[0].start == 0
    assert rows[-1].stop == columns
    for one, other in pairwise(rows):
        assert one.stop == other.start
        assert len({way[0][1] for way in layout.ways if way[0][0] < other.start <= way[-1][0]}) == 1
