"""What each method says of itself: traffic of a layer, orders of multiplication, switches, shares."""

import random

import numpy as np
import pytest
from graphs import mesh, node
from transformers_small import problem_at, transformer

from hocket.cluster import Cluster
from hocket.cost import evaluate, problem_for
from hocket.errors import InfeasibleError
from hocket.graph import Graph
from hocket.graph.layers import layers_of
from hocket.plan import Copies, Plan, Split
from hocket.plan.lower import lower
from hocket.program import Program
from hocket.solvers import Solver
from hocket.solvers.tensor import Detransformer, Galaxy, Hepti, Megatron, Pope2d, Voltage
from hocket.solvers.tensor.collectives import (
    all_gather_bytes,
    all_reduce_bytes,
    best_grid,
    two_dimensional_factor,
    weight_stationary_bytes,
)
from hocket.solvers.tensor.detransformer import decoupled
from hocket.solvers.tensor.galaxy import balanced
from hocket.solvers.tensor.hepti import equal_times
from hocket.solvers.tensor.voltage import attention_macs, reassociates
from hocket.variants import decouple

POSITIONS, WIDTH, NODES = 16, 32, 4
LAYER_BYTES = POSITIONS * WIDTH * 4


def equal_nodes(count: int, **fields: object) -> Cluster:
    return mesh(*(node(f"n{i:02}", 1e5, **fields) for i in range(count)), bytes_per_s=1e9)


def unlike(*speeds: float, **fields: object) -> Cluster:
    return mesh(*(node(f"n{i}", speed, **fields) for i, speed in enumerate(speeds)), bytes_per_s=1e12)


def program_of(solver: Solver, graph: Graph, cluster: Cluster) -> Program:
    problem = problem_for(graph, cluster)
    entry = solver(problem).plan.entries[0]
    return lower(graph, entry, cluster, problem.task.inputs, problem.task.outputs)


def layer_bytes(solver: Solver) -> int:
    """Bytes that one more layer moves, all nodes together."""
    sizes = []
    for layers in (2, 3):
        graph = transformer("bert", layers=layers, positions=POSITIONS, width=WIDTH).graph
        program = program_of(solver, graph, equal_nodes(NODES))
        sizes.append(sum(transfer.nbytes for transfer in program.transfers))
    return sizes[1] - sizes[0]


def splits(plan: Plan, axis: object) -> list[Split]:
    return [run.on for run in plan.entries[0].where if isinstance(run.on, Split) and run.on.axis == axis]


# ------------------------------------------------------------ traffic


def test_a_layer_of_megatron_moves_two_all_reduces_and_one_of_voltage_a_quarter_of_it() -> None:
    assert layer_bytes(Megatron()) == 2 * NODES * all_reduce_bytes(LAYER_BYTES, NODES)
    assert layer_bytes(Voltage()) == NODES * all_gather_bytes(LAYER_BYTES, NODES)
    assert layer_bytes(Megatron()) == 4 * layer_bytes(Voltage())


def test_galaxy_moves_what_two_all_reduces_move_and_repeats_no_tail() -> None:
    assert layer_bytes(Galaxy()) == layer_bytes(Megatron())
    plan = Galaxy()(problem_at(transformer("bert"), equal_nodes(NODES))).plan
    assert not any(isinstance(run.on, Copies) for run in plan.entries[0].where)


def test_rows_gather_keys_and_values_only() -> None:
    assert layer_bytes(Hepti(mode="rows")) == 2 * NODES * all_gather_bytes(LAYER_BYTES, NODES)


def mlp_bytes(solver: Solver, nodes: int) -> float:
    """Bytes that the MLP of a layer moves, all nodes together, in units of its input."""
    graph = transformer("bert", layers=1, heads=16, width=64, hidden=256, positions=nodes).graph
    layers = layers_of(graph)
    assert layers is not None
    names = {layers.halves[1].entry, *layers.halves[1].head}
    program = program_of(solver, graph, equal_nodes(nodes))
    moved = sum(each.nbytes for each in program.transfers if each.tensor.partition("{")[0] in names)
    return moved / graph.tensor[layers.halves[1].entry].nbytes


