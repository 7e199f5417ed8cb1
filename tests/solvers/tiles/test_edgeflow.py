"""EdgeFlow: cut points that end all parts together."""

import random
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from graphs import zoo_model
from tile_problems import on_nodes

from hocket.cost import evaluate
from hocket.plan import Split
from hocket.solvers.tiles.edgeflow import Edgeflow, bisected


def test_edgeflow_ends_the_slowest_part_as_soon_as_any_cut_points_do() -> None:
    rng = random.Random(7)
    for _ in range(60):
        hosts, size = rng.randint(2, 4), rng.randint(1, 9)
        tables = []
        for _ in range(hosts):
            row_s, ready = rng.uniform(0.1, 3.0), [rng.uniform(0, 4) for _ in range(size)]
            table = np.zeros((size + 1, size + 1))
            for lo, hi in combinations(range(size + 1), 2):
                table[lo, hi] = max(ready[lo:hi]) + row_s * (hi - lo)
            tables.append(table)
        points = bisected(tables)
        assert (points[0], points[-1]) == (0, size)
        found = max(table[lo, hi] for table, (lo, hi) in zip(tables, pairwise(points), strict=True))
        cuts = (c for c in product(range(size + 1), repeat=hosts - 1) if list(c) == sorted(c))
        best = min(
            max(table[lo, hi] for table, (lo, hi) in zip(tables, pairwise((0, *cut, size)), strict=True))
            for cut in cuts
        )
        assert found == pytest.approx(best)


def test_edgeflow_cuts_layers_for_themselves_and_neurons_of_dense_ones() -> None:
    problem = on_nodes(zoo_model("lenet").graph, [1e7, 3e7], bytes_per_s=1e9)
    proposal = Edgeflow()(problem)
    axes = [run.on.axis if isinstance(run.on, Split) else None for run in proposal.plan.entries[0].where]
    assert axes == [2, 2, 2, None, 1, 1, None]
    cost = evaluate(problem, proposal.plan)
    assert float(proposal.notes["end_s"]) == pytest.approx(cost.latency_s, rel=0.1)
    # 28 rows as 1 : 3, a little more for the node that has the input.
    assert proposal.plan.entries[0].where[0].on.cuts == (7,)
