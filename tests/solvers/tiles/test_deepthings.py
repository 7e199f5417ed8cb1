"""DeepThings: fused tiles of a grid."""

from itertools import pairwise, product

import numpy as np
import pytest
from graphs import zoo_model
from split_problems import split_problem
from tile_problems import on_nodes

from hocket.cost import evaluate
from hocket.plan import Split
from hocket.plan.placement import positions
from hocket.solvers.tiles.deepthings_ftp import DeepthingsFtp, dealt, tile_points, tile_table
from hocket.solvers.tiles.maps import Maps


def public_rule(layers: list[tuple[str, int, int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """The traversal of ftp.c: both ends belong to the interval; layers are (kind, filter, stride, width before)."""
    table = [(first, last)]
    for kind, size, stride, width in reversed(layers):
        first, last = table[0]
        if kind == "conv":
            table.insert(0, (max(first * stride - size // 2, 0), min(last * stride + size // 2, width - 1)))
        else:
            table.insert(0, (first * stride, last * stride + stride - 1))
    return table


def test_deepthings_tiles_are_those_of_the_public_rule() -> None:
    graph = zoo_model("vgg16").graph
    maps = Maps(split_problem(1, models=[graph], nodes=2))
    layers = []
    for number, cell in enumerate(maps.cells.cells[:16]):
        conv = graph.operator[cell.operators[0]].kind == "Conv"
        layers.append(("conv" if conv else "pool", 3 if conv else 2, 1 if conv else 2, maps.size(number - 1)[0]))
    points = tile_points(14, 5)
    assert points == (0, 3, 6, 9, 12, 14)
    for down, across in product(pairwise(points), repeat=2):
        table = tile_table(maps, 15, (down, across))
        for axis, (lo, hi) in enumerate((down, across)):
            assert [(tile[axis][0], tile[axis][1] - 1) for tile in table] == public_rule(layers, lo, hi - 1)


def test_deepthings_tiles_by_hand() -> None:
    # 3 x 3 filters; the third layer has stride 2: rows 4 .. 7 of 16 need 7 .. 15, then 6 .. 16, then 5 .. 17 of 32.
    maps = Maps(split_problem(1, models=[zoo_model("toy_chain").graph], nodes=2))
    rows = [tile[0] for tile in tile_table(maps, 2, ((4, 8), (0, 16)))]
    assert rows == [(5, 18), (6, 17), (7, 16), (4, 8)]


def test_deepthings_has_one_run_of_a_grid_and_the_gateway_keeps_the_rest() -> None:
    problem = on_nodes(zoo_model("toy_chain").graph, [1e9, 3e9])
    fused, rest = DeepthingsFtp(grid=(3, 2), fused=4)(problem).plan.entries[0].where
    assert isinstance(fused.on, Split)
    assert (fused.on.axis, fused.on.cuts, [part.axis for part in fused.on.parts]) == (2, (6, 12), [3, 3, 3])
    assert [part.cuts for part in fused.on.parts] == [(8,)] * 3
    assert positions(problem.task.graph, fused.operators)[-1] == 7
    assert rest.on == "a"
    named = [name for part in fused.on.parts for name in part.parts]
    assert (named.count("a"), named.count("b")) == (1, 5)
    assert dealt([np.array([3.0, 1.0])] * 4) == [1, 1, 0, 1]


def test_deepthings_with_reuse_computes_nothing_twice() -> None:
    problem = on_nodes(zoo_model("toy_chain").graph, [1e7, 1e7], bytes_per_s=1e12)
    again, once = (
        evaluate(problem, DeepthingsFtp(grid=(3, 3), fused=6, reuse=reuse)(problem).plan) for reuse in (False, True)
    )
    alone = sum(problem.task.profile.at("a").seconds.values())
    assert sum(once.busy_s[name] for name in "ab") == pytest.approx(alone, rel=1e-9)
    assert sum(again.busy_s[name] for name in "ab") > alone * 1.2
