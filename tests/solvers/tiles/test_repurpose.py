"""RePurpose: groups of channels on nodes."""

from itertools import permutations

import numpy as np
import pytest
from graphs import zoo_model
from tile_problems import on_nodes

from hocket.plan import Run
from hocket.plan.placement import positions
from hocket.solvers.tiles.repurpose import Repurpose, assigned


def test_repurpose_assigns_groups_as_no_permutation_does_better() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        groups, workers = int(rng.integers(2, 7)), int(rng.integers(2, 4))
        prices = rng.integers(0, 9, (groups, workers)).astype(float)
        slots = sorted(int(worker) for worker in rng.integers(0, workers, groups))
        hosts = assigned(prices, slots)
        assert sorted(hosts) == slots
        best = min(
            sum(prices[group, slots[slot]] for group, slot in enumerate(order)) for order in permutations(range(groups))
        )
        assert sum(prices[group, host] for group, host in enumerate(hosts)) == pytest.approx(best)


def test_repurpose_keeps_the_channels_of_a_depthwise_layer_where_they_are() -> None:
    graph = zoo_model("mobilenet_v1").graph
    runs = Repurpose()(on_nodes(graph, [1e9, 2e9, 1e9])).plan.entries[0].where
    by_first: dict[str, Run] = {run.operators.partition("..")[0]: run for run in runs}
    kept = 0
    for operator in graph.operators:
        depthwise = operator.kind == "Conv" and operator.macs and operator.weight_bytes < 50_000
        read = operator.inputs[0]
        if depthwise and read in graph.producer and graph.tensor[read].shape[1] == graph.tensor[operator.name].shape[1]:
            before = next(run for run in runs if graph.producer[read] in positions(graph, run.operators))
            assert by_first[operator.name].on == before.on
            kept += 1
    assert kept >= 5
