"""The claims of single methods: their own rules, on cases made by hand and against exhaustive search."""

import random
from itertools import accumulate, combinations, pairwise, permutations, product

import numpy as np
import pytest
from graphs import mesh, node, zoo_model
from problems import chain, graph_of, problem_of, profile_of
from scipy.optimize import Bounds, LinearConstraint, milp
from split_problems import split_problem

from hocket.cluster import Cluster, Direction, Link, Node
from hocket.cost import Objective, Problem, evaluate, problem_for
from hocket.graph import Graph
from hocket.plan import Run, Split
from hocket.plan.cuts import shared
from hocket.plan.placement import positions
from hocket.solvers.layout import Layout
from hocket.solvers.tiles.aofl import Aofl, fusions
from hocket.solvers.tiles.coedge import Coedge, Workload, thresholded, time_s, workload
from hocket.solvers.tiles.d3_vsm import D3Vsm, hpa
from hocket.solvers.tiles.deepthings_ftp import DeepthingsFtp, dealt, tile_points, tile_table
from hocket.solvers.tiles.edgeflow import Edgeflow, bisected
from hocket.solvers.tiles.maps import ROWS, Maps, strips
from hocket.solvers.tiles.mednn import Rates, gtdp, leaves_of
from hocket.solvers.tiles.modnn import Modnn
from hocket.solvers.tiles.pmp import Pieces, _near, shifted
from hocket.solvers.tiles.repurpose import Repurpose, assigned


def on_nodes(graph: Graph, speeds: list[float], *, bytes_per_s: float = 1e9, latency_s: float = 0.0) -> Problem:
    """Nodes a, b, c ... of so many FLOP/s."""
    nodes = [node("abcdef"[number], speed) for number, speed in enumerate(speeds)]
    return problem_for(graph, mesh(*nodes, bytes_per_s=bytes_per_s, latency_s=latency_s))


# ---------------------------------------------------------------- MoDNN


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


# ---------------------------------------------------------------- MeDNN


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


# ---------------------------------------------------------------- DeepThings


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


# ---------------------------------------------------------------- AOFL


def block_cost(maps: Maps, first: int, last: int, degree: int) -> float:
    """One fused block, from the card: scatter, the slowest strip with what it computes again, gather."""
    others = [host for host in maps.order if host != maps.owner][: degree - 1]
    team = sorted([maps.owner, *others])
    sizes = shared([float(maps.speeds[host]) for host in team], maps.size(last)[0])
    parts = {host: maps.strip(last, ROWS, rows) for host, rows in strips(team, (0, *accumulate(sizes))).items()}
    needs = {host: maps.fused(first, last, tile) for host, tile in parts.items()}
    before = maps.held(first - 1, {maps.owner: maps.full(first - 1)}) if first else maps.source
    scatter = maps.moved_s(first - 1, before, maps.held(first - 1, {host: need.tile for host, need in needs.items()}))
    gather = maps.moved_s(last, maps.held(last, parts), maps.held(last, {maps.owner: maps.full(last)}))
    return scatter + max(need.seconds[host] + maps.calls[host] for host, need in needs.items()) + gather


@pytest.mark.parametrize("seed", range(8))
def test_aofl_finds_the_best_of_all_fusions(seed: int) -> None:
    maps = Maps(split_problem(seed, models=("toy_chain", "toy_dag"), nodes=2 + seed % 3))
    degrees = range(1, len(maps.hosts) + 1)
    cost = {
        (first, last): min(block_cost(maps, first, last, degree) for degree in degrees)
        for last in range(maps.count)
        for first in range(last + 1)
    }
    best = min(
        sum(cost[first, stop - 1] for first, stop in pairwise((0, *cuts, maps.count)))
        for size in range(maps.count)
        for cuts in combinations(range(1, maps.count), size)
    )
    found = fusions(maps)
    assert [block.first for block in found[1:]] == [block.last + 1 for block in found[:-1]]
    assert sum(block.seconds for block in found) == pytest.approx(best, rel=1e-9)


def test_aofl_fuses_more_the_longer_a_message_takes() -> None:
    graph = zoo_model("toy_chain").graph
    counts = [
        len(fusions(Maps(on_nodes(graph, [1e7] * 3, bytes_per_s=1e9, latency_s=latency))))
        for latency in (0.0, 1e-2, 2e-2)
    ]
    assert counts == [8, 4, 3]
    assert Aofl()(on_nodes(graph, [1e7] * 3)).notes["fused"]


# ---------------------------------------------------------------- CoEdge


