"""PMP: pieces that are levelled, then matched."""

import pytest
from graphs import zoo_model
from split_problems import split_problem
from tile_problems import on_nodes

from hocket.solvers.tiles.maps import Maps
from hocket.solvers.tiles.pmp import Pieces, _near, shifted


def test_pmp_levels_pieces_and_ends_where_no_swap_or_move_shortens_the_critical_path() -> None:
    for seed in range(6):
        maps = Maps(split_problem(seed, nodes=3))
        pieces = Pieces(maps, (1.0, 1.0, 1.0))
        points = pieces.partition()
        for layer, each in enumerate(points):
            before = points[layer - 1] if layer else None
            times = pieces.loads(layer, each, before)
            ends = [computing + sending for computing, sending, _ in times]
            longest = max(range(3), key=lambda piece: (ends[piece], piece))
            moved = shifted(each, longest, min(range(3), key=lambda piece: (ends[piece], piece)), 1)
            if moved is not None:
                found = pieces.objective(pieces.loads(layer, moved, before))
                assert found >= pieces.objective(times) * (1 - 1e-9)
        hosts, seconds = pieces.match(points, None)
        others = [pieces.critical_path_s(points, other) for other in _near(hosts, 3)]
        assert seconds <= min(others) * (1 + 1e-9)
        assert seconds <= pieces.critical_path_s(points, maps.order) * (1 + 1e-9)


def test_pmps_critical_path_by_hand() -> None:
    # Free links: both halves of every layer take half its time, and borders keep neighbours in step.
    maps = Maps(on_nodes(zoo_model("toy_chain").graph, [1e7, 1e7], bytes_per_s=1e15))
    pieces = Pieces(maps, (1.0, 1.0, 1.0))
    halves = [(0, maps.size(layer)[0] // 2, maps.size(layer)[0]) for layer in range(maps.count)]
    alone = float(maps.cells.seconds[maps.count][0])
    assert pieces.critical_path_s(halves, (0, 1)) == pytest.approx(alone / 2, rel=1e-6)
    assert pieces.critical_path_s(halves, (0, 0)) == pytest.approx(alone, rel=1e-6)
    assert pieces.partition() == halves
