"""What windows say of tiles is what slicing says."""

import random

import pytest
from graphs import zoo_model
from split_problems import split_problem

from hocket.solvers.tiles.maps import Maps


@pytest.mark.parametrize("name", ["toy_chain", "toy_dag", "lenet", "vgg16", "inception_v3", "efficientnet_b0"])
def test_tiles_cost_and_need_what_slicing_says(name: str) -> None:
    rng = random.Random(name)
    maps = Maps(split_problem(1, models=[zoo_model(name).graph], nodes=3))
    learned = 0
    for _ in range(60):
        layer = rng.randrange(maps.count)
        rows, columns = (sorted(rng.sample(range(size + 1), 2)) for size in maps.size(layer))
        tile = ((rows[0], rows[1]), (columns[0], columns[1]))
        found, exact = maps.need(layer, tile), maps.cells.part(layer, layer, maps.box(layer, tile))
        assert exact.need is not None
        assert found.tile == exact.need[2:]
        assert found.seconds == pytest.approx(exact.seconds, rel=1e-9)
        learned += maps._windows.of(maps.cells.cells[layer].operators, (2, 3)) is not None
    assert learned > 30