def random_workload(rng: random.Random, hosts: int) -> Workload:
    speeds = np.array([rng.choice([1.0, 2.0, 4.0]) * rng.uniform(0.8, 1.2) for _ in range(hosts)])
    work = np.array([rng.uniform(0.5, 2.0) for _ in range(rng.randint(2, 5))])
    return Workload(
        seconds=work[:, None] / speeds[None, :],
        halo_s=np.array([[rng.uniform(0, 0.05) for _ in range(hosts)] for _ in work]),
        scatter_s=np.array([0.0, *(rng.uniform(0, 0.3) for _ in range(hosts - 1))]),
        gather_s=np.array([0.0, *(rng.uniform(0, 0.2) for _ in range(hosts - 1))]),
        joules=np.array([rng.uniform(1, 5) for _ in range(hosts)]),
        halo_j=np.zeros(hosts),
        rest_s=0.1,
        least=rng.choice([0.0, 0.1, 0.2, 0.3]),
        able=tuple(range(hosts)),
    )


def oracle(model: Workload, deadline_s: float) -> float | None:
    """Least joules by a mixed-integer program: a share is 0, or at least the border, with a big M of 1."""
    hosts, slopes = len(model.joules), np.vstack([model.scatter_s, model.seconds, model.gather_s])
    starts = np.vstack([np.zeros(hosts), model.halo_s, np.zeros(hosts)])
    steps = len(slopes)
    size = 2 * hosts + steps  # shares, whether they are not 0, seconds of the steps
    rows, upper = [], []
    for step, host in product(range(steps), range(hosts)):
        row = np.zeros(size)
        row[host], row[hosts + host], row[2 * hosts + step] = slopes[step, host], starts[step, host], -1.0
        rows.append(row)
        upper.append(0.0)
    for host in range(hosts):
        for share, used in ((1.0, -1.0), (-1.0, model.least)):
            row = np.zeros(size)
            row[host], row[hosts + host] = share, used
            rows.append(row)
            upper.append(0.0)
    rows.append(np.array([0.0] * 2 * hosts + [1.0] * steps))
    upper.append(deadline_s - model.rest_s)
    whole = np.array([1.0] * hosts + [0.0] * (hosts + steps))
    found = milp(
        np.concatenate([model.joules, np.zeros(hosts + steps)]),
        constraints=[
            LinearConstraint(np.array(rows), -np.inf, np.array(upper)),
            LinearConstraint(whole, 1.0, 1.0),
        ],
        integrality=np.array([0] * hosts + [1] * hosts + [0] * steps),
        bounds=Bounds(0, np.array([1.0] * 2 * hosts + [np.inf] * steps)),
    )
    return float(found.fun) if found.success else None


def test_coedge_keeps_its_rule_and_is_near_the_mixed_integer_program() -> None:
    rng = random.Random(5)
    equal = compared = 0
    for _ in range(60):
        model = random_workload(rng, rng.randint(2, 4))
        alone = min(
            float(model.scatter_s[h] + model.seconds[:, h].sum() + model.halo_s[:, h].sum() + model.gather_s[h])
            for h in model.able
        )
        deadline_s = rng.uniform(0.5, 1.3) * alone + model.rest_s
        shares = thresholded(model, deadline_s)
        assert shares.sum() == pytest.approx(1.0)
        assert all(share == 0 or share >= model.least - 1e-6 for share in shares)
        best = oracle(model, deadline_s)
        if best is None or time_s(model, shares, np.flatnonzero(shares)) > deadline_s * (1 + 1e-6):
            continue  # dropping nodes may end where the deadline cannot be met any more
        compared += 1
        found = float(model.joules @ shares)
        assert found >= best * (1 - 1e-6)
        equal += found <= best * (1 + 1e-4)
    assert compared >= 30
    assert equal >= 0.6 * compared


def test_coedge_takes_the_node_of_least_energy_if_the_deadline_lets_it() -> None:
    names = {"a": (1e8, 9.0), "b": (3e7, 1.0)}
    nodes = tuple(Node(name=name, flops_per_s=speed, compute_w=watts) for name, (speed, watts) in names.items())
    cluster = Cluster(
        name="two",
        nodes=nodes,
        links=(Link(between=("a", "b"), up=Direction(bytes_per_s=1e8), down=Direction(bytes_per_s=1e8)),),
    )
    graph = zoo_model("toy_chain").graph
    shares = {}
    for deadline_s in (10.0, 0.12, None):
        problem = problem_for(graph, cluster, deadline_s=deadline_s)
        shares[deadline_s] = thresholded(workload(Maps(problem)), deadline_s)
        assert Coedge()(problem).notes["shares"]
    # a takes 0.07 s and 0.63 J, b 0.23 s and 0.23 J.
    assert shares[10.0].tolist() == [0.0, 1.0]
    assert 0.25 <= shares[0.12][0] < 0.75
    assert shares[None][0] == pytest.approx(1e8 / 1.3e8, abs=0.05) or shares[None][0] == 1.0
    assert (
        Coedge()(problem_for(graph, cluster, objective=Objective(metric="energy")))
        .notes["shares"]
        .startswith("a 0.000")
    )


# ---------------------------------------------------------------- EdgeFlow


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


# ---------------------------------------------------------------- PMP


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