def test_two_dimensions_move_as_much_as_one_on_sixteen_nodes_by_the_count_of_the_paper() -> None:
    for nodes in (4, 16, 64, 256):
        best = min(along for along in (1, 2, 4, 8, 16) if along >= np.sqrt(nodes) / 2)
        counted = weight_stationary_bytes(1.0, 768, 4 * 768, best, nodes) / 768
        assert nodes == 4 or counted == pytest.approx(two_dimensional_factor(nodes))
    assert two_dimensional_factor(16) == weight_stationary_bytes(1.0, 768, 4 * 768, 1, 16) / 768 == 2
    assert [best_grid(768, 3072, nodes) for nodes in (8, 16, 32, 64)] == [1, 1, 2, 4]
    assert [best_grid(768, 3072, nodes, least=2) for nodes in (2, 4, 16)] == [2, 2, 2]


def test_lowered_grids_move_what_the_count_says_less_what_stays() -> None:
    # A node gathers all but its own position, and scatters as much: 2 * 15 / 16 on each of 16 nodes.
    assert mlp_bytes(Pope2d(layout="1d"), 16) == 16 * 2 * 15 / 16
    # On a grid of 2 x 8 half of that, and half of its hidden units from the other node of its column.
    assert mlp_bytes(Pope2d(layout="2d"), 16) == 16 * (2 * 15 / 16 / 2 + 1 / 2)


def test_pope_takes_two_dimensions_beyond_sixteen_nodes_only() -> None:
    graph = transformer("bert", layers=1, heads=4, width=32, hidden=128).graph
    for nodes, grid in ((4, "1 x 4"), (16, "1 x 16"), (20, "2 x 10")):
        assert Pope2d()(problem_for(graph, equal_nodes(nodes))).notes["grid"] == grid


# ------------------------------------------------------------ voltage


def test_the_order_of_multiplication_is_the_one_with_fewer_multiplications() -> None:
    rng = random.Random(1)
    seen = set()
    for _ in range(500):
        positions, width = rng.randint(2, 300), rng.choice([32, 256, 768])
        part, head_width = rng.randint(1, positions), rng.choice([8, 16, 32])
        exported, folded = (
            attention_macs(part, positions, width, head_width, reassociated=order) for order in (False, True)
        )
        choice = reassociates(part, positions, width, head_width)
        assert choice == (folded < exported) or folded == exported
        seen.add(choice)
    assert seen == {True, False}


def test_voltage_divides_positions_by_speed_and_notes_the_order() -> None:
    proposal = Voltage()(problem_at(transformer("bert", positions=12), unlike(1e7, 2e7, 3e7)))
    assert [split.cuts for split in splits(proposal.plan, 1)] == [(2, 6)] * 2
    # F = 32, F_H = 8: 1 / P - 1 / 12 > 24 / 256 for P = 2 and 4, but not for 6.
    assert proposal.notes["order"] == "n0 (x Wq Wk^T) X^T, n1 (x Wq Wk^T) X^T, n2 (x Wq)(X Wk)^T"


# ------------------------------------------------------------ megatron


def test_megatron_shares_heads_and_hidden_units_by_speed_in_whole_ones() -> None:
    problem = problem_at(transformer("bert"), unlike(1e7, 3e7))
    assert [split.cuts for split in splits(Megatron()(problem).plan, "contract")] == [(8,), (16,)] * 2
    assert [split.cuts for split in splits(Megatron(equal=True)(problem).plan, "contract")] == [(16,), (32,)] * 2
    mirrored = [run for run in Megatron()(problem).plan.entries[0].where if isinstance(run.on, Copies)]
    assert len(mirrored) == 4  # bias, residual and normalisation on all nodes


def test_megatron_divides_the_vocabulary_by_columns() -> None:
    graph = transformer("gpt").graph
    plan = Megatron()(problem_at(transformer("gpt"), unlike(1e7, 1e7))).plan
    last = plan.entries[0].where[-1]
    assert graph.tensor[graph.outputs[0]].shape == (1, 12, 100)
    assert last.on == Split(axis=2, parts=("n0", "n1"), cuts=(50,))


# ------------------------------------------------------------ galaxy


def test_galaxy_shifts_what_does_not_fit_in_proportion_to_speed() -> None:
    capacity = np.array([4.0, 2.0, 2.0, 1.0])
    start = [[40, 20, 20, 10]]
    assert balanced(start, [1.0], np.full(4, np.inf), capacity) == start
    # 20 too many go to the others as 2 : 2 : 1.
    assert balanced(start, [1.0], np.array([20.0, 99, 99, 99]), capacity) == [[20, 28, 28, 14]]
    # The second has room for 3 of its 8; what it cannot take goes to the others as 2 : 1, and again.
    found = balanced(start, [1.0], np.array([20.0, 23, 99, 99]), capacity)
    assert found is not None
    assert found[0][:2] == [20, 23]
    assert sum(found[0]) == 90
    assert found[0][2] > found[0][3]
    assert balanced(start, [1.0], np.array([20.0, 20, 20, 20]), capacity) is None
    # Hidden units first, then heads where no hidden unit is left.
    assert balanced([[2, 8], [4, 4]], [1.0, 5.0], np.array([16.0, 99]), np.ones(2)) == [[0, 10], [3, 5]]


