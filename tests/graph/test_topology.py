"""Units, live sets, boundaries and blocks, against brute force on small random graphs."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from graphs import graph_of, operator, random_graph, zoo_model

from hocket.graph import Graph
from hocket.graph.topology import blocks, boundaries, is_folded, live, units

MODELS = ("toy_dag", "mobilenet_v2", "googlenet", "densenet121", "inception_v3", "bert_base", "gpt2", "swin_t")
SEEDS = range(60)


def random_small(seed: int) -> Graph:
    return random_graph(seed, 3 + seed % 14, inputs=1 + seed % 3)


def paths(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Every way of a value from an operator that reads no activation but inputs to an output: tensors made."""

    def onward(tensor: str, so_far: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if tensor in graph.outputs:
            yield so_far
        for reader in graph.readers[tensor]:
            for made in graph.operators[reader].outputs:
                yield from onward(made, (*so_far, made))

    for row in graph.operators:
        if all(name not in graph.producer for name in row.inputs):
            for made in row.outputs:
                yield from onward(made, (made,))


def passing(graph: Graph, position: int) -> set[str]:
    """Tensors made before a position that somebody reads from there on, by looking at every pair."""
    return {
        name
        for row in graph.operators[:position]
        for name in row.outputs
        for later in graph.operators[position:]
        if name in later.inputs
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_boundaries_are_where_one_tensor_passes(seed: int) -> None:
    graph = random_small(seed)
    expected = [p for p in range(1, len(graph.operators)) if len(passing(graph, p)) == 1]
    assert list(boundaries(graph)) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_every_path_that_crosses_a_boundary_goes_through_its_tensor(seed: int) -> None:
    graph = random_small(seed)
    every = list(paths(graph))
    for position in boundaries(graph):
        (tensor,) = passing(graph, position)
        for path in every:
            sides = [graph.producer[name] < position for name in path]
            if True in sides and False in sides:
                assert tensor in path


@pytest.mark.parametrize("seed", SEEDS)
def test_live_sets(seed: int) -> None:
    graph = random_small(seed)
    for position in range(len(graph.operators) + 1):
        inputs = {t.name for t in graph.inputs if any(reader >= position for reader in graph.readers[t.name])}
        assert set(live(graph, range(position))) == passing(graph, position) | inputs


def check_units(graph: Graph) -> None:
    found = units(graph)
    assert sorted(position for unit in found for position in unit.operators) == list(range(len(graph.operators)))
    assert [unit.operators[0] for unit in found] == sorted(unit.operators[0] for unit in found)
    for unit in found:
        assert not is_folded(graph, unit.operators[0])
        for position in unit.operators[1:]:
            assert is_folded(graph, position)
            (read,) = graph.operators[position].inputs
            assert graph.producer[read] in unit.operators
            assert graph.readers[read] == (position,)


def check_blocks(graph: Graph) -> None:
    found = blocks(graph)
    assert [position for block in found for position in block.operators] == list(range(len(graph.operators)))
    home = {position: number for number, block in enumerate(found) for position in block.operators}
    assert all(len({home[position] for position in unit.operators}) == 1 for unit in units(graph)), "no border inside"
    for before, after in pairwise(found):
        assert after.operators[0] in boundaries(graph)
        through = passing(graph, after.operators[0])
        assert set(after.inputs) <= through
        assert set(before.outputs) - set(graph.outputs) <= through
    for block in found:
        reads = {name for position in block.operators for name in graph.operators[position].inputs}
        made = {name for position in block.operators for name in graph.operators[position].outputs}
        assert set(block.inputs) | set(block.side_inputs) == reads - made
    assert found[0].side_inputs == ()
    assert {name for block in found for name in block.outputs} >= set(graph.outputs) - {t.name for t in graph.inputs}


@pytest.mark.parametrize("seed", SEEDS)
def test_units_and_blocks_of_random_graphs(seed: int) -> None:
    check_units(random_small(seed))
    check_blocks(random_small(seed))


@pytest.mark.parametrize("name", MODELS)
def test_units_and_blocks_of_the_zoo(name: str) -> None:
    check_units(zoo_model(name).graph)
    check_blocks(zoo_model(name).graph)


@pytest.mark.parametrize(
    ("second", "folded"),
    [
        (operator("v", "u", kind="Relu"), True),
        (operator("v", "u", kind="Reshape"), True),
        (operator("v", "u", kind="MaxPool"), False),
        (operator("v", "u", "x", kind="Add"), False),
        (operator("v", "x", kind="Relu"), False),
        (operator("v", "u", kind="Relu", more=("v2",)), False),
    ],
)
def test_what_is_folded(second: object, folded: bool) -> None:
    graph = graph_of(operator("u", "x"), second, outputs=("v",))
    assert is_folded(graph, 1) == folded


def test_what_is_read_twice_or_wanted_or_grows_is_not_folded() -> None:
    relu, other = operator("v", "u", kind="Relu"), operator("w", "u")
    assert not is_folded(graph_of(operator("u", "x"), relu, other, outputs=("v", "w")), 1)
    assert not is_folded(graph_of(operator("u", "x"), relu, outputs=("u", "v")), 1)
    assert not is_folded(graph_of(operator("u", "x"), relu, sizes={"u": 10, "v": 20}), 1)
    assert is_folded(graph_of(operator("u", "x"), relu, sizes={"u": 10, "v": 10}), 1)


def test_an_input_read_on_both_sides_is_no_obstacle() -> None:
    graph = graph_of(operator("u", "x", "mask"), operator("v", "u", "mask"), inputs=("x", "mask"))
    assert boundaries(graph) == (1,)
    assert blocks(graph)[1].side_inputs == ("mask",)


def test_a_unit_is_not_torn_by_a_border_between_its_operators() -> None:
    graph = graph_of(operator("u", "x"), operator("side", "x"), operator("v", "u", kind="Relu"), outputs=("side", "v"))
    assert boundaries(graph) == (1, 2)
    assert len(blocks(graph)) == 1


def test_known_counts() -> None:
    counts = {name: len(blocks(zoo_model(name).graph)) for name in ("toy_chain", "mobilenet_v2", "resnet18", "vgg16")}
    assert counts == {"toy_chain": 10, "mobilenet_v2": 34, "resnet18": 12, "vgg16": 22}