# ---------------------------------------------------------------- D3


def tiers(*bytes_per_s: float) -> Cluster:
    """Device, edge and cloud; rates device - edge, edge - cloud, device - cloud."""
    pairs = [("device", "edge"), ("edge", "cloud"), ("device", "cloud")]
    links = tuple(
        Link(between=pair, up=Direction(bytes_per_s=rate), down=Direction(bytes_per_s=rate))
        for pair, rate in zip(pairs, bytes_per_s, strict=True)
    )
    return Cluster(
        name="tiers", nodes=tuple(Node(name=n, flops_per_s=1e9) for n in ("device", "edge", "cloud")), links=links
    )


def test_hpa_takes_the_best_tier_for_each_unit_alone() -> None:
    # The input has 4000 bytes, the tensors 4000, 400 and 4; a way of 4000 bytes to the edge takes 4 s.
    graph = chain([1000, 100, 1], first=1000)
    seconds = {"device": [3.0, 5.0, 5.0], "edge": [1.0, 0.5, 3.0], "cloud": [0.1, 0.1, 0.1]}
    problem = problem_of(graph, tiers(1000.0, 400.0, 100.0), profile_of(graph, seconds))
    # 3 against 4 + 1: device. 5 against 4 + 0.5: edge. 3 against 400 / 400 + 0.1: cloud.
    assert hpa(Layout(problem, problem.task), (0, 1, 2)) == [0, 1, 2]
    # One step ahead only: everything on the edge would be 4 + 1 + 0.5 + 3, and less than 3 + 4 + 0.5 + 1 + 0.1 if
    # the first unit took 4.5 s; the rule still keeps 4.5 < 4 + 1 on the device.
    seconds["device"][0] = 4.5
    problem = problem_of(graph, tiers(1000.0, 400.0, 100.0), profile_of(graph, seconds))
    assert hpa(Layout(problem, problem.task), (0, 1, 2))[0] == 0


def test_hpa_looks_at_siblings_again() -> None:
    # Both read the input of 4000 bytes (4 s to the edge). The first alone would stay (3 < 4 + 1), the second goes
    # (9 > 4 + 1), and then the first follows (3 > 1).
    graph = graph_of([[-1], [-1], [0, 1]], [1, 1, 1], inputs=(1000,))
    seconds = {"device": [3.0, 9.0, 0.1], "edge": [1.0, 1.0, 0.1], "cloud": [50.0, 50.0, 50.0]}
    problem = problem_of(graph, tiers(1000.0, 1000.0, 1000.0), profile_of(graph, seconds))
    assert hpa(Layout(problem, problem.task), (0, 1, 2)) == [1, 1, 1]
    seconds["device"][1] = 4.5
    problem = problem_of(graph, tiers(1000.0, 1000.0, 1000.0), profile_of(graph, seconds))
    assert hpa(Layout(problem, problem.task), (0, 1, 2)) == [0, 0, 0]


def test_d3_never_goes_back_a_tier_and_tiles_what_the_edge_gets() -> None:
    for seed in range(10):
        problem = split_problem(seed, nodes=4)
        layout = Layout(problem, problem.task)
        found = hpa(layout, (problem.cluster.index[problem.task.source], 1, 2))
        for net in layout.nets:
            assert all(net.maker < 0 or found[reader] >= found[net.maker] for reader in net.readers)
    names = ["device", "e0", "e1", "e2", "e3", "cloud"]
    speeds = [1e6, 1e8, 1e8, 1e8, 1e8, 1e12]
    links = tuple(
        Link(
            between=(a, b),
            up=Direction(bytes_per_s=1e3 if b == "cloud" else 1e8),
            down=Direction(bytes_per_s=1e3 if b == "cloud" else 1e8),
        )
        for a, b in combinations(names, 2)
    )
    nodes = tuple(Node(name=name, flops_per_s=speed) for name, speed in zip(names, speeds, strict=True))
    problem = problem_for(zoo_model("toy_chain").graph, Cluster(name="edge", nodes=nodes, links=links))
    runs = D3Vsm()(problem).plan.entries[0].where
    grid = runs[0].on
    assert isinstance(grid, Split)
    assert positions(problem.task.graph, runs[0].operators)[-1] == 15  # all layers of maps, fused
    assert (grid.axis, grid.cuts) == (2, (2,))
    assert [(part.axis, part.cuts, part.parts) for part in grid.parts] == [
        (3, (2,), ("e0", "e1")),
        (3, (2,), ("e2", "e3")),
    ]
    assert (
        D3Vsm().refuses(split_problem(0, nodes=2))
        == "it divides over device, edge and cloud, and 2 nodes are two tiers"
    )
    assert D3Vsm(cloud="nobody").refuses(split_problem(0, nodes=3)) == (
        "the edge and the cloud are other nodes that can compute, and 'nobody' is none"
    )


# ---------------------------------------------------------------- RePurpose


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