def test_galaxy_fits_where_shares_by_speed_do_not() -> None:
    model = transformer("bert", hidden=1024, positions=4)
    for number in range(3):  # in turn, the fast one too
        limits = [model.graph.weight_bytes // 3 if i == number else None for i in range(3)]
        cluster = unlike(4e7, 3e7, 3e7)
        nodes = tuple(each.replace(memory_bytes=limit) for each, limit in zip(cluster.nodes, limits, strict=True))
        problem = problem_at(model, cluster.replace(nodes=nodes))
        proposal = Galaxy()(problem)
        assert evaluate(problem, proposal.plan).feasible
        shares = [int(text) for text in proposal.notes["mlp units"].split(", ")]
        assert sum(shares) == 1024
        assert shares[number] < [410, 307, 307][number]
    small = unlike(4e7, 3e7, 3e7, memory_bytes=model.graph.weight_bytes // 5)
    with pytest.raises(InfeasibleError) as caught:
        Galaxy()(problem_at(model, small))
    assert "C6: the nodes together cannot hold all layers" in str(caught.value)


# ------------------------------------------------------------ hepti


def test_hepti_switches_by_memory_and_number_of_nodes() -> None:
    graph = transformer("bert", layers=1, hidden=4096, positions=2).graph  # weights, not mailboxes, decide
    room, less = 2 * graph.weight_bytes, graph.weight_bytes // 2
    for nodes, memory, mode in (
        (4, None, "rows"),
        (4, less, "1d"),
        (15, less, "1d"),
        (16, less, "2d"),
        (16, room, "rows"),
    ):
        cluster = equal_nodes(nodes)
        made = (cluster.nodes[0], *(each.replace(memory_bytes=memory) for each in cluster.nodes[1:]))
        assert Hepti()(problem_for(graph, cluster.replace(nodes=made))).notes["mode"] == mode


def test_all_that_work_end_at_the_same_time() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        fixed, per_share = rng.uniform(0, 1, 5), rng.uniform(0.1, 5, 5)
        shares = equal_times(fixed, per_share)
        assert shares.sum() == pytest.approx(1)
        ends = (fixed + per_share * shares)[shares > 1e-9]
        assert np.ptp(ends) < 1e-6
        assert (fixed[shares <= 1e-9] >= ends.max() - 1e-6).all()


def test_hepti_gives_less_to_a_node_that_is_far_away() -> None:
    near = unlike(1e6, 1e6)
    far = near.replace(links=tuple(link.replace(latency_s=0.05) for link in near.links))
    cuts = [
        splits(Hepti(mode="1d")(problem_at(transformer("bert"), each)).plan, "contract")[1].cuts for each in (near, far)
    ]
    assert cuts[0] == (32,)
    assert cuts[1] is not None
    assert cuts[1][0] > 32


def test_hepti_adds_up_at_the_main_node() -> None:
    plan = Hepti(mode="1d")(problem_at(transformer("bert"), unlike(1e6, 1e6))).plan
    assert {run.on for run in plan.entries[0].where if not isinstance(run.on, Split)} == {"n0"}


# ------------------------------------------------------------ detransformer


def test_sub_blocks_go_to_nodes_of_their_own_and_meet_once(tmp_path: object) -> None:
    model = transformer("bert", layers=3, positions=POSITIONS)
    variant = decouple(model, f"{tmp_path}/variant.onnx", groups=2, every=3)
    (streams,) = decoupled(variant.graph)
    assert sum(len(stream) for stream in streams) > len(variant.graph.operators) / 2
    plan = Detransformer()(problem_at(variant, unlike(1e6, 1e6))).plan
    program = lower(
        variant.graph,
        plan.entries[0],
        unlike(1e6, 1e6),
        dict.fromkeys((each.name for each in variant.graph.inputs), "n0"),
        dict.fromkeys(variant.graph.outputs, "n0"),
    )
    inside = {variant.graph.operators[place].name for stream in streams for place in stream}
    # Two layers of the other stream: its input goes there once, and its sum comes back once.
    assert sum(each.nbytes for each in program.transfers if each.tensor in inside) == LAYER_BYTES
