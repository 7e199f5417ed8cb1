"""MoDNN: strips in proportion to speed."""

from itertools import accumulate

from graphs import zoo_model
from tile_problems import on_nodes

from hocket.plan import Split
from hocket.plan.cuts import shared
from hocket.plan.placement import positions
from hocket.solvers.tiles.modnn import Modnn


def test_modnn_cuts_in_proportion_to_speed_layer_by_layer() -> None:
    graph = zoo_model("vgg16").graph
    runs = Modnn()(on_nodes(graph, [1e9, 2e9, 4e9, 1e9])).plan.entries[0].where
    first = runs[0].on
    assert isinstance(first, Split)
    assert (first.axis, first.cuts) == (2, (28, 84, 196))  # 224 rows as 1 : 2 : 4 : 1
    splits = [run for run in runs if isinstance(run.on, Split)]
    assert len(splits) == 18 + 3  # each layer by itself, and the three large fully connected ones
    for run in splits[:18]:
        shape = graph.tensor[graph.operators[positions(graph, run.operators)[-1]].name].shape
        assert run.on.cuts == tuple(accumulate(shared((1, 2, 4, 1), shape[2])))[:-1]
    assert (splits[-2].on.axis, splits[-2].on.cuts) == (1, (512, 1536, 3584))
    few = Modnn(least_bytes=1 << 40)(on_nodes(graph, [1e9, 2e9])).plan.entries[0].where
    assert len([run for run in few if isinstance(run.on, Split)]) == 18
