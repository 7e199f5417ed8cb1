"""MeDNN: rectangles in proportion to speed."""

import random

import numpy as np
import pytest

from hocket.solvers.tiles.mednn import Rates, gtdp, leaves_of


def rates(speeds: list[float], halo: float = 0.0) -> Rates:
    array = np.array(speeds)
    return Rates(1 / array, array, np.ones(len(speeds)), (halo, halo))


def test_mednn_makes_rectangles_as_large_as_nodes_are_fast() -> None:
    square = ((0, 8), (0, 8))
    assert sorted(leaf.tile for leaf in leaves_of(gtdp(square, (0, 1, 2, 3), rates([1, 1, 1, 1])))) == [
        ((0, 4), (0, 4)),
        ((0, 4), (4, 8)),
        ((4, 8), (0, 4)),
        ((4, 8), (4, 8)),
    ]
    tree = gtdp(square, (0, 1, 2), rates([2, 1, 1]))
    assert {leaf.team[0]: leaf.area for leaf in leaves_of(tree)} == {0: 32, 1: 16, 2: 16}
    # Half the work saves 32 s; a border of 8 columns that takes 40 s does not pay.
    assert len(leaves_of(gtdp(square, (0, 1), rates([1, 1], halo=5.0)))) == 1
    assert len(leaves_of(gtdp(square, (0, 1), rates([1, 1], halo=3.0)))) == 2
    # A wide map is cut across its longer side first, where the border is short.
    assert gtdp(((0, 4), (0, 16)), (0, 1), rates([1, 1], halo=0.1)).axis == 3
    rng = random.Random(3)
    for _ in range(50):
        speeds = sorted((rng.uniform(1, 4) for _ in range(rng.randint(2, 6))), reverse=True)
        leaves = leaves_of(gtdp(((0, 400), (0, 400)), tuple(range(len(speeds))), rates(speeds)))
        assert sum(leaf.area for leaf in leaves) == 400 * 400
        for leaf in leaves:
            assert leaf.area / 160_000 == pytest.approx(speeds[leaf.team[0]] / sum(speeds), abs=0.01)
